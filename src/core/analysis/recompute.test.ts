/** What was decided can be shown again from what is stored, to the last digit. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { drawBinomial, seededRandom } from "../../../test/support/seeded-random.ts";
import {
  analysisOf,
  drawArm,
  drawBaseline,
  drawPairs,
  fold,
  intervalOf,
  judge,
  METRICS,
  startWatch,
  type Behaviour,
} from "../../../test/support/watch.ts";
import {
  assess,
  intervalSchema,
  latencyBucket,
  noArmCounts,
  noPairCounts,
  observe,
  planAnalysis,
  recompute,
  replay,
  startAnalysis,
  type Assessment,
  type AssessmentContext,
  type Interval,
} from "./index.ts";

const ALL = Object.values(METRICS);
const STABLE: Behaviour = { errorRate: 0.01, latencyMs: 10, outputs: { a: 0.6, b: 0.4 } };
const WORSE: Behaviour = { errorRate: 0.03, latencyMs: 12, outputs: { a: 0.5, b: 0.5 } };

test("what was decided before anything was seen is computed again as well", () => {
  const start = startWatch(analysisOf(ALL));
  const asked: AssessmentContext = {
    now: 900_000,
    lastEvidenceAt: 0,
    phase: "canary",
    plannedRequestsLeft: null,
    candidateShare: 0.2,
  };
  const { assessment } = replay(start.plan, [], asked);
  expect(assessment).toEqual(assess(start, asked));
  expect(assessment?.source).toBe("silent");
});

/** A watch with everything that intervals can hold, some of it missing here and there. */
function manifold(seed: number, count: number): readonly Interval[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, at) => {
    const split = Math.floor(at / 15);
    const mirror = split === 0;
    const candidates = mirror || random() < 0.1 ? 0 : 1 + Math.floor(random() * 30);
    const pairs = mirror ? 5 : 0;
    const labels = { observations: 3, bad: random() * 3 };
    return intervalOf(at, {
      split,
      candidateShare: mirror ? null : 0.2,
      candidate: drawArm(random, candidates, WORSE),
      stable: drawArm(random, random() < 0.1 ? 0 : 60, STABLE),
      pairs: {
        ...noPairCounts(),
        pairs,
        onlyCandidateBad: drawBinomial(random, pairs, 0.1),
        disagreed: drawBinomial(random, pairs, 0.1),
        latency: { "1": drawPairs(pairs, () => latencyBucket(5 * (1 + random()))) },
        outputs: drawPairs(pairs, () => (random() < 0.3 ? "yes" : "no")),
      },
      signals:
        random() < 0.5
          ? { accuracy: { candidate: labels, stable: labels, paired: null, broken: null } }
          : {},
      gaps: random() < 0.05 ? 1 : 0,
    });
  });
}

const contextOf = ({ to }: Interval): AssessmentContext => ({
  now: to,
  lastEvidenceAt: to,
  phase: "canary",
  plannedRequestsLeft: 1000,
  candidateShare: 0.2,
});

const throughJson = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value)) as Value;

test("computed again, from JSON, or with the state stored at any moment: the same digits", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.boolean(),
      fc.array(fc.boolean(), { minLength: 45, maxLength: 45 }),
      (seed, known, stored) => {
        const baseline = known ? drawBaseline(seededRandom(seed), 40, 20, STABLE) : [];
        const analysis = analysisOf(ALL);
        const plan = planAnalysis({
          analysis,
          horizonIntervals: 40,
          baseline,
          comparison: "live",
        });
        const intervals = manifold(seed, stored.length);
        let state = startAnalysis(plan);
        const seen: Assessment[] = [];
        intervals.forEach((interval, at) => {
          state = observe(stored[at] === true ? throughJson(state) : state, interval);
          seen.push(assess(state, contextOf(interval)));
        });
        const parsed = intervals.map((each) => intervalSchema.parse(throughJson(each)));
        const again = recompute(throughJson(plan), parsed, contextOf);
        expect(JSON.stringify(again)).toBe(JSON.stringify(seen));
        expect(recompute(plan, intervals)).toHaveLength(intervals.length);
      },
    ),
    { numRuns: 4 },
  );
});

test("folding leaves the state before as it was", () => {
  const start = startWatch(analysisOf(ALL));
  const before = JSON.stringify(start);
  fold(start, manifold(1, 30));
  expect(JSON.stringify(start)).toBe(before);
});

