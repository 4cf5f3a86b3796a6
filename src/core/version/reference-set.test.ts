import fc from "fast-check";
import { expect, test } from "vitest";

import { tensorFromWire, type DType } from "../tensor/index.ts";
import { parseDigest } from "./name.ts";
import {
  binCount,
  binLabel,
  binning,
  referenceSetSchema,
  summariseInputs,
} from "./reference-set.ts";

const digest = parseDigest(`sha256:${"0".repeat(64)}`);

function summarise(dtype: DType, data: readonly (number | string)[], width = 1) {
  const shape = [data.length / width, width];
  const set = summariseInputs(
    digest,
    [tensorFromWire({ name: "x", dtype, shape, data: [...data] })],
    null,
  );
  expect(referenceSetSchema.parse(JSON.parse(JSON.stringify(set)))).toEqual(set);
  return set;
}

const hundred = Array.from({ length: 1_000 }, (_, at) => at / 10);

test("numbers are cut at the deciles of the set, its ends and what is missing being bins too", () => {
  const [feature] = summarise("FP64", hundred).features;
  const bins = feature?.bins ?? { kind: "category", values: [] };
  expect(bins).toEqual({
    kind: "number",
    edges: [0, 9.9, 19.9, 29.9, 39.9, 49.9, 59.9, 69.9, 79.9, 89.9, 99.9],
  });
  expect(feature?.counts).toEqual([0, ...Array.from({ length: 10 }, () => 100), 0, 0]);
  const binOf = binning(bins);
  const named = (value: number): string => binLabel(bins, binOf(value));
  expect([-1, 0, 9.9, 10, 99.9, 100, Infinity, -Infinity, NaN].map(named)).toEqual([
    "below 0",
    "0 to 9.9",
    "0 to 9.9",
    "9.9 to 19.9",
    "89.9 to 99.9",
    "above 99.9",
    "above 99.9",
    "below 0",
    "missing",
  ]);
});

test("a value that many rows share is a bin of its own, at the end and inside", () => {
  const spiky = hundred.map((value) => (value < 30 ? 0 : value < 60 ? 50 : value));
  const [feature] = summarise("FP64", spiky).features;
  const bins = feature?.bins ?? { kind: "category", values: [] };
  const binOf = binning(bins);
  expect(binLabel(bins, binOf(0))).toBe("0");
  expect(feature?.counts[binOf(0)]).toBe(300);
  expect(binOf(0.001)).not.toBe(binOf(0));
  expect(feature?.counts[binOf(50)]).toBe(300);
  expect(binOf(50.001)).not.toBe(binOf(50));
});

test("few distinct values are categories, whatever their type; others are other", () => {
  const flags = summarise(
    "FP32",
    Array.from({ length: 300 }, (_, at) => (at % 3 === 0 ? 0.1 : 1)),
  );
  const [flag] = flags.features;
  expect(flag?.bins).toEqual({ kind: "category", values: [1, Math.fround(0.1)] });
  expect(flag?.counts).toEqual([200, 100, 0, 0]);
  const texts = Array.from({ length: 300 }, (_, at) => (at < 200 ? "card" : `t${at}`));
  const [text] = summarise("BYTES", texts).features;
  expect(text?.counts[0]).toBe(200);
  expect(text?.counts.at(-2)).toBe(81);
  const bins = text?.bins ?? { kind: "category", values: [] };
  expect(binLabel(bins, binning(bins)("card"))).toBe('"card"');
  expect(binLabel(bins, binning(bins)("__proto__"))).toBe("any other value");
});

test("a row of several elements is that many features, up to 64, the rest counted", () => {
  const wide = summarise(
    "INT64",
    Array.from({ length: 70 * 3 }, (_, at) => String(at)),
    70,
  );
  expect(wide).toMatchObject({ rows: 3, leftOut: 6 });
  expect(wide.features.map(({ name }) => name).slice(0, 2)).toEqual(["x[0]", "x[1]"]);
  expect(wide.features).toHaveLength(64);
});

test("every row of any set lies in exactly one bin that its own edges name", () => {
  const value = fc.oneof(
    fc.double(),
    fc.double({ noNaN: true, min: -1, max: 1 }),
    fc.constantFrom(0, 1, -0, NaN, Infinity, -Infinity),
  );
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 300 }), value, (values, other) => {
      const data = values.map((one) => (Number.isFinite(one) ? one : String(one)));
      const [feature] = summarise("FP64", data).features;
      if (feature === undefined) throw new Error("no feature");
      const { bins, counts } = feature;
      expect(counts).toHaveLength(binCount(bins));
      expect(counts.reduce((sum, one) => sum + one, 0)).toBe(values.length);
      // Nothing of the set itself is beyond its ends, but for infinity.
      const infinite = [-Infinity, Infinity].map(
        (end) => values.filter((one) => one === end).length,
      );
      const beyond = bins.kind === "number" ? [counts[0], counts.at(-2)] : infinite;
      expect(beyond).toEqual(infinite);
      expect(counts[binning(bins)(other)]).toBeGreaterThanOrEqual(0);
    }),
  );
});
