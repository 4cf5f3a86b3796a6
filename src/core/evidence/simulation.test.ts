/**
 * The guarantee and the speed, by simulation with fixed seeds: the same numbers at every run. False
 * alarms must stay below alpha by more than chance (three standard errors), whatever happens to both
 * versions alike; a test that forgets how often it looks must not pass the same simulation.
 */
import { describe, expect, test } from "vitest";

import { drawBinomial, drawGap, seededRandom } from "../../../test/support/seeded-random.ts";
import { PRIOR_LOG_WEIGHTS, SEVERITIES } from "./bet-grid.ts";
import type { ArmCounts } from "./counts.ts";
import { addIncrements, logE, startEProcess, type EProcess } from "./e-process.ts";
import { meanBet, meanPromotionBet } from "./mean-bet.ts";
import { pairedBet, pairedPromotionBet } from "./paired-bet.ts";
import { costToDetect } from "./plan.ts";
import { promotionBet, splitBet, type SplitBetSettings, type Tolerance } from "./split-bet.ts";

const exact: SplitBetSettings = { relative: 1, absolute: 0, centre: 0 };
const ALPHA = 0.05;
const REQUESTS = 20_000;
const FLUSH = 250;
const RUNS = 700;
const INTERVALS = REQUESTS / FLUSH;

/** What chance alone may add to a share of alpha. */
const bound = (runs: number): number => ALPHA + 3 * Math.sqrt((ALPHA * (1 - ALPHA)) / runs);

/** The candidate's share and the rate of both versions in an interval. */
type World = (interval: number) => { readonly split: number; readonly rate: number };

/** The share of runs in which the process reaches 1/alpha at some look. */
function alarms(
  seed: number,
  start: EProcess,
  interval: (random: () => number, index: number) => readonly number[],
  runs = RUNS,
): number {
  const random = seededRandom(seed);
  let alarmed = 0;
  for (let run = 0; run < runs; run += 1) {
    let state = start;
    for (let index = 0; index < INTERVALS; index += 1) {
      state = addIncrements(state, interval(random, index));
      if (logE(state) < -Math.log(ALPHA)) continue;
      alarmed += 1;
      break;
    }
  }
  return alarmed / runs;
}

function drawCounts(random: () => number, split: number, [pC, pB]: readonly [number, number]) {
  const candidate = drawBinomial(random, FLUSH, split);
  const stable = FLUSH - candidate;
  return {
    candidate: { requests: candidate, bad: drawBinomial(random, candidate, pC) },
    stable: { requests: stable, bad: drawBinomial(random, stable, pB) },
  };
}

const plain = startEProcess({ bets: "regression", horizon: null });
const restarting = startEProcess({ bets: "regression", horizon: INTERVALS });

/** Pairs of a candidate with this rate, and a stable version that fails half of what it fails. */
function drawPairs(random: () => number, rate: number, stableAlone: number) {
  const bad = drawBinomial(random, FLUSH, rate);
  const bothBad = drawBinomial(random, bad, 0.5);
  const onlyStableBad = drawBinomial(random, FLUSH - bad, stableAlone);
  return { pairs: FLUSH, onlyCandidateBad: bad - bothBad, onlyStableBad, bothBad };
}

const safety = startEProcess({ bets: "safety", horizon: null });

describe("a candidate beyond the margin is promoted by pairs with probability beta at most", () => {
  // Stable fails half of what the candidate fails, and 1 % of the rest: with the candidate's rate p its
  // own is p / 2 + (1 - p) / 100.
  const worlds: readonly (readonly [string, Tolerance])[] = [
    ["an absolute margin", { relative: 1, absolute: 0.005 }],
    ["a margin in proportion", { relative: 1.5, absolute: 0 }],
  ];
  for (const [name, margin] of worlds)
    test(`with ${name}`, () => {
      const rate = (0.01 * margin.relative + margin.absolute) / (1 - 0.49 * margin.relative);
      const share = alarms(7, safety, (random) =>
        pairedPromotionBet(drawPairs(random, rate, 0.01), margin),
      );
      expect(share).toBeLessThanOrEqual(bound(RUNS));
      expect(share).toBeGreaterThan(0);
    });

  test("but an equal one is, and soon", () => {
    const margin = { relative: 1, absolute: 0.01 };
    const promoted = alarms(8, safety, (random) =>
      pairedPromotionBet(drawPairs(random, 0.01, 0.005), margin),
    );
    expect(promoted).toBe(1);
  });

  test("at a limit on how often they may differ", () => {
    const share = alarms(9, safety, (random) =>
      meanPromotionBet({ observations: FLUSH, bad: drawBinomial(random, FLUSH, 0.05) }, 0.05),
    );
    expect(share).toBeLessThanOrEqual(bound(RUNS));
    expect(share).toBeGreaterThan(0);
  });
});

