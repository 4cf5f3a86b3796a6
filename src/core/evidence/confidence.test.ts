import fc from "fast-check";
import { expect, test } from "vitest";

import { codeOf } from "../../../test/support/refusal.ts";
import { alwaysValidP, limitWithoutBaseline, rateConfidenceSequence } from "./confidence.ts";

test("the p-value is 1 over the largest e-value, and never above 1", () => {
  expect(alwaysValidP(Math.log(1000))).toBeCloseTo(0.001, 15);
  expect(alwaysValidP(-3)).toBe(1);
  expect(alwaysValidP(1e6)).toBe(0);
});

test("an interval holds its own rate, within 0 and 1, and shrinks as alpha grows", () => {
  const most = fc.constantFrom(1, 10, 1_000, 1e6, 1e12);
  fc.assert(
    fc.property(most, fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (size, n, share) => {
      const requests = 1 + (n % size);
      const bad = Math.floor(share * requests);
      const wide = rateConfidenceSequence({ requests, bad }, 0.001);
      const narrow = rateConfidenceSequence({ requests, bad }, 0.05);
      const rate = bad / requests;
      const ascending = [0, wide.lower, narrow.lower, rate, narrow.upper, wide.upper, 1];
      expect(ascending).toEqual(ascending.toSorted((a, b) => a - b));
    }),
  );
});

test("good and bad are alike", () => {
  const { lower, upper } = rateConfidenceSequence({ requests: 500, bad: 30 }, 0.01);
  const other = rateConfidenceSequence({ requests: 500, bad: 470 }, 0.01);
  expect(other.lower).toBeCloseTo(1 - upper, 12);
  expect(other.upper).toBeCloseTo(1 - lower, 12);
});

test("a million million requests narrow it to a few standard deviations", () => {
  const { lower, upper } = rateConfidenceSequence({ requests: 1e12, bad: 5e9 }, 0.05);
  expect(upper - lower).toBeGreaterThan(4 * Math.sqrt(0.005 / 1e12));
  expect(upper - lower).toBeLessThan(14 * Math.sqrt(0.005 / 1e12));
});

test("without requests nothing is known", () => {
  expect(rateConfidenceSequence({ requests: 0, bad: 0 }, 0.05)).toEqual({ lower: 0, upper: 1 });
});

test("the limit of a bake is the objective, or what the old version may have had", () => {
  const window = { requests: 1_000, bad: 10 };
  const { upper } = rateConfidenceSequence(window, 0.001);
  const settings = { objective: 0.01, alpha: 0.001, relative: 1, absolute: 0.001 };
  expect(limitWithoutBaseline(window, settings)).toBeCloseTo(upper + 0.001, 12);
  expect(limitWithoutBaseline(window, { ...settings, objective: 0.2 })).toBe(0.2);
  expect(limitWithoutBaseline({ requests: 0, bad: 0 }, settings)).toBe(1);
});

const impossible: readonly (readonly [string, () => unknown])[] = [
  ["more bad than there are", () => rateConfidenceSequence({ requests: 1, bad: 2 }, 0.05)],
  ["an alpha of 1", () => rateConfidenceSequence({ requests: 1, bad: 1 }, 1)],
  ["endless evidence", () => alwaysValidP(Infinity)],
  [
    "an objective of 1",
    () =>
      limitWithoutBaseline(
        { requests: 1, bad: 0 },
        { objective: 1, alpha: 0.01, relative: 1, absolute: 0 },
      ),
  ],
];
for (const [name, run] of impossible)
  test(`${name} is refused`, () => {
    expect(codeOf(run)).toBe("evidence.invalid");
  });
