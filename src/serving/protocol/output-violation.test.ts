import { expect, test } from "vitest";

import type { OutputValue } from "../../core/tensor/index.ts";
import type { Signature } from "../../core/version/index.ts";
import { outputViolation } from "./output-violation.ts";

const signature: Signature = {
  inputs: [],
  outputs: [
    { name: "label", kind: "tensor", dtype: "INT64", shape: [-1] },
    { name: "score", kind: "tensor", dtype: "FP32", shape: [-1, 2] },
    { name: "maps", kind: "maps", keyDtype: "INT64", valueDtype: "FP32" },
    { name: "half", kind: "tensor", dtype: "FP16", shape: [1] },
  ],
};
const label: OutputValue = {
  name: "label",
  dtype: "INT64",
  shape: [1],
  data: BigInt64Array.of(1n),
};
const score: OutputValue = {
  name: "score",
  dtype: "FP32",
  shape: [1, 2],
  data: Float32Array.of(0.5, 0.5),
};
const maps: OutputValue = {
  name: "maps",
  kind: "maps",
  keys: [0, 1],
  values: Float32Array.of(0.5, 0.5),
  rows: 1,
};
const half: OutputValue = { name: "half", dtype: "FP16", shape: [1], data: Uint16Array.of(0x3c00) };
const good = [label, score, maps, half];

function check(outputs: readonly OutputValue[], allowNaN = false): string | null {
  return outputViolation(outputs, signature, { allowNaN });
}

test("outputs that keep the signature violate nothing, in any order and with others beside", () => {
  expect(check(good)).toBeNull();
  expect(check(good.toReversed())).toBeNull();
  expect(check([...good, { ...label, name: "extra" }])).toBeNull();
});

test.each<[string, OutputValue[], string]>([
  ["a missing output", [label, score, half], "output maps is missing"],
  [
    "another type",
    [{ ...label, dtype: "INT32", data: Int32Array.of(1) }, score, maps, half],
    "output label is INT32, promised INT64",
  ],
  [
    "another rank",
    [{ ...label, shape: [1, 1] }, score, maps, half],
    "output label has shape [1, 1], promised [any]",
  ],
  [
    "another axis",
    [label, { ...score, shape: [1, 3], data: new Float32Array(3) }, maps, half],
    "output score has shape [1, 3], promised [any, 2]",
  ],
  [
    "too few elements",
    [label, { ...score, data: new Float32Array(1) }, maps, half],
    "output score has 1 elements for the shape [1, 2]",
  ],
  [
    "text keys",
    [label, score, { ...maps, keys: ["a", "b"] }, half],
    "output maps has keys that are not INT64",
  ],
  [
    "too few values of maps",
    [label, score, { ...maps, rows: 2 }, half],
    "output maps has 2 values for 2 rows of 2 keys",
  ],
  [
    "a tensor for maps",
    [label, score, { ...label, name: "maps" }, half],
    "output maps is a tensor, promised a sequence of maps",
  ],
  [
    "maps for a tensor",
    [{ ...maps, name: "label" }, score, maps, half],
    "output label is a sequence of maps, promised a tensor",
  ],
])("%s is named", (_what, outputs, message) => {
  expect(check(outputs)).toBe(message);
});

test("NaN and infinities are violations unless the policy allows them", () => {
  const nan: OutputValue = { ...score, data: Float32Array.of(0, NaN) };
  const infinite: OutputValue = { ...maps, values: Float64Array.of(-Infinity, 0) };
  const halfNaN: OutputValue = { ...half, data: Uint16Array.of(0x7e00) };
  expect(check([label, nan, maps, half])).toBe("output score holds NaN at element 1");
  expect(check([label, score, infinite, half])).toBe("output maps holds -Infinity at element 0");
  expect(check([label, score, maps, halfNaN])).toBe(
    "output half holds NaN or Infinity at element 0",
  );
  expect(check([label, nan, infinite, halfNaN], true)).toBeNull();
});
