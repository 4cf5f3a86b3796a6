import fc from "fast-check";
import { expect, test } from "vitest";

import { codeOf } from "../../../test/support/refusal.ts";
import { costToDetect, smallestDetectableRate, type ComparisonPlan } from "./plan.ts";

const plan: ComparisonPlan = {
  split: 0.1,
  baseRate: 0.005,
  alpha: 0.001,
  relative: 1,
  absolute: 0,
};

test("errors until detection do not depend on the base rate", () => {
  for (const [severity, errors] of [
    [2, 50],
    [4, 15.8],
    [10, 7.8],
  ] as const)
    for (const baseRate of [0.0005, 0.005, 0.05]) {
      const cost = costToDetect({ ...plan, baseRate }, severity * baseRate);
      expect(Math.abs((cost?.candidateBad ?? NaN) - errors)).toBeLessThan(0.5);
      expect(cost?.requests).toBeCloseTo((cost?.candidateBad ?? NaN) / (0.1 * severity * baseRate));
    }
});

/** Medians of simulated delays, STATISTICS.md section 2: tolerance, candidate's rate, requests. */
const measured: readonly (readonly [number, number, number, number])[] = [
  [1, 0, 0.01, 48_700],
  [1, 0, 0.02, 7_151],
  [1, 0, 0.05, 1_347],
  [1, 0, 0.2, 215],
  [1, 0, 1, 38],
  [1, 0.001, 0.01, 79_600],
  [1, 0.001, 0.02, 8_703],
  [1, 0.0025, 0.05, 1_707],
  [1.5, 0, 0.02, 13_700],
  [2, 0, 0.05, 2_690],
];
for (const [relative, absolute, rate, requests] of measured)
  test(`a rate of ${rate} beyond ${relative} times and ${absolute} takes about ${requests}`, () => {
    const cost = costToDetect({ ...plan, relative, absolute }, rate);
    expect((cost?.requests ?? NaN) / requests).toBeGreaterThan(0.75);
    expect((cost?.requests ?? NaN) / requests).toBeLessThan(1.25);
  });

test("what is tolerated is never found, nor what is hardly above it", () => {
  expect(costToDetect(plan, 0.005)).toBeNull();
  expect(costToDetect(plan, 0.0055)).toBeNull();
  expect(costToDetect({ ...plan, absolute: 0.005 }, 0.01)).toBeNull();
});

test("where nothing goes wrong today a few errors are enough", () => {
  const cost = costToDetect({ ...plan, baseRate: 0 }, 0.01);
  expect(cost?.candidateBad).toBeGreaterThan(3);
  expect(cost?.candidateBad).toBeLessThan(5);
});

test("the smallest regression found is one that takes that many requests", () => {
  const rates = fc.double({ min: 0, max: 0.3, noNaN: true });
  const splits = fc.double({ min: 0.01, max: 0.9, noNaN: true });
  fc.assert(
    fc.property(rates, splits, fc.integer({ min: 1, max: 1e7 }), (baseRate, split, requests) => {
      const some = { ...plan, baseRate, split };
      const rate = smallestDetectableRate(some, requests);
      expect(rate ?? 1).toBeGreaterThan(baseRate);
      const needed = costToDetect(some, rate ?? 1)?.requests ?? Infinity;
      expect(needed <= requests).toBe(rate !== null);
      // A little less is not found any more.
      const less = costToDetect(some, (rate ?? 1) * (1 - 1e-9))?.requests ?? Infinity;
      expect(less).toBeGreaterThan(requests * (1 - 1e-6));
    }),
  );
});

test("clustered errors cost as much more as they cluster", () => {
  const single = costToDetect(plan, 0.02);
  const clustered = costToDetect({ ...plan, dispersion: 3 }, 0.02);
  expect(clustered?.requests).toBeCloseTo(3 * (single?.requests ?? NaN), 6);
});

const impossible: readonly (readonly [string, () => unknown])[] = [
  ["a split of 0", () => costToDetect({ ...plan, split: 0 }, 0.1)],
  ["a base rate of 1", () => costToDetect({ ...plan, baseRate: 1 }, 0.1)],
  ["a candidate that never fails", () => costToDetect(plan, 0)],
  ["a rate above 1", () => costToDetect(plan, 1.1)],
  ["negative requests", () => smallestDetectableRate(plan, -1)],
];
for (const [name, run] of impossible)
  test(`${name} is refused`, () => {
    expect(codeOf(run)).toBe("evidence.invalid");
  });
