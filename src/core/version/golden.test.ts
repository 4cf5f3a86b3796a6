import fc from "fast-check";
import { expect, test } from "vitest";

import type { DType, MapSequence, Tensor, TensorData } from "../tensor/index.ts";
import {
  goldenDifference,
  GOLDEN_TOLERANCE,
  halfToNumber,
  notFiniteIn,
  notFiniteObjection,
} from "./golden.ts";

function tensor(dtype: DType, data: TensorData, shape = [data.length]): Tensor {
  return { name: "y", dtype, shape, data };
}

function floats(...values: number[]): Tensor {
  return tensor("FP64", Float64Array.from(values));
}

function agrees(recorded: number, replayed: number): boolean {
  return goldenDifference([floats(recorded)], [floats(replayed)]) === null;
}

test("numbers agree within relative 1e-4 and absolute 1e-6", () => {
  expect(GOLDEN_TOLERANCE).toEqual({ relative: 1e-4, absolute: 1e-6 });
  expect(agrees(1, 1.0001)).toBe(true);
  expect(agrees(1, 1.0002)).toBe(false);
  expect(agrees(1e6, 1e6 + 100)).toBe(true);
  expect(agrees(1e6, 1e6 + 101)).toBe(false);
  expect(agrees(0, 1e-6)).toBe(true);
  expect(agrees(0, 1.1e-6)).toBe(false);
});

test("0 and -0 are one number; NaN agrees with NaN alone, an infinity with itself", () => {
  expect(agrees(0, -0)).toBe(true);
  expect(agrees(Number.NaN, Number.NaN)).toBe(true);
  expect(agrees(Number.NaN, 0)).toBe(false);
  expect(agrees(0, Number.NaN)).toBe(false);
  expect(agrees(Infinity, Infinity)).toBe(true);
  expect(agrees(Infinity, -Infinity)).toBe(false);
  expect(agrees(Infinity, 1)).toBe(false);
  expect(agrees(1, Infinity)).toBe(false);
});

test("agreeing is mutual, and every number agrees with itself", () => {
  fc.assert(
    fc.property(fc.double(), fc.double(), (a, b) => {
      expect(agrees(a, a)).toBe(true);
      expect(agrees(a, b)).toBe(agrees(b, a));
    }),
  );
});

test("classes, integers and strings agree exactly", () => {
  const pairs: readonly (readonly [Tensor, Tensor])[] = [
    [tensor("INT64", BigInt64Array.of(10_000n)), tensor("INT64", BigInt64Array.of(10_001n))],
    [tensor("INT32", Int32Array.of(100_000)), tensor("INT32", Int32Array.of(100_001))],
    [tensor("BOOL", Uint8Array.of(1)), tensor("BOOL", Uint8Array.of(0))],
    [tensor("BYTES", ["setosa"]), tensor("BYTES", ["Setosa"])],
  ];
  for (const [recorded, replayed] of pairs) {
    expect(goldenDifference([recorded], [recorded])).toBeNull();
    expect(goldenDifference([recorded], [replayed])).toMatch(/^y\[0\] is .* \(was .*\)$/);
  }
});

function half(bits: number): Tensor {
  return tensor("FP16", Uint16Array.of(bits));
}

test("FP16 is compared as the numbers its bits say", () => {
  // 0x3c00 is 1, the next one above is 1.0009765625: neighbours, and too far apart.
  expect(goldenDifference([half(0x3c00)], [half(0x3c01)])).not.toBeNull();
  // The two smallest subnormals differ by 6e-8.
  expect(goldenDifference([half(0x0001)], [half(0x0002)])).toBeNull();
  expect(goldenDifference([half(0x0000)], [half(0x8000)])).toBeNull();
  expect(goldenDifference([half(0x7e00)], [half(0x7e01)])).toBeNull();
  expect(goldenDifference([half(0x7c00)], [half(0xfc00)])).not.toBeNull();
});

test("halfToNumber reads every bit pattern as IEEE 754 binary16 does", () => {
  const wrong: number[] = [];
  for (let bits = 0; bits <= 0xffff; bits += 1) {
    if (!Object.is(halfToNumber(bits), halfByParts(bits))) wrong.push(bits);
  }
  expect(wrong).toEqual([]);
  expect(halfToNumber(0x3c00)).toBe(1);
  expect(halfToNumber(0xc000)).toBe(-2);
  expect(halfToNumber(0x7bff)).toBe(65_504);
  expect(halfToNumber(0x8000)).toBe(-0);
});

