import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import type { OutputValue } from "../../core/tensor/index.ts";
import { encode } from "./encode.ts";

const y: OutputValue = { name: "y", dtype: "FP32", shape: [3], data: Float32Array.of(2.5, 3, 4.5) };
const p: OutputValue = {
  name: "p",
  dtype: "FP64",
  shape: [3, 2],
  data: Float64Array.of(0.1, 0.9, 0.25, 0.75, NaN, -Infinity),
};
const words: OutputValue = { name: "w", dtype: "BYTES", shape: [3], data: ["a", 'b"', "ü"] };
const photo: OutputValue = {
  name: "photo_bytes",
  dtype: "BYTES",
  shape: [3, 1],
  data: ["a", "", "ü"],
};
const maps: OutputValue = {
  name: "maps",
  kind: "maps",
  keys: [0, 1],
  values: Float32Array.of(0.5, 0.25, 0, 1, 0.5, 0.5),
  rows: 3,
};
const one: OutputValue = { name: "one", dtype: "INT64", shape: [1], data: BigInt64Array.of(7n) };

function answer(outputs: readonly OutputValue[], kind: "rows" | "columns"): string {
  const call = { inputs: [], id: null, requestedOutputs: null, form: { kind } } as const;
  const { status, headers, body } = encode(outputs, {
    endpoint: "e",
    version: "v1",
    signature: { inputs: [], outputs: [] },
    call,
  });
  expect([status, headers]).toEqual([200, { "content-type": "application/json" }]);
  return String(body);
}

test.each<[string, OutputValue[], string, string]>([
  ["one output", [y], "[2.5,3,4.5]", "[2.5,3,4.5]"],
  [
    "several",
    [y, words],
    '[{"y":2.5,"w":"a"},{"y":3,"w":"b\\""},{"y":4.5,"w":"ü"}]',
    '{"y":[2.5,3,4.5],"w":["a","b\\"","ü"]}',
  ],
  [
    "a matrix with what JSON does not have",
    [p],
    "[[0.1,0.9],[0.25,0.75],[NaN,-Infinity]]",
    "[[0.1,0.9],[0.25,0.75],[NaN,-Infinity]]",
  ],
  [
    "bytes by the name's ending",
    [photo],
    '[[{"b64":"YQ=="}],[{"b64":""}],[{"b64":"w7w="}]]',
    '[[{"b64":"YQ=="}],[{"b64":""}],[{"b64":"w7w="}]]',
  ],
  [
    "maps as objects",
    [maps],
    '[{"0":0.5,"1":0.25},{"0":0,"1":1},{"0":0.5,"1":0.5}]',
    '[{"0":0.5,"1":0.25},{"0":0,"1":1},{"0":0.5,"1":0.5}]',
  ],
])("%s", (_what, outputs, rows, columns) => {
  expect(answer(outputs, "rows")).toBe(`{"predictions":${rows}}`);
  expect(answer(outputs, "columns")).toBe(`{"outputs":${columns}}`);
});

test("outputs of different length cannot be rows", () => {
  expect(answer([y, one], "columns")).toBe('{"outputs":{"y":[2.5,3,4.5],"one":[7]}}');
  expect(() => answer([y, one], "rows")).toThrow(LastgoodError);
});
