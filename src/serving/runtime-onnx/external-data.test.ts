import { readFileSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";
import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { externalFiles, inlineExternalData } from "./external-data.ts";
import { prepareModel } from "./onnx-graph.ts";

const fixtures = join(import.meta.dirname, "../../../test/fixtures/onnx");
const model = readFileSync(join(fixtures, "weights-beside/model.onnx"));
const weights = readFileSync(join(fixtures, "weights-beside/model.onnx.data"));
const plain = readFileSync(join(fixtures, "two-by-two.onnx"));

test("the files are named, and their bytes become the tensors' own", () => {
  expect(externalFiles(model)).toEqual(["model.onnx.data"]);
  const whole = inlineExternalData(model, new Map([["model.onnx.data", weights]]));
  expect(externalFiles(whole)).toEqual([]);
  expect(prepareModel(whole).outputs).toEqual(["y"]);
  const floats = Buffer.from(Float32Array.of(1, 2, 3, 4).buffer);
  expect(Buffer.from(whole).includes(floats)).toBe(true);
});

test("a model that has its weights in itself is given back as it is", () => {
  expect(externalFiles(plain)).toEqual([]);
  expect(inlineExternalData(plain, new Map())).toBe(plain);
});

test.each([
  ["a file that is not there", new Map<string, Buffer>(), /not part of the version/],
  [
    "a file that is too short",
    new Map([["model.onnx.data", weights.subarray(0, 9)]]),
    /which has 9/,
  ],
])("%s is refused, naming the tensor", (_, files, message) => {
  expect(() => inlineExternalData(model, files)).toThrow(
    expect.objectContaining({
      code: "artifact.invalid",
      message: expect.stringMatching(message) as string,
    }),
  );
});

function codeOf(bytes: Uint8Array): string {
  try {
    externalFiles(bytes);
    inlineExternalData(bytes, new Map([["model.onnx.data", weights]]));
    return "read";
  } catch (error) {
    return LastgoodError.from(error).code;
  }
}

test("no bytes break it: read, or refused as no model", () => {
  const cut = fc
    .tuple(fc.nat(model.length - 1), fc.nat(255))
    .map(([at, byte]) =>
      Buffer.concat([model.subarray(0, at), Buffer.of(byte), model.subarray(at + 1)]),
    );
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), cut), (bytes) => {
      expect(["read", "artifact.invalid"]).toContain(codeOf(bytes));
    }),
  );
});