/** By way of binary32: the same fields, moved and re-biased. */
function halfByParts(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  const sign = (bits & 0x8000) << 16;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return (sign === 0 ? 1 : -1) * (fraction / 1024) * 2 ** -14;
  const wide = exponent === 31 ? 255 : exponent + 112;
  view.setUint32(0, (sign | (wide << 23) | (fraction << 13)) >>> 0);
  return view.getFloat32(0);
}

test("what differs is named: missing output, dtype, shape, length, kind", () => {
  const recorded = floats(1, 2);
  const other = (fields: Partial<Tensor>): string | null =>
    goldenDifference([recorded], [{ ...recorded, ...fields }]);
  expect(goldenDifference([recorded], [])).toBe("y is missing");
  expect(other({ name: "z" })).toBe("y is missing");
  expect(other({ dtype: "FP32" })).toBe("y became FP32");
  expect(other({ shape: [1, 2] })).toBe("y has shape [1, 2] (was [2])");
  expect(other({ data: Float64Array.of(1) })).toBe("y has 1 elements (was 2)");
  expect(other({ data: Float64Array.of(1, 3) })).toBe("y[1] is 3 (was 2)");
  expect(goldenDifference([recorded], [maps(["a"], [1])])).toBe("y changed its kind");
  expect(goldenDifference([recorded], [floats(1, 2), { ...recorded, name: "more" }])).toBeNull();
});

function maps(keys: readonly (string | number)[], values: readonly number[]): MapSequence {
  const rows = values.length / keys.length;
  return { name: "y", kind: "maps", keys, values: Float64Array.from(values), rows };
}

test("sequences of maps are compared by keys, rows and scores", () => {
  const recorded = maps(["no", "yes"], [0.25, 0.75]);
  expect(goldenDifference([recorded], [maps(["no", "yes"], [0.25001, 0.74999])])).toBeNull();
  expect(goldenDifference([recorded], [maps(["yes", "no"], [0.25, 0.75])])).toBe(
    "y has other keys",
  );
  expect(goldenDifference([maps(["1"], [1])], [maps([1], [1])])).toBe("y has other keys");
  expect(goldenDifference([maps(["1,2"], [1])], [maps(["1", "2"], [1, 0])])).toBe(
    "y has other keys",
  );
  expect(goldenDifference([recorded], [maps(["no", "yes"], [0.25, 0.75, 1, 0])])).toBe(
    "y has 2 rows",
  );
  expect(goldenDifference([recorded], [maps(["no", "yes"], [0.25, 0.8])])).toBe(
    "y[1] is 0.8 (was 0.75)",
  );
});

test("a NaN or an infinity is found in numbers of every width and in maps, and in nothing else", () => {
  expect(notFiniteIn(floats(1, Number.NaN))).toEqual({ at: 1, value: Number.NaN });
  expect(notFiniteIn(floats(-Infinity))).toEqual({ at: 0, value: -Infinity });
  expect(notFiniteIn(floats(1, 2))).toBeNull();
  expect(notFiniteIn(tensor("FP16", Uint16Array.of(0x3c00, 0x7c00)))).toEqual({
    at: 1,
    value: Infinity,
  });
  // The same bits are a number where they are not of a float.
  expect(notFiniteIn(tensor("UINT16", Uint16Array.of(0x7c00)))).toBeNull();
  expect(notFiniteIn(tensor("BYTES", ["NaN"]))).toBeNull();
  const values = Float64Array.of(Infinity);
  const perClass: MapSequence = { name: "y", kind: "maps", keys: ["a"], rows: 1, values };
  expect(notFiniteIn(perClass)).toEqual({ at: 0, value: Infinity });
});

function named(name: string, value: number): Tensor {
  return { ...floats(value), name };
}

test("what stable gives as well is no objection, output by output", () => {
  const good = { outputs: [named("label", 1), named("score", 0.5)] };
  const odd = { outputs: [named("label", 1), named("score", Number.NaN)] };
  const worse = { outputs: [named("label", Infinity), named("score", Number.NaN)] };
  expect(notFiniteObjection([good, odd], [good])).toBe("golden sample 2 of 2: score[0] is NaN");
  expect(notFiniteObjection([good, odd], [odd])).toBeNull();
  expect(notFiniteObjection([worse], [odd])).toBe("golden sample 1 of 1: label[0] is Infinity");
  expect(notFiniteObjection([good], [odd])).toBeNull();
  expect(notFiniteObjection([], [])).toBeNull();
});
