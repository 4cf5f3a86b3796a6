/**
 * Golden vectors: computed with 40 digits, or published by others for the same quantity. The numbers
 * behind G are those of STATISTICS.md section 7.
 */
import { expect, test } from "vitest";

import { PRIOR_LOG_WEIGHTS, SEVERITIES } from "./bet-grid.ts";
import { rateConfidenceSequence } from "./confidence.ts";
import { dispersionIndex } from "./dispersion.ts";
import { addIncrements, logE, startEProcess, type EProcess } from "./e-process.ts";
import { logSumExp, stirlingError } from "./log-space.ts";
import { meanBet, meanPromotionBet } from "./mean-bet.ts";
import { pairedBet, pairedPromotionBet } from "./paired-bet.ts";
import { logDirichletMultinomial, sampleRatioMismatch } from "./sample-ratio.ts";
import { promotionBet, splitBet, type SplitBetSettings } from "./split-bet.ts";

/** Decimals that the golden numbers have, whatever their size. */
const DECIMALS = 9;

const exact: SplitBetSettings = { relative: 1, absolute: 0, centre: 0 };
type Four = readonly [number, number, number, number];

const countsOf = ([nC, yC, nB, yB]: Four) => ({
  candidate: { requests: nC, bad: yC },
  stable: { requests: nB, bad: yB },
});

const logEOf = (increments: readonly number[]): number =>
  logE(addIncrements(startEProcess({ bets: "regression", horizon: null }), increments));

test("G1: the severities and their prior", () => {
  for (const [bet, severity] of [
    [0, 1.25],
    [1, 1.80131954978],
    [7, 16.1315188197],
    [15, 300],
  ] as const)
    expect(SEVERITIES[bet] ?? NaN).toBeCloseTo(severity, DECIMALS);
  for (const [bet, log] of [
    [0, -2.1266514478],
    [7, -2.8266514478],
    [15, -3.6266514478],
  ] as const)
    expect(PRIOR_LOG_WEIGHTS[bet] ?? NaN).toBeCloseTo(log, DECIMALS);
  expect(SEVERITIES).toHaveLength(16);
  expect(logSumExp(PRIOR_LOG_WEIGHTS)).toBeCloseTo(0, 14);
});

// G2 is of single bets at round severities, which the grid does not have: split-bet.test.ts has it.

const splits: readonly (readonly [Four, Partial<SplitBetSettings>, number])[] = [
  [[1000, 20, 9000, 45], {}, 8.8502914034],
  [[1000, 20, 9000, 45], { absolute: 0.001 }, 6.96964894217],
  [[1000, 20, 9000, 45], { relative: 1.25 }, 6.07907305969],
  [[1000, 5, 9000, 45], {}, -1.85405612727],
  [[1000, 150, 1000, 100], { centre: 0.1 }, 3.14759748632],
  [[1000, 150, 1000, 100], { centre: 0.1, relative: 1.05, absolute: 0.01 }, 0.475973991754],
  [[4, 4, 36, 0], {}, 7.60741657237],
  [[0, 0, 50, 1], {}, 0],
  [[1000, 20, 9100, 45], { knownSplit: 0.1 }, 8.8502914034],
];
for (const [four, settings, golden] of splits)
  test(`G3: ${four.join(", ")} ${JSON.stringify(settings)}`, () => {
    expect(logEOf(splitBet(countsOf(four), { ...exact, ...settings }))).toBeCloseTo(
      golden,
      DECIMALS,
    );
  });

const sequence: readonly Four[] = [
  [100, 1, 900, 4],
  [110, 0, 890, 5],
  [95, 3, 905, 4],
  [105, 6, 895, 5],
  [100, 8, 900, 4],
];
const sequences: readonly (readonly [number | null, readonly number[]])[] = [
  [null, [-0.458937429916, -1.22140382583, 0.258580028358, 4.99824967332, 14.1599012633]],
  [10, [-1.05677443067, -1.74220521933, 0.0660994483528, 5.31811973355, 15.394661325]],
];
for (const [horizon, golden] of sequences)
  test(`G4: five intervals with horizon ${horizon}`, () => {
    let state: EProcess = startEProcess({ bets: "regression", horizon });
    sequence.forEach((four, index) => {
      state = addIncrements(state, splitBet(countsOf(four), exact));
      expect(logE(state)).toBeCloseTo(golden[index] ?? NaN, DECIMALS);
    });
  });

test("G5: a rate against a limit", () => {
  for (const [observations, bad, golden] of [
    [1000, 30, 11.0248103808],
    [1000, 10, -2.25491736976],
    [3, 3, 10.5344274511],
  ] as const)
    expect(logEOf(meanBet({ observations, bad }, 0.01))).toBeCloseTo(golden, DECIMALS);
});

test("G6: pairs", () => {
  for (const [onlyCandidateBad, tolerance, golden] of [
    [30, 0, 3.78875685437],
    [30, 0.01, -0.0573279787954],
    [40, 0.01, 2.9451796509],
  ] as const)
    expect(
      logEOf(
        pairedBet(
          { pairs: 1000, onlyCandidateBad, onlyStableBad: 10, bothBad: 0 },
          { relative: 1, absolute: tolerance },
        ),
      ),
    ).toBeCloseTo(golden, DECIMALS);
});