describe("equal versions are rolled back with probability alpha at most", () => {
  const worlds: readonly (readonly [string, EProcess, World])[] = [
    ["a twentieth of the traffic", plain, () => ({ split: 0.05, rate: 0.005 })],
    ["half of the traffic, restarting", restarting, () => ({ split: 0.5, rate: 0.005 })],
    [
      "a tenth, and outages of both",
      restarting,
      (index) => ({ split: 0.1, rate: index % 20 === 7 ? 0.3 : 0.005 }),
    ],
    [
      "weights that step up while the base rises",
      plain,
      (index) => ({
        split: [0.01, 0.05, 0.25, 0.5][Math.floor((4 * index) / INTERVALS)] ?? 0.5,
        rate: 0.002 * 8 ** (index / INTERVALS),
      }),
    ],
  ];
  for (const [name, start, world] of worlds)
    test(`with ${name}`, () => {
      const share = alarms(1, start, (random, index) => {
        const { split, rate } = world(index);
        return splitBet(drawCounts(random, split, [rate, rate]), exact);
      });
      expect(share).toBeLessThanOrEqual(bound(RUNS));
      // The test has a chance to fail: some runs do alarm.
      expect(share).toBeGreaterThan(0);
    });

  test("a rate at its limit, pairs that differ as tolerated, a canary at the margin", () => {
    const limited = alarms(2, restarting, (random) =>
      meanBet({ observations: FLUSH, bad: drawBinomial(random, FLUSH, 0.01) }, 0.01),
    );
    const paired = alarms(3, plain, (random) => {
      const onlyCandidateBad = drawBinomial(random, FLUSH, 0.03);
      const onlyStableBad = drawBinomial(random, FLUSH - onlyCandidateBad, 0.02 / 0.97);
      const counts = { pairs: FLUSH, onlyCandidateBad, onlyStableBad, bothBad: 0 };
      return pairedBet(counts, { relative: 1, absolute: 0.01 });
    });
    const promoted = alarms(4, startEProcess({ bets: "safety", horizon: null }), (random) =>
      promotionBet(drawCounts(random, 0.2, [0.015, 0.005]), { ...exact, absolute: 0.01 }),
    );
    for (const share of [limited, paired, promoted]) {
      expect(share).toBeLessThanOrEqual(bound(RUNS));
      expect(share).toBeGreaterThan(0);
    }
  });
});

test("a split that is taken for known and is another breaks the bound", () => {
  const share = alarms(
    5,
    plain,
    (random) => splitBet(drawCounts(random, 0.15, [0.01, 0.01]), { ...exact, knownSplit: 0.1 }),
    200,
  );
  expect(share).toBeGreaterThan(0.2);
});

const tenfold = ({ requests, bad }: ArmCounts): ArmCounts => ({
  requests,
  bad: Math.min(10 * bad, requests),
});

/** The share of 300 runs that alarm where all errors come in clusters of ten. */
function clusteredAlarms(dispersion: number): number {
  const random = seededRandom(6);
  let alarmed = 0;
  for (let run = 0; run < 300; run += 1) {
    let state = restarting;
    for (let index = 0; index < INTERVALS && logE(state) < -Math.log(ALPHA); index += 1) {
      const { candidate, stable } = drawCounts(random, 0.1, [0.0005, 0.0005]);
      const increments = splitBet(
        { candidate: tenfold(candidate), stable: tenfold(stable) },
        exact,
      );
      state = addIncrements(state, increments, { dispersion });
    }
    if (logE(state) >= -Math.log(ALPHA)) alarmed += 1;
  }
  return alarmed / 300;
}

/** What a bad request of the candidate, and one of the stable version, adds where the split is known. */
function knownIncrements(split: number): readonly [readonly number[], readonly number[]] {
  const known = { ...exact, knownSplit: split };
  const none = { requests: 0, bad: 0 };
  const one = { requests: 1, bad: 1 };
  return [
    splitBet({ candidate: one, stable: none }, known),
    splitBet({ candidate: none, stable: one }, known),
  ];
}

/**
 * The probability of a false rollback by importance sampling: whose each bad request is comes from the
 * bets themselves, and each rollback counts with 1/E, the likelihood ratio of the truth. What happens
 * once in 2,000 rollouts is known to some 6 % after 500.
 */
