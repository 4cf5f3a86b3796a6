import fc from "fast-check";
import { expect, test } from "vitest";

import { codeOf } from "../../../test/support/refusal.ts";
import { SEVERITIES } from "./bet-grid.ts";
import type { ArmCounts } from "./counts.ts";
import { addIncrements, logE, startEProcess } from "./e-process.ts";
import { meanBet, meanPromotionBet } from "./mean-bet.ts";
import {
  pairedBet,
  pairedLossBet,
  pairedLossPromotionBet,
  pairedPromotionBet,
} from "./paired-bet.ts";
import {
  logIncrement,
  payoffsAt,
  promotionBet,
  splitBet,
  stakeOn,
  type SplitBetSettings,
} from "./split-bet.ts";

const exact: SplitBetSettings = { relative: 1, absolute: 0, centre: 0 };
const counts = (nC: number, yC: number, nB: number, yB: number) => ({
  candidate: { requests: nC, bad: yC },
  stable: { requests: nB, bad: yB },
});
const logEOf = (increments: readonly number[]): number =>
  logE(
    addIncrements(
      startEProcess({ bets: increments.length === 16 ? "regression" : "safety", horizon: null }),
      increments,
    ),
  );

const upTo = (max: number) => fc.integer({ min: 0, max });
const arm = (most: number) =>
  fc
    .tuple(upTo(most), fc.double({ min: 0, max: 1, noNaN: true }))
    .map(([requests, share]) => ({ requests, bad: Math.floor(requests * share) }));
const settings: fc.Arbitrary<SplitBetSettings> = fc.record({
  relative: fc.double({ min: 1, max: 3, noNaN: true }),
  absolute: fc.double({ min: 0, max: 0.5, noNaN: true }),
  centre: fc.double({ min: 0, max: 0.99, noNaN: true }),
});
const knownSplit = fc.option(fc.double({ min: 1e-6, max: 1 - 1e-6, noNaN: true }), {
  nil: undefined,
});

/** STATISTICS.md, golden vector G2: split, severity, settings, stake, log factors by arm and outcome. */
const single: readonly (readonly [number, number, SplitBetSettings, readonly number[]])[] = [
  [0.1, 4, exact, [0.207692307692, 1.12393009665, 0, -0.262364264467, 0]],
  [
    0.1,
    4,
    { centre: 0.1, relative: 1.25, absolute: 0.01 },
    [0.18315018315, 0.95579317485, -0.262364264467, -0.262364264467, 0.0233317100127],
  ],
  [
    0.5,
    2,
    { ...exact, centre: 0.5 },
    [0.333333333333, 0.287682072452, -0.405465108108, -0.405465108108, 0.287682072452],
  ],
];
for (const [split, severity, chosen, [stakeGolden, ...factors]] of single)
  test(`G2: one bet on ${severity} at ${split}, ${JSON.stringify(chosen)}`, () => {
    const payoffs = payoffsAt(split, chosen);
    const stake = stakeOn(severity, split, payoffs);
    expect(stake).toBeCloseTo(stakeGolden ?? NaN, 11);
    const one = [counts(1, 1, 0, 0), counts(1, 0, 0, 0), counts(0, 0, 1, 1), counts(0, 0, 1, 0)];
    one.forEach((request, index) => {
      expect(logIncrement(stake, payoffs, request)).toBeCloseTo(factors[index] ?? NaN, 11);
    });
  });

test("one bet is the likelihood ratio of whose error it was", () => {
  for (const split of [0.01, 0.1, 0.5])
    for (const severity of [1.25, 4, 300]) {
      const payoffs = payoffsAt(split, exact);
      const stake = stakeOn(severity, split, payoffs);
      const candidates = (split * severity) / (split * severity + 1 - split);
      const ratio = 7 * Math.log(candidates / split) + 5 * Math.log((1 - candidates) / (1 - split));
      expect(logIncrement(stake, payoffs, counts(100, 7, 900, 5))).toBeCloseTo(ratio, 10);
    }
});

