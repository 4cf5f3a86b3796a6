import { expect, test } from "vitest";

import type { Tensor } from "../../core/tensor/index.ts";
import type { OutputSpec, Signature, TensorSpec } from "../../core/version/index.ts";
import { mlflowForms, readPlain, readScoring, writePlain, writeScoring } from "./plain-wire.ts";

function spec(name: string, dtype: TensorSpec["dtype"], shape: readonly number[]): TensorSpec {
  return { name, kind: "tensor", dtype, shape };
}

const gives = (...outputs: readonly OutputSpec[]): Signature => ({ inputs: [], outputs });
const matrix: Tensor = {
  name: "x",
  dtype: "FP64",
  shape: [2, 2],
  data: Float64Array.of(1, 2, 3, 4.5),
};
const columns: Tensor[] = [
  { name: "age", dtype: "INT64", shape: [2], data: BigInt64Array.of(30n, 9007199254740993n) },
  { name: "town", dtype: "BYTES", shape: [2, 1], data: ["Bonn", 'a"b'] },
];

function forms(...inputs: readonly TensorSpec[]): readonly string[] {
  return mlflowForms({ inputs, outputs: [] });
}

/** Shape and numbers of each output. */
function read(predictions: unknown, ...outputs: readonly OutputSpec[]): unknown {
  return readScoring(JSON.stringify({ predictions }), gives(...outputs)).map(({ shape, data }) => [
    shape,
    [...data].map(Number),
  ]);
}

test("MLflow is asked for a table, a tensor, or tensors by name", () => {
  expect(writeScoring(columns, "frame")).toBe(
    String.raw`{"dataframe_split":{"columns":["age","town"],"data":[[30,"Bonn"],[9007199254740993,"a\"b"]]}}`,
  );
  expect(writeScoring([matrix], "tensor")).toBe('{"inputs":[[1,2],[3,4.5]]}');
  expect(writeScoring([matrix], "named")).toBe('{"inputs":{"x":[[1,2],[3,4.5]]}}');
  expect(writePlain([matrix])).toBe('{"x":[[1,2],[3,4.5]]}');
});

test("which of them a model may want follows from its inputs", () => {
  expect(forms(spec("x", "FP64", [-1, 4]))).toEqual(["tensor", "named"]);
  expect(forms(spec("a", "FP64", [-1]), spec("b", "INT64", [-1, 1]))).toEqual(["frame", "named"]);
  expect(forms(spec("a", "FP64", [-1, 3]), spec("b", "INT64", [-1]))).toEqual(["named"]);
});

test("a scoring answer is read by the signature: bare, by name, as records, in another number of axes", () => {
  const label = spec("label", "INT64", [-1]);
  const score = spec("score", "FP64", [-1, 2]);
  expect(read([1, 0], label)).toEqual([[[2], [1, 0]]]);
  expect(read({ label: [1, 0] }, label)).toEqual([[[2], [1, 0]]]);
  expect(read([{ label: 1 }, { label: 0 }], label)).toEqual([[[2], [1, 0]]]);
  expect(read([{ "0": 7 }], label)).toEqual([[[1], [7]]]);
  expect(read([1, 0], spec("label", "INT64", [-1, 1]))).toEqual([
    [
      [2, 1],
      [1, 0],
    ],
  ]);
  expect(read([{ label: 1, score: [0.5, 0.25] }], label, score)).toEqual([
    [[1], [1]],
    [
      [1, 2],
      [0.5, 0.25],
    ],
  ]);
  expect(read({ label: [1], score: [[0.5, 0.25]] }, label, score)).toHaveLength(2);
});

test("a plain answer may be an object or the output alone", () => {
  const y = gives(spec("y", "FP32", [-1]));
  for (const text of ["[1.5, 2]", '{"y": [1.5, 2]}', '{"anything": [1.5, 2]}'])
    expect(readPlain(text, y)).toEqual([
      { name: "y", dtype: "FP32", shape: [2], data: Float32Array.of(1.5, 2) },
    ]);
});

test("an answer that is not what was promised is the version's failure, and says why", () => {
  const y = gives(spec("y", "INT64", [-1]));
  const cases = [
    ["rubbish", /not JSON/],
    ["{}", /predictions/],
    ['{"predictions": [1.5]}', /element 0 of output y is "1.5", not INT64/],
    ['{"predictions": ["a"]}', /element 0 of output y/],
    ['{"predictions": [[1, 2], [3]]}', /differ in length/],
    ['{"predictions": {"a": 1, "b": 2}}', /has no y, only a, b/],
  ] as const;
  for (const [text, why] of cases) expect(() => readScoring(text, y)).toThrow(why);
  const two = gives(spec("a", "INT64", [-1]), spec("b", "INT64", [-1]));
  expect(() => readScoring('{"predictions": [1]}', two)).toThrow(/which of it is output a/);
});