test("every number is one", () => {
  const odd = intervalOf(0, {
    candidate: {
      ...intervalOf(0).candidate,
      requests: 1,
      errors: 5,
      latency: { "1": [[-300, 1]] },
    },
    stable: { ...intervalOf(0).stable, requests: 2 ** 40, rejected: 2 ** 40 },
    signals: {
      accuracy: {
        candidate: { observations: 1, bad: 3 },
        stable: { observations: 0, bad: 0 },
        paired: { pairs: 0, onlyCandidateBad: 0, onlyStableBad: 0, bothBad: 0, losses: [] },
        broken: null,
      },
    },
  });
  for (const comparison of ["live", "paired", "absolute"] as const) {
    const state = fold(startWatch(analysisOf(ALL), { comparison, horizonIntervals: 0 }), [
      intervalOf(0),
      odd,
      ...manifold(2, 20),
      odd,
    ]);
    const stringified = JSON.stringify([state, judge(state)]);
    expect(stringified).not.toMatch(/NaN|Infinity/);
    expect(JSON.stringify(throughJson(state))).toBe(JSON.stringify(state));
    for (const { logE, threshold, detectable } of judge(state).metrics)
      expect([logE, threshold, detectable ?? 0].every(Number.isFinite)).toBe(true);
  }
});

const lateEvidence = (records: number) => {
  const random = seededRandom(4);
  const good = Array.from({ length: 400 }, (_, at) => [
    ...Array.from({ length: records }, () => intervalOf(at)),
    intervalOf(at, {
      candidate: drawArm(random, 10, { errorRate: 0.02 }),
      stable: drawArm(random, 90, { errorRate: 0.02 }),
    }),
  ]).flat();
  const bad = Array.from({ length: 20 }, (_, at) =>
    intervalOf(400 + at, {
      candidate: drawArm(random, 10, { errorRate: 0.3 }),
      stable: drawArm(random, 90, { errorRate: 0.02 }),
    }),
  );
  const start = startWatch(analysisOf([METRICS.errorRate]), { horizonIntervals: 500 });
  return judge(fold(start, [...good, ...bad])).logE;
};

test("several gateways and sources do not use up the restarts of a watch", () => {
  expect(lateEvidence(4)).toBe(lateEvidence(0));
});

const beside = (at: number): Interval =>
  intervalOf(at, {
    candidate: { ...noArmCounts(), requests: 95 },
    stable: { ...noArmCounts(), requests: 5 },
  });
const whys = (replayed: ReturnType<typeof replay>): readonly string[] =>
  replayed.decisions.map(({ decision, source }) => `${decision} ${source}`);

describe("what depended on the clock", () => {
  test("is decided again as of the look that it was decided at", () => {
    const { plan } = startWatch(analysisOf([METRICS.errorRate]));
    const intervals = [beside(0), beside(1), beside(1_300)];
    const context: AssessmentContext = {
      now: 1_202_000,
      lastEvidenceAt: 2_000,
      phase: "canary",
      plannedRequestsLeft: null,
      candidateShare: 0.95,
    };
    expect(whys(replay(plan, intervals))).toEqual(["continue ok"]);
    const known = { looks: [{ intervals: 2, context }], bakingSince: null };
    const replayed = replay(plan, intervals, null, known);
    expect(whys(replayed)).toEqual(["continue ok", "hold silent", "continue ok"]);
    expect(replayed.decisions[1]).toMatchObject({ at: 1_202_000, intervals: 2 });
  });

  test("a look before any interval counts as well", () => {
    const { plan } = startWatch(analysisOf([METRICS.errorRate]));
    const context: AssessmentContext = {
      now: 900_000,
      lastEvidenceAt: 0,
      phase: "canary",
      plannedRequestsLeft: null,
      candidateShare: 0.95,
    };
    const known = { looks: [{ intervals: 0, context }], bakingSince: null };
    expect(whys(replay(plan, [beside(900)], null, known))).toEqual(["hold silent", "continue ok"]);
  });

  test("nothing is promoted early in a bake", () => {
    const { plan } = startWatch(analysisOf([METRICS.errorRate], { early: true }));
    const intervals = Array.from({ length: 600 }, (_, at) => beside(at));
    const known = (bakingSince: number | null) =>
      whys(replay(plan, intervals, null, { looks: [], bakingSince }));
    expect(known(null)).toEqual(["continue ok", "promote ok"]);
    expect(known(0)).toEqual(["continue ok"]);
  });
});