test("centred at the common rate one bet is the e-variable of the two-by-two table", () => {
  for (const [split, candidate, stable] of [
    [0.1, 0.3, 0.1],
    [0.5, 0.06, 0.05],
    [0.3, 0.9, 0.2],
  ] as const) {
    const centre = split * candidate + (1 - split) * stable;
    const stake = (split * (1 - split) * (candidate - stable)) / (centre * (1 - centre));
    const payoffs = payoffsAt(split, { ...exact, centre });
    const ratio =
      3 * Math.log(candidate / centre) +
      17 * Math.log((1 - candidate) / (1 - centre)) +
      2 * Math.log(stable / centre) +
      28 * Math.log((1 - stable) / (1 - centre));
    expect(logIncrement(stake, payoffs, counts(20, 3, 30, 2))).toBeCloseTo(ratio, 10);
  }
});

test("against a limit one bet is Wald's log-likelihood ratio", () => {
  const [, severity = NaN] = SEVERITIES;
  const [limit, observations, bad] = [0.02, 300, 11];
  const p1 = (severity * limit) / (1 - limit + severity * limit);
  const ratio =
    bad * Math.log(p1 / limit) + (observations - bad) * Math.log((1 - p1) / (1 - limit));
  expect(meanBet({ observations, bad }, limit)[1]).toBeCloseTo(ratio, 10);
});

/** An arm with a good request to spare. */
const withGood = (most: number) =>
  arm(most).map(({ requests, bad }) => ({ requests: requests + 1, bad }));
const oneMoreBad = ({ requests, bad }: ArmCounts): ArmCounts => ({ requests, bad: bad + 1 });

test("more errors of the candidate are more evidence, more of the stable version less", () => {
  const arms = withGood(10_000);
  fc.assert(
    fc.property(arms, arms, settings, knownSplit, (candidate, stable, some, split) => {
      const chosen = { ...some, knownSplit: split };
      const now = logEOf(splitBet({ candidate, stable }, chosen));
      const worse = logEOf(splitBet({ candidate: oneMoreBad(candidate), stable }, chosen));
      const better = logEOf(splitBet({ candidate, stable: oneMoreBad(stable) }, chosen));
      const slack = 1e-9 * Math.max(1, Math.abs(now));
      expect(worse).toBeGreaterThanOrEqual(now - slack);
      expect(better).toBeLessThanOrEqual(now + slack);
    }),
  );
});

test("it is the opposite for promotion", () => {
  const arms = withGood(10_000);
  fc.assert(
    fc.property(arms, arms, settings, (candidate, stable, chosen) => {
      const now = logEOf(promotionBet({ candidate, stable }, chosen));
      const worse = logEOf(promotionBet({ candidate: oneMoreBad(candidate), stable }, chosen));
      expect(worse).toBeLessThanOrEqual(now + 1e-9 * Math.max(1, Math.abs(now)));
    }),
  );
});

test("twice the counts are twice the increments", () => {
  fc.assert(
    fc.property(arm(10_000), arm(10_000), settings, (candidate, stable, chosen) => {
      const double = { requests: 2 * candidate.requests, bad: 2 * candidate.bad };
      const doubled = { requests: 2 * stable.requests, bad: 2 * stable.bad };
      const once = splitBet({ candidate, stable }, chosen);
      splitBet({ candidate: double, stable: doubled }, chosen).forEach((increment, bet) => {
        expect(increment).toBe(2 * (once[bet] ?? NaN));
      });
    }),
  );
});

test("an interval cut in two at the same split adds up to itself", () => {
  const part = fc.record({ times: fc.integer({ min: 1, max: 50 }), yC: upTo(3), yB: upTo(9) });
  fc.assert(
    fc.property(part, part, settings, (one, two, chosen) => {
      const of = ({ times, yC, yB }: typeof one) =>
        counts(3 * times, Math.min(yC, 3 * times), 9 * times, yB);
      const [first, second] = [of(one), of(two)];
      const whole = counts(
        first.candidate.requests + second.candidate.requests,
        first.candidate.bad + second.candidate.bad,
        first.stable.requests + second.stable.requests,
        first.stable.bad + second.stable.bad,
      );
      const start = startEProcess({ bets: "regression", horizon: null });
      const cut = addIncrements(
        addIncrements(start, splitBet(first, chosen)),
        splitBet(second, chosen),
      );
      expect(Math.abs(logE(cut) - logEOf(splitBet(whole, chosen)))).toBeLessThan(1e-9);
    }),
  );
});