function falseRollbackProbability(seed: number, split: number): number {
  const random = seededRandom(seed);
  const [byCandidate, byStable] = knownIncrements(split);
  const runs = 500;
  let sum = 0;
  for (let run = 0; run < runs; run += 1) {
    let rest = random();
    const bet = PRIOR_LOG_WEIGHTS.findIndex((log) => (rest -= Math.exp(log)) < 0);
    const odds = split * (SEVERITIES[bet] ?? 300);
    let state = plain;
    let requests = drawGap(random, 0.005);
    for (; requests < 100_000 && logE(state) < Math.log(1_000); requests += 1) {
      state = addIncrements(state, random() < odds / (odds + 1 - split) ? byCandidate : byStable);
      requests += drawGap(random, 0.005);
    }
    if (logE(state) >= Math.log(1_000)) sum += Math.exp(-logE(state));
  }
  return sum / runs;
}

test("equal versions are rolled back half as often as alpha allows", () => {
  for (const split of [0.05, 0.1, 0.5]) {
    const probability = falseRollbackProbability(13, split);
    expect(probability).toBeGreaterThan(0.0004);
    expect(probability).toBeLessThan(0.0008);
  }
});

test("clusters of errors break the bound, the dispersion restores it", () => {
  expect(clusteredAlarms(1)).toBeGreaterThan(0.3);
  expect(clusteredAlarms(10)).toBeLessThanOrEqual(bound(300));
});

test("a z test that is looked at again and again rolls back equal versions", () => {
  const random = seededRandom(7);
  const looks = 20;
  let alarmed = 0;
  for (let run = 0; run < RUNS; run += 1) {
    let [nC, yC, nB, yB] = [0, 0, 0, 0];
    for (let look = 0; look < looks; look += 1) {
      const candidate = drawBinomial(random, REQUESTS / looks, 0.1);
      nC += candidate;
      nB += REQUESTS / looks - candidate;
      yC += drawBinomial(random, candidate, 0.005);
      yB += drawBinomial(random, REQUESTS / looks - candidate, 0.005);
      const pooled = (yC + yB) / (nC + nB);
      const z = (yC / nC - yB / nB) / Math.sqrt(pooled * (1 - pooled) * (1 / nC + 1 / nB));
      if (!(z > 1.645)) continue;
      alarmed += 1;
      break;
    }
  }
  expect(alarmed / RUNS).toBeGreaterThan(0.15);
});

/** Median of the requests until rollback, each request looked at, with the split known. */
function medianDelay(seed: number, split: number, [pC, pB]: readonly [number, number]): number {
  const random = seededRandom(seed);
  const [byCandidate, byStable] = knownIncrements(split);
  const anyBad = split * pC + (1 - split) * pB;
  const delays: number[] = [];
  for (let run = 0; run < 300; run += 1) {
    let state = plain;
    let requests = 0;
    // What went well changes nothing, so only bad requests are drawn.
    while (logE(state) < Math.log(1_000) && requests < 1e6) {
      requests += 1 + drawGap(random, anyBad);
      const blamed = random() < (split * pC) / anyBad ? byCandidate : byStable;
      state = addIncrements(state, blamed);
    }
    delays.push(requests);
  }
  return delays.toSorted((a, b) => a - b)[150] ?? NaN;
}

describe("a bad candidate is found soon", () => {
  test("four times the errors in 6,000 to 8,500 requests", () => {
    const delay = medianDelay(8, 0.1, [0.02, 0.005]);
    expect(delay).toBeGreaterThan(6_000);
    expect(delay).toBeLessThan(8_500);
  });

  test("one that always fails in 50", () => {
    expect(medianDelay(9, 0.1, [1, 0.005])).toBeLessThanOrEqual(50);
  });

  test("as soon as the plan says", () => {
    const plan = { split: 0.1, baseRate: 0.005, alpha: 0.001, relative: 1, absolute: 0 };
    for (const severity of [2, 4, 10]) {
      const planned = costToDetect(plan, severity * 0.005)?.requests ?? NaN;
      const ratio = medianDelay(10, 0.1, [severity * 0.005, 0.005]) / planned;
      expect(ratio).toBeGreaterThan(0.75);
      expect(ratio).toBeLessThan(1.25);
    }
  });

  test("a version that goes bad late sooner with restarts than without", () => {
    const lateDelay = (start: EProcess): number => {
      const random = seededRandom(12);
      const delays = Array.from({ length: 40 }, () => {
        let state = start;
        let index = 0;
        for (; index < 4 * INTERVALS && logE(state) < Math.log(1_000); index += 1) {
          const rate = index < 2 * INTERVALS ? 0.005 : 0.05;
          state = addIncrements(state, splitBet(drawCounts(random, 0.1, [rate, 0.005]), exact));
        }
        return index;
      });
      return (delays.toSorted((a, b) => a - b)[20] ?? NaN) - 2 * INTERVALS;
    };
    const horizon = 4 * INTERVALS;
    const restarted = lateDelay(startEProcess({ bets: "regression", horizon }));
    expect(restarted).toBeGreaterThan(0);
    expect(restarted).toBeLessThan(0.7 * lateDelay(plain));
  });
});