test("pairs that both failed, with something allowed in proportion (mpmath, 40 digits)", () => {
  const counts = { pairs: 1000, onlyCandidateBad: 40, onlyStableBad: 10, bothBad: 50 };
  const tolerance = { relative: 1.5, absolute: 0.01 };
  expect(logEOf(pairedBet(counts, tolerance))).toBeCloseTo(-2.980077024124, DECIMALS);
});

const safeLogE = (increments: readonly number[]): number =>
  logE(addIncrements(startEProcess({ bets: "safety", horizon: null }), increments));

test("promotion by pairs and below a limit (mpmath, 40 digits)", () => {
  for (const [[pairs, onlyCandidateBad, onlyStableBad, bothBad], relative, absolute, golden] of [
    [[1000, 0, 0, 0], 1, 0.01, 7.514272892436],
    [[1000, 10, 10, 0], 1, 0.01, 1.359212252087],
    [[2000, 8, 6, 40], 1.5, 0.01, 17.51211306235],
    [[1000, 10, 30, 0], 1, 0, 3.804124879161],
  ] as const)
    expect(
      safeLogE(
        pairedPromotionBet(
          { pairs, onlyCandidateBad, onlyStableBad, bothBad },
          { relative, absolute },
        ),
      ),
    ).toBeCloseTo(golden, DECIMALS);
  for (const [bad, limit, golden] of [
    [0, 0.01, 7.514272892436],
    [10, 0.05, 20.14783977515],
    [60, 0.05, -1.932553697591],
  ] as const)
    expect(safeLogE(meanPromotionBet({ observations: 1000, bad }, limit))).toBeCloseTo(
      golden,
      DECIMALS,
    );
});

test("G7: sample-ratio mismatch", () => {
  expect(sampleRatioMismatch([1150, 8850], [0.1, 0.9])).toBeCloseTo(5.73757098354, DECIMALS);
  expect(sampleRatioMismatch([1150, 8850], [0.1, 0.9], 100)).toBeCloseTo(9.49248457069, DECIMALS);
});

test("G9: Robbins' confidence sequence", () => {
  const first = rateConfidenceSequence({ requests: 1000, bad: 10 }, 0.05);
  expect(first.lower).toBeCloseTo(0.00207548120284, 12);
  expect(first.upper).toBeCloseTo(0.0279417474436, 12);
  const second = rateConfidenceSequence({ requests: 100, bad: 50 }, 0.001);
  expect(second.lower).toBeCloseTo(0.297147760364, 12);
  expect(second.upper).toBeCloseTo(0.702852239636, 12);
  const third = rateConfidenceSequence({ requests: 100, bad: 0 }, 0.05);
  expect(third.lower).toBe(0);
  expect(third.upper).toBeCloseTo(0.0732843734029, 12);
});

test("G10: promotion", () => {
  for (const [four, relative, golden] of [
    [[10_000, 50, 90_000, 450], 1, 12.2903885435],
    [[2000, 8, 2000, 10], 2, 4.98087893726],
  ] as const) {
    const increments = promotionBet(countsOf(four), { relative, absolute: 0.005, centre: 0 });
    const start = startEProcess({ bets: "safety", horizon: null });
    expect(logE(addIncrements(start, increments))).toBeCloseTo(golden, DECIMALS);
  }
});

test("G13: the index of dispersion", () => {
  const intervals = [3, 0, 9, 1, 0, 12, 2].map((bad) => ({ requests: 1000, bad }));
  expect(dispersionIndex(intervals) ?? NaN).toBeCloseTo(5.8497237139, DECIMALS);
});

// Lindon, Sanden and Shirikian's package ssrm publishes these for the same martingale.
test("published: multinomial counts of ssrm's own tests", () => {
  for (const [counts, golden] of [
    [[2, 2, 1], -1.171118979],
    [[60, 63, 32], -4.183813982],
  ] as const)
    expect(logDirichletMultinomial(counts, [0.4, 0.4, 0.2], [1, 1, 1])).toBeCloseTo(golden, 9);
  expect(Math.exp(sampleRatioMismatch([2, 1, 7], [0.1, 0.5, 0.4]))).toBeCloseTo(1.001749612, 9);
});

// savvi's examples stop at a p-value; the e-value is its inverse.
test("published: multinomial counts of savvi's examples", () => {
  expect(Math.exp(-sampleRatioMismatch([148, 62], [0.8, 0.2], 100))).toBeCloseTo(0.0455796318, 10);
  const three = sampleRatioMismatch([40, 129, 233], [0.1, 0.4, 0.5], 100);
  expect(Math.exp(-three)).toBeCloseTo(0.0484559111, 10);
});

test("Stirling's error is that of factorials", () => {
  let logFactorial = 0;
  for (let n = 1; n <= 40; n += 1) {
    // Gamma(n) = (n - 1)!
    const plain = logFactorial - ((n - 0.5) * Math.log(n) - n + 0.5 * Math.log(2 * Math.PI));
    expect(stirlingError(n)).toBeCloseTo(plain, 12);
    logFactorial += Math.log(n);
  }
  // Gamma(1/2) is the root of pi.
  expect(stirlingError(0.5)).toBeCloseTo(
    0.5 * Math.log(Math.PI) + 0.5 - 0.5 * Math.log(2 * Math.PI),
    13,
  );
});