test("an arm without requests says nothing, unless the split is known", () => {
  const nothing = SEVERITIES.map(() => 0);
  expect(splitBet(counts(0, 0, 50, 3), exact)).toEqual(nothing);
  expect(splitBet(counts(50, 3, 0, 0), exact)).toEqual(nothing);
  expect(promotionBet(counts(0, 0, 50, 3), exact)).toEqual(nothing.slice(8));
  expect(logEOf(splitBet(counts(1, 1, 0, 0), { ...exact, knownSplit: 0.1 }))).toBeGreaterThan(0);
});

test("every number is finite up to 10^12 requests and at any split", () => {
  const most = 1e12;
  const tolerance = fc.double({ min: 0, max: 0.999_999, noNaN: true });
  fc.assert(
    fc.property(
      arm(most),
      arm(most),
      settings,
      knownSplit,
      tolerance,
      (candidate, stable, some, split, delta) => {
        const chosen = { ...some, knownSplit: split };
        const limit = Math.max(delta, 1e-9);
        const { requests, bad } = candidate;
        const onlyStableBad = Math.floor((requests - bad) / 2);
        const bothBad = requests - bad - onlyStableBad;
        const pairs = { pairs: requests, onlyCandidateBad: bad, onlyStableBad, bothBad };
        const { relative } = some;
        const all = [
          splitBet({ candidate, stable }, chosen),
          promotionBet({ candidate, stable }, chosen),
          meanBet({ observations: requests, bad }, limit),
          meanPromotionBet({ observations: requests, bad }, limit),
          pairedBet(pairs, { relative, absolute: delta }),
          pairedPromotionBet(pairs, { relative, absolute: delta }),
          pairedLossBet({ candidate: delta, stable: 1 - delta }, { relative, absolute: delta }),
          pairedLossPromotionBet({ candidate: 1, stable: delta }, { relative, absolute: delta }),
        ];
        for (const increments of all) {
          expect(increments.every(Number.isFinite)).toBe(true);
          expect(Number.isFinite(logEOf(increments))).toBe(true);
        }
      },
    ),
    { numRuns: 500 },
  );
});

const NO_PAIRS = { pairs: 0, onlyCandidateBad: 0, onlyStableBad: 0, bothBad: 0 };

const impossible: readonly (readonly [string, () => unknown])[] = [
  ["more bad than there are", () => splitBet(counts(10, 11, 50, 0), exact)],
  ["a negative count", () => splitBet(counts(10, 1, 50, -1), exact)],
  ["half a request", () => splitBet(counts(10.5, 1, 50, 1), exact)],
  ["an endless count", () => splitBet(counts(10, 1, Infinity, 1), exact)],
  ["no number", () => splitBet(counts(10, NaN, 50, 1), exact)],
  ["a relative tolerance below 1", () => splitBet(counts(1, 0, 1, 0), { ...exact, relative: 0.9 })],
  ["a negative tolerance", () => splitBet(counts(1, 0, 1, 0), { ...exact, absolute: -0.1 })],
  ["a tolerance of everything", () => splitBet(counts(1, 0, 1, 0), { ...exact, absolute: 1 })],
  ["a centre of 1", () => splitBet(counts(1, 0, 1, 0), { ...exact, centre: 1 })],
  ["a split of 0", () => splitBet(counts(1, 0, 1, 0), { ...exact, knownSplit: 0 })],
  ["a split of 1", () => promotionBet(counts(1, 0, 1, 0), { ...exact, knownSplit: 1 })],
  ["a limit of 0", () => meanBet({ observations: 1, bad: 0 }, 0)],
  ["a limit of 1", () => meanBet({ observations: 1, bad: 0 }, 1)],
  ["more bad than observed", () => meanBet({ observations: 1, bad: 2 }, 0.1)],
  [
    "more pairs that differ than there are",
    () => pairedBet({ pairs: 3, onlyCandidateBad: 1, onlyStableBad: 1, bothBad: 2 }, exact),
  ],
  [
    "a paired tolerance of 1",
    () => pairedLossBet({ candidate: 0, stable: 0 }, { ...exact, absolute: 1 }),
  ],
  ["an unclipped loss", () => pairedLossBet({ candidate: 1.1, stable: 0 }, exact)],
  ["a paired margin below 1", () => pairedPromotionBet(NO_PAIRS, { ...exact, relative: 0.5 })],
  ["a promotion's limit of 1", () => meanPromotionBet({ observations: 1, bad: 0 }, 1)],
];
for (const [name, run] of impossible)
  test(`${name} is refused`, () => {
    expect(codeOf(run)).toBe("evidence.invalid");
  });
