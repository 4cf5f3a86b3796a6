/**
 * The guarantee itself, without simulation: for small intervals every outcome is enumerated, and what a
 * bet is worth on average while the hypothesis holds is at most its stake.
 */
import { expect, test } from "vitest";

import { PROMOTION_FRACTIONS, SEVERITIES } from "./bet-grid.ts";
import { meanBet, meanPromotionBet } from "./mean-bet.ts";
import {
  pairedBet,
  pairedLossBet,
  pairedLossPromotionBet,
  pairedPromotionBet,
} from "./paired-bet.ts";
import { promotionBet, splitBet, type SplitBetSettings } from "./split-bet.ts";

const ROUNDING = 1e-12;
const range = (to: number): readonly number[] => Array.from({ length: to + 1 }, (_, n) => n);

function choose(n: number, k: number): number {
  let ways = 1;
  for (let step = 1; step <= k; step += 1) ways = (ways * (n - k + step)) / step;
  return ways;
}

const binomial = (n: number, k: number, p: number): number =>
  choose(n, k) * p ** k * (1 - p) ** (n - k);

interface Outcome {
  readonly probability: number;
  readonly increments: readonly number[];
}

/** Mean wealth of each bet after the interval, the largest of them. */
function largestMean(bets: number, outcomes: readonly Outcome[]): number {
  const means = range(bets - 1).map((bet) =>
    outcomes.reduce(
      (sum, { probability, increments }) => sum + probability * Math.exp(increments[bet] ?? NaN),
      0,
    ),
  );
  return Math.max(...means);
}

function binomialOutcomes(
  [nC, nB]: readonly [number, number],
  [pC, pB]: readonly [number, number],
  bet: typeof splitBet,
  settings: SplitBetSettings,
): readonly Outcome[] {
  return range(nC).flatMap((yC) =>
    range(nB).map((yB) => ({
      probability: binomial(nC, yC, pC) * binomial(nB, yB, pB),
      increments: bet(
        { candidate: { requests: nC, bad: yC }, stable: { requests: nB, bad: yB } },
        settings,
      ),
    })),
  );
}

const sizes: readonly (readonly [number, number])[] = [
  [1, 1],
  [1, 8],
  [4, 4],
  [5, 2],
  [2, 9],
];
const tolerances = [
  { relative: 1, absolute: 0 },
  { relative: 1.25, absolute: 0 },
  { relative: 1, absolute: 0.01 },
  { relative: 2, absolute: 0.1 },
];
const centres = [0, 0.1, 0.5, 0.9];
const rates = [0, 0.005, 0.1, 0.4];

for (const tolerance of tolerances)
  for (const centre of centres)
    test(`no bet gains at the tolerated rate: ${JSON.stringify({ ...tolerance, centre })}`, () => {
      for (const size of sizes)
        for (const pB of rates) {
          const pC = tolerance.relative * pB + tolerance.absolute;
          const settings = { ...tolerance, centre };
          const worse = binomialOutcomes(size, [pC, pB], splitBet, settings);
          expect(largestMean(SEVERITIES.length, worse)).toBeLessThanOrEqual(1 + ROUNDING);
          const safe = binomialOutcomes(size, [pC, pB], promotionBet, settings);
          expect(largestMean(PROMOTION_FRACTIONS.length, safe)).toBeLessThanOrEqual(1 + ROUNDING);
        }
    });

test("no bet gains when it does not matter who got which outcome", () => {
  const settings = { relative: 1, absolute: 0, centre: 0 };
  for (const [nC, nB] of sizes)
    for (const bad of range(nC + nB)) {
      const possible = range(nC).filter((yC) => bad - yC >= 0 && bad - yC <= nB);
      const outcomes = possible.map((yC) => ({
        probability: (choose(nC, yC) * choose(nB, bad - yC)) / choose(nC + nB, bad),
        increments: splitBet(
          { candidate: { requests: nC, bad: yC }, stable: { requests: nB, bad: bad - yC } },
          settings,
        ),
      }));
      expect(largestMean(SEVERITIES.length, outcomes)).toBeLessThanOrEqual(1 + ROUNDING);
    }
});

test("with a known split each request leaves the mean at 1 exactly", () => {
  for (const tolerance of tolerances)
    for (const centre of centres)
      for (const knownSplit of [1e-6, 0.1, 0.5, 0.99])
        for (const pB of rates) {
          const settings = { ...tolerance, centre, knownSplit };
          const pC = tolerance.relative * pB + tolerance.absolute;
          const one = (bad: number, candidate: boolean): Outcome => {
            const p = candidate ? pC : pB;
            const arm = { requests: 1, bad };
            const none = { requests: 0, bad: 0 };
            return {
              probability: (candidate ? knownSplit : 1 - knownSplit) * (bad === 1 ? p : 1 - p),
              increments: splitBet(
                candidate ? { candidate: arm, stable: none } : { candidate: none, stable: arm },
                settings,
              ),
            };
          };
          const outcomes = [one(0, true), one(1, true), one(0, false), one(1, false)];
          expect(largestMean(SEVERITIES.length, outcomes)).toBeCloseTo(1, 12);
        }
});

