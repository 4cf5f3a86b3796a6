import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import type { OutputValue } from "../../core/tensor/index.ts";
import { decode } from "./decode.ts";
import { encode, inferMessage, readOutputs } from "./encode.ts";
import { encodeError } from "./error.ts";
import { ModelInferResponseSchema, type ModelInferResponse } from "./inference_pb.ts";

const y: OutputValue = { name: "y", dtype: "FP32", shape: [1, 2], data: Float32Array.of(0.5, 2) };
const half: OutputValue = { name: "h", dtype: "FP16", shape: [1], data: Uint16Array.of(0x3c00) };
const words: OutputValue = { name: "w", dtype: "BYTES", shape: [2], data: ["a", "grün"] };
const maps: OutputValue = {
  name: "maps",
  kind: "maps",
  keys: ["no", "yes"],
  values: Float32Array.of(0.25, 0.75),
  rows: 1,
};

function body(
  outputs: readonly OutputValue[],
  raw: boolean,
  named: readonly string[] | null,
): Buffer {
  const form = { kind: "grpc", outputs: named, raw } as const;
  const call = { inputs: [], id: "7", requestedOutputs: named, form };
  const answer = encode(outputs, {
    endpoint: "e",
    version: "v1",
    signature: { inputs: [], outputs: [] },
    call,
  });
  expect([answer.status, answer.headers]).toEqual([0, {}]);
  return Buffer.from(answer.body);
}

function answered(outputs: readonly OutputValue[], raw: boolean): ModelInferResponse {
  return fromBinary(ModelInferResponseSchema, body(outputs, raw, null));
}

test("who answered, the id, and typed contents", () => {
  const response = answered([y, words], false);
  expect(response).toMatchObject({ modelName: "e", modelVersion: "v1", id: "7" });
  expect(response.rawOutputContents).toEqual([]);
  expect(response.outputs[0]).toMatchObject({
    name: "y",
    datatype: "FP32",
    shape: [1n, 2n],
    contents: { fp32Contents: [0.5, 2] },
  });
  expect(readOutputs(body([y, words], false, null))).toEqual([y, words]);
});

test("raw contents, for FP16 always", () => {
  const response = answered([y, words], true);
  expect(response.rawOutputContents.map((each) => each.length)).toEqual([8, 4 + 1 + 4 + 5]);
  expect(response.outputs[0]?.contents).toBeUndefined();
  expect(readOutputs(body([y, words], true, null))).toEqual([y, words]);
  expect(answered([y, half], false).rawOutputContents.map((each) => each.length)).toEqual([8, 2]);
});

test("a sequence of maps is a matrix, its columns named", () => {
  const [output] = answered([maps], false).outputs;
  expect(output).toMatchObject({
    datatype: "FP32",
    shape: [1n, 2n],
    contents: { fp32Contents: [0.25, 0.75] },
    parameters: { labels: { parameterChoice: { case: "stringParam", value: '["no","yes"]' } } },
  });
});

test("the outputs that were asked for, in their order; one that is not there is the version's failure", () => {
  const named = readOutputs(body([y, words], true, ["w", "y"])).map(({ name }) => name);
  expect(named).toEqual(["w", "y"]);
  expect(() => body([y], true, ["w"])).toThrow(LastgoodError);
});

test("a request that is written is read back", () => {
  const inputs = [
    { name: "x", dtype: "INT64", shape: [2], data: BigInt64Array.of(1n, -2n) },
  ] as const;
  const contract = {
    inputs: [{ name: "x", kind: "tensor", dtype: "INT64", shape: [-1] }],
    outputs: [],
  } as const;
  const call = decode(
    { contentType: null, inferenceHeaderLength: null, body: inferMessage("e", inputs) },
    contract,
  );
  expect(call.inputs).toEqual(inputs);
});

test.each([
  ["request.invalid", 3],
  ["content-type.unsupported", 3],
  ["runtime.timeout", 4],
  ["route.not-found", 5],
  ["body.too-large", 8],
  ["overloaded", 8],
  ["protocol.unsupported", 12],
  ["runtime.failed", 13],
  ["runtime.unavailable", 14],
] as const)("%s is status %i", (code, status) => {
  expect(encodeError(new LastgoodError(code, "why", { hint: "do" }))).toEqual({
    status,
    headers: {},
    body: "why (do)",
  });
});

test("a text is cut where callers would not take it as trailers", () => {
  for (const name of ["column_", "größe_", "😀"]) {
    const names = Array.from({ length: 2000 }, (_, index) => `${name}${index}`).join(", ");
    const error = new LastgoodError("request.invalid", `there is no input "x"; accepted: ${names}`);
    const text = String(encodeError(error).body);
    expect(text).toMatch(/^there is no input "x"; accepted: .*…$/);
    expect(text.isWellFormed()).toBe(true);
    // As grpc-js writes it.
    expect(encodeURI(text).length).toBeLessThan(4200);
  }
});

test("what is internal stays inside", () => {
  const { status, body: text } = encodeError(LastgoodError.from(new Error("/secret")));
  expect(status).toBe(13);
  expect(text).not.toContain("secret");
});
