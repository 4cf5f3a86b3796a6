/** Whole watches, seeded: how often a good candidate goes back, and whether a bad one does. */
import { describe, expect, test } from "vitest";

import { drawBinomial, seededRandom } from "../../../test/support/seeded-random.ts";
import {
  analysisOf,
  drawArm,
  drawBaseline,
  drawSplit,
  fold,
  intervalOf,
  judge,
  METRICS,
  startWatch,
  type Behaviour,
} from "../../../test/support/watch.ts";
import { noPairCounts, type AnalysisState, type Interval } from "./index.ts";

const GOOD: Behaviour = {
  errorRate: 0.005,
  rejected: 0.01,
  latencyMs: 20,
  outputs: { a: 0.5, b: 0.3, c: 0.2 },
};
/** Of that, what takes no time to draw. */
const ERRORS: Behaviour = { errorRate: 0.005, rejected: 0.01 };
const DEFAULTS = [
  METRICS.errorRate,
  METRICS.rejected,
  METRICS.latency,
  METRICS.accuracy,
  METRICS.drift,
];
const BASELINE = drawBaseline(seededRandom(100), 40, 100, GOOD);

interface Traffic {
  readonly seed: number;
  readonly intervals: number;
  readonly candidate: Behaviour;
  /** The candidate's share in an interval. */
  readonly share: (at: number) => number;
  /** What both arms have in common in an interval. */
  readonly common: (at: number) => Behaviour;
  /** Wrong answers of each arm among its labels. */
  readonly wrong?: { readonly candidate: number; readonly stable: number };
}

function* trafficOf({ seed, intervals, candidate, share, common, wrong }: Traffic) {
  const random = seededRandom(seed);
  let split = 0;
  for (let at = 0; at < intervals; at += 1) {
    if (at > 0 && share(at) !== share(at - 1)) split += 1;
    const { candidates, stables } = drawSplit(random, 100, share(at));
    const labels = (requests: number, rate: number) => ({
      observations: requests,
      bad: drawBinomial(random, requests, rate),
    });
    yield intervalOf(at, {
      split,
      candidateShare: share(at),
      candidate: drawArm(random, candidates, { ...candidate, ...common(at) }),
      stable: drawArm(random, stables, { ...GOOD, ...common(at) }),
      signals:
        wrong === undefined
          ? {}
          : {
              accuracy: {
                candidate: labels(candidates, wrong.candidate),
                stable: labels(stables, wrong.stable),
                paired: null,
                broken: null,
              },
            },
    });
  }
}

/** Without latencies and outputs: many runs in little time. */
function* errorsOnly({ seed, intervals, candidate, share, common }: Traffic) {
  const random = seededRandom(seed);
  for (let at = 0; at < intervals; at += 1) {
    const { candidates, stables } = drawSplit(random, 100, share(at));
    yield intervalOf(at, {
      candidate: drawArm(random, candidates, { ...candidate, ...common(at) }),
      stable: drawArm(random, stables, { ...ERRORS, ...common(at) }),
    });
  }
}

/** Five at a time. */
const atOnce = (random: () => number, requests: number): number =>
  Math.min(requests, 5 * drawBinomial(random, 10 * requests, 0.001));

/** Retries: now and then one arm has five failures at once, whichever arm it is. */
function* bursts(seed: number) {
  const random = seededRandom(seed);
  for (let at = 0; at < 200; at += 1) {
    const { candidates, stables } = drawSplit(random, 100, 0.1);
    const of = (requests: number) => ({
      ...drawArm(random, requests, {}),
      errors: atOnce(random, requests),
    });
    yield intervalOf(at, { candidate: of(candidates), stable: of(stables) });
  }
}

const tenth = (): number => 0.1;
const nothing = (): Behaviour => ({});

/** Records that come late, and some that never come. */
function disturbed(intervals: Iterable<Interval>, seed: number): readonly Interval[] {
  const random = seededRandom(seed);
  return [...intervals]
    .filter(() => random() > 0.05)
    .map((interval) => ({
      interval,
      at: interval.to + (random() < 0.2 ? random() * 20_000 : 0),
    }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ interval }) => interval);
}

/** Until it goes back, or to the end. */
function run(start: AnalysisState, intervals: Iterable<Interval>): AnalysisState {
  let state = start;
  for (const interval of intervals) {
    state = fold(state, [interval]);
    if (state.latched !== null) break;
  }
  return state;
}

const exact = (name: "errorRate" | "rejected") =>
  ({ ...METRICS[name], tolerance: { absolute: 0, relative: 1 } }) as const;