test("against a limit the mean is 1 exactly at the limit", () => {
  for (const limit of [0.001, 0.01, 0.3, 0.9])
    for (const observations of [1, 7]) {
      const outcomes = range(observations).map((bad) => ({
        probability: binomial(observations, bad, limit),
        increments: meanBet({ observations, bad }, limit),
      }));
      expect(largestMean(SEVERITIES.length, outcomes)).toBeCloseTo(1, 12);
    }
});

const margins = [
  { relative: 1, absolute: 0 },
  { relative: 1, absolute: 0.01 },
  { relative: 1.5, absolute: 0 },
  { relative: 1.25, absolute: 0.2 },
];

test("of a pair the mean is 1 exactly where the candidate's rate is as tolerated", () => {
  for (const tolerance of margins)
    for (const stableRate of [0, 0.05, 0.3])
      for (const share of [0, 0.5, 1]) {
        const rate = tolerance.relative * stableRate + tolerance.absolute;
        // Both fail together never, half of the time that they could, or always.
        const both = share * Math.min(rate, stableRate);
        const counts = { pairs: 1, onlyCandidateBad: 0, onlyStableBad: 0, bothBad: 0 };
        const chances = [
          [rate - both, { ...counts, onlyCandidateBad: 1 }],
          [stableRate - both, { ...counts, onlyStableBad: 1 }],
          [both, { ...counts, bothBad: 1 }],
          [1 - rate - stableRate + both, counts],
        ] as const;
        const outcomes = (bet: typeof pairedBet): readonly Outcome[] =>
          chances.map(([probability, pair]) => ({ probability, increments: bet(pair, tolerance) }));
        expect(largestMean(SEVERITIES.length, outcomes(pairedBet))).toBeCloseTo(1, 12);
        expect(largestMean(PROMOTION_FRACTIONS.length, outcomes(pairedPromotionBet))).toBeCloseTo(
          1,
          12,
        );
      }
});

test("pairs that both failed, taken for good ones, make a promotion no likelier", () => {
  const told = { pairs: 100, onlyCandidateBad: 1, onlyStableBad: 1, bothBad: 40 };
  for (const margin of margins) {
    const untold = pairedPromotionBet({ ...told, bothBad: 0 }, margin);
    pairedPromotionBet(told, margin).forEach((increment, bet) => {
      expect(untold[bet]).toBeLessThanOrEqual(increment + ROUNDING);
    });
  }
});

test("of losses the mean is 1 exactly where the mean loss is as tolerated", () => {
  for (const tolerance of margins) {
    // The candidate's losses are 1 or 0, as often as makes its mean what is tolerated.
    const stable = [0.1, 0.5] as const;
    const rate = tolerance.relative * ((stable[0] + stable[1]) / 2) + tolerance.absolute;
    const outcomes = (bet: typeof pairedLossBet): readonly Outcome[] =>
      stable.flatMap((loss) =>
        [0, 1].map((candidate) => ({
          probability: (candidate === 1 ? rate : 1 - rate) / 2,
          increments: bet({ candidate, stable: loss }, tolerance),
        })),
      );
    expect(largestMean(SEVERITIES.length, outcomes(pairedLossBet))).toBeCloseTo(1, 12);
    const safe = outcomes(pairedLossPromotionBet);
    expect(largestMean(PROMOTION_FRACTIONS.length, safe)).toBeCloseTo(1, 12);
  }
});

test("losses of 0 and 1 are pairs", () => {
  const tolerance = { relative: 1.25, absolute: 0.05 };
  const counts = { pairs: 1, onlyCandidateBad: 0, onlyStableBad: 0, bothBad: 0 };
  for (const [losses, pair] of [
    [
      { candidate: 1, stable: 0 },
      { ...counts, onlyCandidateBad: 1 },
    ],
    [
      { candidate: 0, stable: 1 },
      { ...counts, onlyStableBad: 1 },
    ],
    [
      { candidate: 1, stable: 1 },
      { ...counts, bothBad: 1 },
    ],
    [{ candidate: 0, stable: 0 }, counts],
  ] as const) {
    expect(pairedLossBet(losses, tolerance)).toEqual(pairedBet(pair, tolerance));
    expect(pairedLossPromotionBet(losses, tolerance)).toEqual(pairedPromotionBet(pair, tolerance));
  }
});

test("at the limit the mean of a promotion's bets is 1 exactly", () => {
  for (const limit of [0.001, 0.05, 0.5]) {
    const outcomes = range(5).map((bad) => ({
      probability: binomial(5, bad, limit),
      increments: meanPromotionBet({ observations: 5, bad }, limit),
    }));
    expect(largestMean(PROMOTION_FRACTIONS.length, outcomes)).toBeCloseTo(1, 12);
  }
});
