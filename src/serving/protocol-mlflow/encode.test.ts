import { expect, test } from "vitest";

import type { OutputValue } from "../../core/tensor/index.ts";
import { encode } from "./encode.ts";

const label: OutputValue = {
  name: "label",
  dtype: "INT64",
  shape: [2],
  data: BigInt64Array.of(9_007_199_254_740_993n, 1n),
};
const column: OutputValue = {
  name: "score",
  dtype: "FP32",
  shape: [2, 1],
  data: Float32Array.of(0.5, 2),
};
const matrix: OutputValue = {
  name: "p",
  dtype: "FP64",
  shape: [2, 2],
  data: Float64Array.of(0.1, 0.9, 0.25, 0.75),
};
const maps: OutputValue = {
  name: "maps",
  kind: "maps",
  keys: [0, 1],
  values: Float32Array.of(0.5, 0.25, 0, 1),
  rows: 2,
};
const words: OutputValue = { name: "w", dtype: "BYTES", shape: [2], data: ["a", 'b"'] };
const flags: OutputValue = { name: "f", dtype: "BOOL", shape: [2], data: Uint8Array.of(0, 1) };
const one: OutputValue = { name: "one", dtype: "FP32", shape: [], data: Float32Array.of(3) };

function answer(outputs: readonly OutputValue[], kind: "frame" | "tensors"): string {
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

test.each<[string, OutputValue[], string]>([
  [
    "columns of one length",
    [label, column, words, flags],
    '[{"label":9007199254740993,"score":0.5,"w":"a","f":false},{"label":1,"score":2,"w":"b\\"","f":true}]',
  ],
  ["maps as objects", [maps], '[{"maps":{"0":0.5,"1":0.25}},{"maps":{"0":0,"1":1}}]'],
  ["a matrix flattened, as MLflow does", [matrix], '[{"p":0.1},{"p":0.9},{"p":0.25},{"p":0.75}]'],
  [
    "a row of each where lengths differ",
    [flags, matrix],
    '[{"f":false,"p":[0.1,0.9]},{"f":true,"p":[0.25,0.75]}]',
  ],
  ["tensors where the rows differ", [flags, one], '{"f":[false,true],"one":3}'],
  ["nothing for no outputs", [], "[]"],
])("a frame is answered with %s", (_what, outputs, predictions) => {
  expect(answer(outputs, "frame")).toBe(`{"predictions":${predictions}}`);
});

test("tensors are answered with nested arrays by output name", () => {
  expect(answer([label, matrix, maps, one, words], "tensors")).toBe(
    '{"predictions":{"label":[9007199254740993,1],"p":[[0.1,0.9],[0.25,0.75]],' +
      '"maps":[{"0":0.5,"1":0.25},{"0":0,"1":1}],"one":3,"w":["a","b\\""]}}',
  );
});

test("NaN and infinities that a policy lets through are the tokens of Python's JSON", () => {
  const data = Float32Array.of(NaN, -Infinity);
  const output: OutputValue = { name: "o", dtype: "FP32", shape: [2], data };
  expect(answer([output], "frame")).toBe('{"predictions":[{"o":NaN},{"o":-Infinity}]}');
});

test("the only output of a server of its own that has no name is answered as its values", () => {
  const call = { inputs: [], id: null, requestedOutputs: null, form: { kind: "frame" } } as const;
  const classes: OutputValue = {
    name: "predictions",
    dtype: "INT64",
    shape: [2],
    data: BigInt64Array.of(0n, 2n),
  };
  const said = (nameless: boolean): string => {
    const output = { name: "predictions", kind: "tensor", dtype: "INT64", shape: [-1] } as const;
    const signature = { inputs: [], outputs: [{ ...output, ...(nameless ? { nameless } : {}) }] };
    return String(encode([classes], { endpoint: "e", version: "v1", signature, call }).body);
  };
  expect(said(true)).toBe('{"predictions":[0,2]}');
  expect(said(false)).toBe('{"predictions":[{"predictions":0},{"predictions":2}]}');
});

test("what the version's own server wrote is passed on as it is", () => {
  const scoring = '{"predictions": [{"n": 1.0}]}';
  const call = { inputs: [], id: null, requestedOutputs: null, form: { kind: "tensors" } } as const;
  const signature = { inputs: [], outputs: [] };
  const { body } = encode([one], { endpoint: "e", version: "v1", signature, call, scoring });
  expect(body).toBe(scoring);
});