describe("a candidate that is as good as stable", () => {
  const RUNS = 150;
  const ALPHA = 0.05;

  test.each([
    [
      "common outages",
      { share: tenth, common: (at: number) => ({ errorRate: at % 20 < 2 ? 0.5 : 0.01 }) },
    ],
    [
      "rising weights and a rising base rate",
      {
        share: (at: number) => [0.01, 0.05, 0.25, 0.5][Math.floor(at / 15)] ?? 0.5,
        common: (at: number) => ({ errorRate: 0.002 + 0.0004 * at, rejected: 0.05 - 0.0006 * at }),
      },
    ],
  ])("goes back no more often than the policy says: %s", (_name, conditions) => {
    const analysis = analysisOf([exact("errorRate"), exact("rejected")], {
      alpha: ALPHA,
      dispersion: 1,
    });
    const start = startWatch(analysis, { horizonIntervals: 60 });
    let back = 0;
    for (let seed = 0; seed < RUNS; seed += 1) {
      const intervals = errorsOnly({ seed, intervals: 60, candidate: ERRORS, ...conditions });
      if (run(start, intervals).latched !== null) back += 1;
    }
    expect(back / RUNS).toBeLessThanOrEqual(ALPHA + 3 * Math.sqrt((ALPHA * (1 - ALPHA)) / RUNS));
  });

  test("goes back far less often for bursts that nobody knew of before", () => {
    const start = startWatch(analysisOf([METRICS.errorRate]), { horizonIntervals: 200 });
    let back = 0;
    for (let seed = 0; seed < 40; seed += 1)
      if (run(start, bursts(seed)).latched !== null) back += 1;
    // Without it nearly all of them do.
    expect(back).toBeLessThanOrEqual(12);
  });

  test("never does with the defaults, whatever happens to the records", () => {
    for (let seed = 0; seed < 12; seed += 1) {
      const start = startWatch(analysisOf(DEFAULTS), {
        baseline: seed % 2 === 0 ? BASELINE : [],
        horizonIntervals: 80,
      });
      const traffic = trafficOf({
        seed: 1000 + seed,
        intervals: 80,
        candidate: GOOD,
        share: (at) => (at < 40 ? 0.1 : 0.5),
        common: (at) => (at > 50 && at < 60 ? { errorRate: 0.4, latencyMs: 200 } : {}),
        wrong: { candidate: 0.1, stable: 0.1 },
      });
      const state = run(start, seed % 3 === 0 ? traffic : disturbed(traffic, seed));
      expect(judge(state).decision, judge(state).why).toBe("continue");
    }
  });
});

describe("a candidate that is broken goes back, with the blame where it belongs", () => {
  const wrong = { candidate: 0.1, stable: 0.1 };
  test.each([
    ["throws at every request", { errorRate: 1 }, wrong, "errorRate", 5],
    ["fails ten times as often", { errorRate: 0.05 }, wrong, "errorRate", 150],
    ["is twice as slow", { latencyMs: 40 }, wrong, "latency", 20],
    ["answers NaN", { invalid: 1 }, wrong, "errorRate", 5],
    ["rejects good requests", { rejected: 0.3 }, wrong, "rejected", 20],
    ["has the wrong scale", {}, { candidate: 0.6, stable: 0.1 }, "accuracy", 20],
  ] as const)("%s", (_name, broken, labels, blamed, within) => {
    for (const [seed, baseline] of [
      [1, BASELINE],
      [2, []],
    ] as const) {
      const start = startWatch(analysisOf(DEFAULTS), { baseline });
      const intervals = disturbed(
        trafficOf({
          seed,
          intervals: within,
          candidate: { ...GOOD, ...broken },
          share: tenth,
          common: nothing,
          wrong: labels,
        }),
        seed,
      );
      const verdict = judge(run(start, intervals));
      expect(verdict, verdict.why).toMatchObject({ decision: "rollback", blamed: [blamed] });
    }
  });

  test("predicts another distribution, where the policy lets drift act", () => {
    const metrics = [METRICS.errorRate, { ...METRICS.drift, action: "rollback" }] as const;
    const start = startWatch(analysisOf(metrics), { baseline: BASELINE });
    const scaled = { ...GOOD, outputs: { a: 1 } };
    const traffic = trafficOf({
      seed: 5,
      intervals: 40,
      candidate: scaled,
      share: tenth,
      common: nothing,
    });
    expect(judge(run(start, traffic))).toMatchObject({ decision: "rollback", blamed: ["drift"] });
  });

  test("answers otherwise than stable on mirrored requests, before anybody sees it", () => {
    const start = startWatch(analysisOf([METRICS.errorRate, METRICS.disagreement]));
    const random = seededRandom(6);
    const mirrored = Array.from({ length: 20 }, (_, at) =>
      intervalOf(at, {
        stable: drawArm(random, 100, { errorRate: 0.005 }),
        pairs: { ...noPairCounts(), pairs: 10, disagreed: drawBinomial(random, 10, 0.5) },
      }),
    );
    expect(judge(run(start, mirrored), { candidateShare: 0 })).toMatchObject({
      decision: "rollback",
      blamed: ["disagreement"],
    });
  });

  test("goes bad late", () => {
    const start = startWatch(analysisOf([METRICS.errorRate]), { horizonIntervals: 600 });
    const common: Traffic = {
      seed: 7,
      intervals: 560,
      candidate: {},
      share: tenth,
      common: nothing,
    };
    const late = errorsOnly({ ...common, seed: 8, intervals: 40, candidate: { errorRate: 0.2 } });
    const before = run(start, errorsOnly({ ...common, candidate: ERRORS }));
    expect(before.latched).toBeNull();
    const moved = [...late].map((interval) => ({
      ...interval,
      from: interval.from + 560_000,
      to: interval.to + 560_000,
    }));
    expect(judge(run(before, moved)).decision).toBe("rollback");
  });
});
