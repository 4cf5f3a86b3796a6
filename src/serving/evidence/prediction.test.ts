import { expect, test } from "vitest";

import { outputBin, outputBinLabel } from "../../core/analysis/index.ts";
import type { OutputValue, Tensor } from "../../core/tensor/index.ts";
import { Labels, predictionOf } from "./prediction.ts";

function tensor(dtype: Tensor["dtype"], shape: readonly number[], data: Tensor["data"]): Tensor {
  return { name: dtype, dtype, shape, data };
}

const scores = tensor("FP32", [2, 3], Float32Array.of(0.1, 0.7, 0.2, 1, 0, 0));
const maps: OutputValue = {
  name: "p",
  kind: "maps",
  keys: ["benign", "malignant"],
  values: Float32Array.of(0.2, 0.8),
  rows: 1,
};
const scalar = tensor("FP64", [1, 1], Float64Array.of(-250));
const halves = tensor("FP16", [1, 2], Uint16Array.of(0xbc00, 0x3c00));

const cases: readonly (readonly [string, readonly OutputValue[], unknown])[] = [
  ["a class", [scores, tensor("INT64", [2], BigInt64Array.of(7n, 3n))], 7n],
  ["a text", [tensor("BYTES", [1], ["cat"]), scores], "cat"],
  ["a flag", [tensor("BOOL", [1], Uint8Array.of(1))], 1],
  ["maps before scores", [scores, maps], "malignant"],
  ["scores", [scalar, scores], 1],
  ["scores of half precision", [halves], 1],
  ["a number", [scalar], outputBinLabel(outputBin(-250))],
  ["no rows", [tensor("INT64", [0], new BigInt64Array())], null],
  ["no rows of scores", [tensor("FP32", [0, 3], new Float32Array())], null],
  ["a map without rows", [{ ...maps, rows: 0 }], null],
  ["nothing", [], null],
];
for (const [what, outputs, expected] of cases)
  test(`the prediction of ${what}`, () => {
    expect(predictionOf(outputs)).toBe(expected);
  });

test("bins are ordered, as wide as a quarter, and named by where they begin", () => {
  const values = [-1e12, -250, -3, -1e-3, -1e-12, 0, 1e-12, 1e-3, 0.5, 0.51, 0.99, 3, 250, 1e12];
  const found = values.map(outputBin);
  expect(found).toEqual(found.toSorted((a, b) => a - b));
  expect(new Set(found).size).toBe(values.length - 3);
  for (const value of [0.003, 0.5, 42, 1e6]) {
    const edge = Number(outputBinLabel(outputBin(value)).slice(1));
    expect(value / edge).toBeGreaterThan(0.99);
    expect(value / edge).toBeLessThan(1.26);
    expect(outputBinLabel(outputBin(-value))).toBe(`~-${edge}`);
  }
  expect(outputBinLabel(outputBin(Number.NaN))).toBe("~0");
});

test("the first labels are kept for good, all further ones are one", () => {
  const labels = new Labels<string>();
  const first = Array.from({ length: 64 }, (_, index) => labels.of(`label ${index}`));
  expect(labels.of("one more")).toBe("other");
  expect(labels.of("label 3")).toBe(first[3]);
  expect(new Labels<string>().of("x".repeat(300))).toHaveLength(100);
});
