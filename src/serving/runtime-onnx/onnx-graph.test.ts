import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";
import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { prepareModel } from "./onnx-graph.ts";
import { encodeField, messageOf, readFields, textOf } from "./protobuf.ts";

const fixtures = join(import.meta.dirname, "../../../test/fixtures/onnx");

function fixture(name: string): Buffer {
  return readFileSync(join(fixtures, `${name}.onnx`));
}

function refusal(bytes: Uint8Array): LastgoodError {
  try {
    prepareModel(bytes);
  } catch (error) {
    return LastgoodError.from(error);
  }
  throw new Error("it was not refused");
}

/** Content of the first field with this number, going down the path. */
function at(bytes: Uint8Array, path: readonly number[]): Uint8Array {
  return path.reduce((message, number) => {
    const field = [...readFields(message)].find((each) => each.number === number);
    return field === undefined ? new Uint8Array() : messageOf(field);
  }, bytes);
}

test("a model without ZipMap is loaded as the very bytes that were given", () => {
  const bytes = fixture("two-by-two");
  const prepared = prepareModel(bytes);
  expect(prepared.bytes).toBe(bytes);
  expect(prepared.outputs).toEqual(["total", "twice"]);
});

test("ZipMaps are taken out and their input put in their place, once", () => {
  const bytes = fixture("zipmaps");
  const copy = Buffer.from(bytes);
  const prepared = prepareModel(bytes);
  expect(prepared.outputs).toEqual(["label", "by_name", "by_number"]);
  expect(prepared.zipMaps).toEqual([
    { output: "by_name", tensor: "scores", keyDtype: "BYTES", keys: ["red", "grün", "blue"] },
    { output: "by_number", tensor: "scores", keyDtype: "INT64", keys: [-1, 0, 7] },
  ]);
  const graph = [...readFields(at(prepared.bytes, [7]))];
  const outputs = graph.filter((field) => field.number === 12);
  const names = outputs.map((field) => Buffer.from(at(messageOf(field), [1])).toString());
  expect(names).toEqual(["label", "scores"]);
  const operators = graph
    .filter((field) => field.number === 1)
    .map((field) => Buffer.from(at(messageOf(field), [4])).toString());
  expect(operators).toEqual(["Softmax", "ArgMax"]);
  expect(bytes.equals(copy)).toBe(true);
});

test("external data is refused by the name of its tensor", () => {
  const error = refusal(fixture("external"));
  expect(error.code).toBe("artifact.invalid");
  expect(error.message).toContain('"weights"');
});

test("external data hidden in a node's subgraph is refused too", () => {
  const tensor = [...encodeField(8, [Buffer.from("hidden")]), Uint8Array.of(14 * 8, 1)];
  const inner = encodeField(5, tensor);
  const attribute = encodeField(6, inner);
  const node = encodeField(1, encodeField(5, attribute));
  const model = Buffer.concat(encodeField(7, node));
  expect(refusal(model).message).toContain('"hidden"');
});

test("a graph without outputs is refused: it could answer nothing", () => {
  const bare = Buffer.concat(encodeField(7, encodeField(2, [Buffer.from("bare")])));
  expect(refusal(bare).message).toContain("its graph gives no outputs");
});

test("graphs nested without end are refused, not followed", () => {
  let graph: Uint8Array[] = [];
  for (let depth = 0; depth < 500; depth += 1)
    graph = encodeField(1, encodeField(5, encodeField(6, graph)));
  expect(refusal(Buffer.concat(encodeField(7, graph))).message).toContain("deep");
});

test("a field whose text is not UTF-8 is refused", () => {
  const [field] = [...readFields(Buffer.concat(encodeField(1, [Uint8Array.of(0xff, 0xfe)])))];
  expect(() => (field === undefined ? "" : textOf(field))).toThrow(/UTF-8/);
});

const models = readdirSync(fixtures)
  .filter((name) => name.endsWith(".onnx") && name !== "external.onnx")
  .map((name) => readFileSync(join(fixtures, name)));

/** What becomes of bytes; whatever is thrown but a LastgoodError escapes. */
function outcome(bytes: Uint8Array): string {
  try {
    prepareModel(bytes);
    return "prepared";
  } catch (error) {
    if (error instanceof LastgoodError) return error.code;
    throw error;
  }
}

const acceptable = ["prepared", "artifact.invalid"];

test("random bytes are refused as artifact.invalid, or are a model", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      expect(acceptable).toContain(outcome(bytes));
    }),
    { numRuns: 2_000 },
  );
});

test("every truncation of a real model that cuts into its graph is refused", () => {
  for (const model of models) {
    const behindGraph = 40;
    for (let length = 0; length < model.length - behindGraph; length += 1)
      expect(outcome(model.subarray(0, length))).toBe("artifact.invalid");
  }
});

test("real models with bytes overwritten are refused or prepared, never more", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...models),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      (model, changes) => {
        const copy = Buffer.from(model);
        for (const [place, byte] of changes) copy[place % copy.length] = byte;
        expect(acceptable).toContain(outcome(copy));
      },
    ),
    { numRuns: 3_000 },
  );
});
