import fc from "fast-check";
import { expect, test } from "vitest";

import { codeOf } from "../../../test/support/refusal.ts";
import { blamedMetrics, combineEvidence } from "./combine.ts";

const some = fc
  .array(
    fc.record({
      part: fc.integer({ min: 0, max: 100 }),
      logE: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
    }),
    { minLength: 1, maxLength: 8 },
  )
  .filter((metrics) => metrics.some(({ part }) => part > 0))
  .map((metrics) => {
    const total = metrics.reduce((sum, { part }) => sum + part, 0);
    return metrics.map(({ part, logE }, index) => ({
      name: `m${index}`,
      weight: part / total,
      logE,
    }));
  });

test("the sum lies between what the best alone gives and the best", () => {
  fc.assert(
    fc.property(some, (metrics) => {
      const combined = combineEvidence(metrics);
      const alone = metrics.map(({ weight, logE }) => Math.log(weight) + logE);
      expect(Number.isFinite(combined)).toBe(true);
      expect(combined).toBeGreaterThanOrEqual(Math.max(...alone));
      const most = Math.max(...metrics.filter(({ weight }) => weight > 0).map(({ logE }) => logE));
      expect(combined).toBeLessThanOrEqual(most + 1e-9 * Math.max(1, Math.abs(most)));
    }),
  );
});

test("it is the weighted sum", () => {
  const combined = combineEvidence([
    { weight: 0.4, logE: Math.log(100) },
    { weight: 0.6, logE: Math.log(5) },
    { weight: 0, logE: 1e300 },
  ]);
  expect(Math.exp(combined)).toBeCloseTo(43, 10);
});

test("somebody is always to blame, and all who would have done alone", () => {
  fc.assert(
    fc.property(some, (metrics) => {
      const blamed = blamedMetrics(metrics, 0.001);
      const alone = metrics
        .filter(({ weight, logE }) => Math.log(weight) + logE >= Math.log(1000))
        .map(({ name }) => name);
      expect(blamed.length).toBeGreaterThan(0);
      expect(alone.length === 0 ? blamed.length : blamed).toEqual(alone.length === 0 ? 1 : alone);
    }),
  );
});

test("where none would have done alone it is the one with the most", () => {
  const metrics = [
    { name: "errors", weight: 0.5, logE: Math.log(1100) },
    { name: "latency", weight: 0.5, logE: Math.log(1200) },
  ];
  expect(combineEvidence(metrics)).toBeGreaterThan(Math.log(1000));
  expect(blamedMetrics(metrics, 0.001)).toEqual(["latency"]);
});

const impossible: readonly (readonly [string, () => unknown])[] = [
  ["no metric", () => combineEvidence([])],
  ["weights that sum to less", () => combineEvidence([{ weight: 0.9, logE: 0 }])],
  ["a weight above 1", () => combineEvidence([{ weight: 1.1, logE: 0 }])],
  ["endless evidence", () => combineEvidence([{ weight: 1, logE: Infinity }])],
  ["an alpha of 0", () => blamedMetrics([{ name: "a", weight: 1, logE: 0 }], 0)],
];
for (const [name, run] of impossible)
  test(`${name} is refused`, () => {
    expect(codeOf(run)).toBe("evidence.invalid");
  });
