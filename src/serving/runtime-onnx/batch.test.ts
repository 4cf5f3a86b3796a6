import fc from "fast-check";
import { expect, test } from "vitest";

import type { MapSequence, Tensor } from "../../core/tensor/index.ts";
import { BatchKeys, batchKey, joinInputs, splitOutputs } from "./batch.ts";

function matrix(rows: number, columns: number, start: number): Tensor {
  const data = Float32Array.from({ length: rows * columns }, (_, index) => start + index);
  return { name: "x", dtype: "FP32", shape: [rows, columns], data };
}

const requests = fc
  .tuple(
    fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 6 }),
    fc.integer({ min: 1, max: 4 }),
  )
  .map(([rows, columns]) => rows.map((count, index) => [matrix(count, columns, index * 100)]));

test("what is joined for a run and split again is what each request brought", () => {
  fc.assert(
    fc.property(requests, (inputs) => {
      const rows = inputs.map(([input]) => input?.shape[0] ?? 0);
      const total = rows.reduce((sum, count) => sum + count, 0);
      const [joined] = joinInputs(inputs, total);
      const data = Float32Array.from(
        (joined?.parts ?? []).flatMap((part) => [...part].map(Number)),
      );
      const whole: Tensor = { name: "x", dtype: "FP32", shape: joined?.shape ?? [], data };
      expect(splitOutputs([whole], rows)).toEqual(inputs);
    }),
  );
});

test("maps and texts are split by rows like tensors", () => {
  const maps: MapSequence = {
    name: "p",
    kind: "maps",
    keys: ["a", "b"],
    values: Float32Array.of(1, 2, 3, 4, 5, 6),
    rows: 3,
  };
  const label: Tensor = { name: "l", dtype: "BYTES", shape: [3], data: ["a", "b", "c"] };
  expect(splitOutputs([label, maps], [1, 2])).toEqual([
    [
      { ...label, shape: [1], data: ["a"] },
      { ...maps, rows: 1, values: Float32Array.of(1, 2) },
    ],
    [
      { ...label, shape: [2], data: ["b", "c"] },
      { ...maps, rows: 2, values: Float32Array.of(3, 4, 5, 6) },
    ],
  ]);
});

test("outputs without one row for each are not split", () => {
  expect(splitOutputs([matrix(2, 1, 0)], [1, 2])).toBeNull();
  const scalar: Tensor = { name: "s", dtype: "FP32", shape: [], data: Float32Array.of(1) };
  expect(splitOutputs([scalar], [1])).toBeNull();
});

test("the key differs where name, dtype, rank or a later axis does, and only there", () => {
  const base = matrix(1, 2, 0);
  expect(batchKey([matrix(5, 2, 9)])).toBe(batchKey([base]));
  const others: Tensor[] = [
    { ...base, name: "y" },
    { ...base, dtype: "INT32" },
    { ...base, shape: [1, 2, 1] },
    matrix(1, 3, 0),
  ];
  expect(new Set([base, ...others].map((tensor) => batchKey([tensor]))).size).toBe(5);
});

test("a key is remembered for inputs like the last ones, and only for those", () => {
  const keys = new BatchKeys();
  const { shape, ...rest } = matrix(1, 2, 0);
  const forms: Tensor[][] = [
    [matrix(1, 2, 0)],
    [matrix(3, 2, 7)],
    [matrix(1, 3, 0)],
    [{ ...rest, shape: [...shape, 1] }],
    [{ ...rest, shape, name: "y" }],
    [{ ...rest, shape, dtype: "INT32" }],
    [matrix(1, 2, 0), matrix(1, 2, 0)],
    [],
  ];
  for (const before of forms)
    for (const inputs of forms) {
      expect(keys.of(before)).toBe(batchKey(before));
      expect(keys.of(inputs)).toBe(batchKey(inputs));
    }
});
