/**
 * The guarantee itself, without simulation: for small intervals every outcome is enumerated, and what a
 * bet is worth on average while the hypothesis holds is at most its stake.
 */
import { expect, test } from "vitest";

import { PROMOTION_FRACTIONS, SEVERITIES } from "./bet-grid.ts";
import { meanBet } from "./mean-bet.ts";
import { pairedBet, pairedLossBet } from "./paired-bet.ts";
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

test("of a pair the mean is 1 exactly where the difference is as tolerated", () => {
  for (const tolerance of [0, 0.01, 0.2])
    for (const onlyStable of [0, 0.01, 0.3]) {
      const onlyCandidate = onlyStable + tolerance;
      const one = (candidate: number, stable: number, probability: number): Outcome => ({
        probability,
        increments: pairedBet(
          { pairs: 1, onlyCandidateBad: candidate, onlyStableBad: stable },
          tolerance,
        ),
      });
      const outcomes = [
        one(1, 0, onlyCandidate),
        one(0, 1, onlyStable),
        one(0, 0, 1 - onlyCandidate - onlyStable),
      ];
      expect(largestMean(SEVERITIES.length, outcomes)).toBeCloseTo(1, 12);
    }
});

test("of losses the mean is 1 exactly where the mean difference is as tolerated", () => {
  for (const tolerance of [0, 0.1, 0.5]) {
    // 1, 0.5 and -1 with a mean of `tolerance`.
    const high = (tolerance + 1 - 0.3) / 2;
    const outcomes = [
      { probability: high, increments: pairedLossBet(1, tolerance) },
      { probability: 0.2, increments: pairedLossBet(0.5, tolerance) },
      { probability: 0.8 - high, increments: pairedLossBet(-1, tolerance) },
    ];
    expect(largestMean(SEVERITIES.length, outcomes)).toBeCloseTo(1, 12);
  }
});
