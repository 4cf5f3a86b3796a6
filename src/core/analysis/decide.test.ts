/** What is decided, beside what each metric says: every test has the wrong decision without its rule. */
import { describe, expect, test } from "vitest";

import { seededRandom } from "../../../test/support/seeded-random.ts";
import {
  analysisOf,
  drawArm,
  drawSplit,
  fold,
  intervalOf,
  judge,
  METRICS,
  startWatch,
  type Behaviour,
} from "../../../test/support/watch.ts";
import {
  assessmentSchema,
  noArmCounts,
  noPairCounts,
  unreadMetrics,
  type Interval,
  type PairCounts,
} from "./index.ts";

const GOOD: Behaviour = { errorRate: 0.005 };

/** Intervals of 100 requests, one in ten the candidate's. */
function traffic(
  seed: number,
  from: number,
  count: number,
  candidate: Behaviour,
  stable: Behaviour = GOOD,
): readonly Interval[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, at) => {
    const { candidates, stables } = drawSplit(random, 100, 0.1);
    return intervalOf(from + at, {
      candidateShare: 0.1,
      candidate: drawArm(random, candidates, candidate),
      stable: drawArm(random, stables, stable),
    });
  });
}

/** Exact counts in one interval. */
const exact = (
  at: number,
  [candidates, candidateErrors, stables, stableErrors]: readonly [number, number, number, number],
): Interval =>
  intervalOf(at, {
    candidate: { ...noArmCounts(), requests: candidates, errors: candidateErrors },
    stable: { ...noArmCounts(), requests: stables, errors: stableErrors },
  });

const ERRORS = analysisOf([METRICS.errorRate]);

describe("a rollback", () => {
  test("says what it saw, and how rarely chance would show it", () => {
    const { decision, why, blamed } = judge(fold(startWatch(ERRORS), [exact(0, [8, 8, 72, 1])]));
    expect({ decision, blamed }).toEqual({ decision: "rollback", blamed: ["errorRate"] });
    expect(why).toMatch(/^errorRate: 100 % errors, stable 1\.4 %: 1 in [\d ]+ by chance$/);
  });

  test("stays one, in the same words, whatever comes later", () => {
    const bad = fold(startWatch(ERRORS), traffic(1, 0, 5, { errorRate: 1 }));
    const { why } = judge(bad);
    const later = judge(fold(bad, traffic(2, 5, 2000, { errorRate: 0 }, { errorRate: 0.05 })));
    expect(later.logE).toBeLessThan(later.threshold);
    expect(later).toMatchObject({ decision: "rollback", blamed: ["errorRate"], why });
  });

  test("needs the weighted average to reach 1 / alpha, not one metric alone", () => {
    const metrics = [METRICS.errorRate, METRICS.rejected, METRICS.latency, METRICS.accuracy];
    const state = startWatch(analysisOf(metrics));
    const few = [exact(0, [4, 4, 41, 0])];
    const alone = judge(fold(startWatch(ERRORS), few));
    const among = judge(fold(state, few));
    expect(alone.decision).toBe("rollback");
    expect(among.metrics[0]?.logE).toBeCloseTo(alone.logE, 12);
    expect(among.decision).toBe("hold");
  });

  test("blames every metric that would have brought it back alone, else the weightiest", () => {
    const metrics = [METRICS.errorRate, METRICS.validity, METRICS.rejected];
    const invalid = { ...noArmCounts(), requests: 30, errors: 30, invalid: 30 };
    const both = intervalOf(0, {
      candidate: invalid,
      stable: { ...noArmCounts(), requests: 270 },
    });
    expect(judge(fold(startWatch(analysisOf(metrics)), [both])).blamed).toEqual([
      "errorRate",
      "validity",
    ]);
  });
});

describe("holding", () => {
  test("begins at 1 / holdAlpha, and ends only well below it", () => {
    const start = startWatch(ERRORS);
    const held = fold(start, [exact(0, [3, 3, 27, 0])]);
    expect(judge(held)).toMatchObject({ decision: "hold", blamed: ["errorRate"] });
    // Two of stable's errors make it less than 20, a few more less than 5.
    const less = fold(held, [exact(1, [10, 0, 90, 2])]);
    const { logE } = judge(less);
    expect(logE).toBeLessThan(Math.log(20));
    expect(logE).toBeGreaterThan(Math.log(5));
    expect(judge(less).decision).toBe("hold");
    expect(judge(fold(less, [exact(2, [10, 0, 90, 10])])).decision).toBe("continue");
    // Without having been held it is no reason to hold.
    expect(judge(fold(start, [exact(0, [13, 3, 117, 3])])).decision).toBe("continue");
  });

  test("a metric that only holds never brings it back", () => {
    const holds = { ...METRICS.errorRate, action: "hold" } as const;
    const state = fold(
      startWatch(analysisOf([holds, METRICS.rejected])),
      traffic(3, 0, 50, { errorRate: 1 }),
    );
    expect(judge(state)).toMatchObject({ decision: "hold", blamed: ["errorRate"] });
  });

  test("a metric that only reports does nothing at all", () => {
    const reports = { ...METRICS.errorRate, action: "report" } as const;
    const state = fold(
      startWatch(analysisOf([reports, METRICS.rejected])),
      traffic(3, 0, 50, { errorRate: 1 }),
    );
    expect(judge(state)).toMatchObject({ decision: "continue", source: "ok" });
    expect(judge(state).metrics[0]).toMatchObject({ verdict: "fail", action: "report" });
  });
});

const BAKE = { phase: "bake", candidateShare: 1 } as const;

/** A bake without a holdback: 100 requests, 5 of them mirrored to stable. */
const bake = (
  from: number,
  count: number,
  { errors = 0, ...pairs }: { readonly errors?: number } & Partial<PairCounts>,
): readonly Interval[] =>
  Array.from({ length: count }, (_, at) =>
    intervalOf(from + at, {
      candidate: { ...noArmCounts(), requests: 100, errors },
      pairs: { ...noPairCounts(), pairs: 5, ...pairs },
    }),
  );

/** A step in which the candidate answers copies of a tenth of stable's requests. */
const mirrorStep = (count: number, pairs: Partial<PairCounts>, errors = 0): readonly Interval[] =>
  Array.from({ length: count }, (_, at) =>
    intervalOf(at, {
      stable: { ...noArmCounts(), requests: 100, errors },
      pairs: { ...noPairCounts(), pairs: 10, ...pairs },
    }),
  );

describe("an outage", () => {
  test("that hits both alike pauses, and never goes back", () => {
    const before = fold(startWatch(ERRORS), traffic(4, 0, 20, GOOD));
    const outage = { errorRate: 0.6 };
    const during = judge(fold(before, traffic(5, 20, 30, outage, outage)));
    expect(during).toMatchObject({ decision: "hold", source: "outage" });
    expect(during.why).toMatch(
      /^an outage: lately \d+ % of the candidate's requests failed and \d+ % of stable's$/,
    );
    const after = fold(before, [
      ...traffic(5, 20, 30, outage, outage),
      ...traffic(6, 50, 60, GOOD),
    ]);
    expect(judge(after)).toMatchObject({ decision: "continue", source: "ok" });
  });

  test("does not hide a candidate that fails much more", () => {
    const state = fold(
      startWatch(ERRORS),
      traffic(7, 0, 60, { errorRate: 1 }, { errorRate: 0.15 }),
    );
    expect(judge(state).decision).toBe("rollback");
  });

  test("shows in pairs of a bake, where stable has no traffic", () => {
    const paired = startWatch(ERRORS, { comparison: "paired" });
    const before = fold(paired, bake(0, 20, {}));
    expect(judge(before, BAKE)).toMatchObject({ decision: "continue", source: "ok" });
    const outage = fold(before, bake(20, 30, { errors: 60, bothBad: 3 }));
    expect(judge(outage, BAKE)).toMatchObject({ decision: "hold", source: "outage" });
    expect(judge(outage, BAKE).why).toMatch(
      /^an outage: lately \d+ % of the candidate's requests failed and \d+ % of stable's$/,
    );
    expect(judge(fold(outage, bake(50, 60, {})), BAKE)).toMatchObject({
      decision: "continue",
      source: "ok",
    });
  });

  test("is none in pairs that the candidate alone fails", () => {
    const paired = startWatch(ERRORS, { comparison: "paired" });
    const bad = fold(paired, bake(0, 30, { errors: 60, onlyCandidateBad: 3 }));
    expect(judge(bad, BAKE)).toMatchObject({ decision: "rollback", source: "ok" });
  });

  test("in a mirror step is told by the copies", () => {
    const state = fold(startWatch(ERRORS), mirrorStep(20, { bothBad: 8 }, 40));
    expect(judge(state, { candidateShare: 0 })).toMatchObject({
      decision: "hold",
      source: "outage",
    });
  });

  test("that lasts brings nothing back where a rate in proportion is tolerated", () => {
    const tolerance = { absolute: 0.001, relative: 1.5 };
    const relative = analysisOf([{ ...METRICS.errorRate, tolerance }]);
    const state = fold(
      startWatch(relative, { comparison: "paired" }),
      bake(0, 400, { errors: 60, bothBad: 3, onlyCandidateBad: 1, onlyStableBad: 0 }),
    );
    // 80 % and 60 %: less than half as much again.
    expect(judge(state, BAKE)).toMatchObject({ decision: "hold", source: "outage" });
  });

  test("is none where only the candidate fails", () => {
    const state = fold(startWatch(ERRORS), [exact(0, [2, 2, 18, 0])]);
    expect(judge(state).source).toBe("ok");
  });
});

/** The candidate should have a tenth and gets a fifth: its failures cannot be compared. */
const skewed = (errors: number, candidateShare: number | null): readonly Interval[] =>
  Array.from({ length: 60 }, (_, at) =>
    intervalOf(at, {
      candidateShare,
      candidate: { ...noArmCounts(), requests: 200, errors: at < 50 ? 0 : errors },
      stable: { ...noArmCounts(), requests: 800 },
    }),
  );

describe("a split that is not what was asked for", () => {
  test("makes the comparison invalid: it holds, and never goes back", () => {
    const verdict = judge(fold(startWatch(ERRORS), skewed(200, 0.1)));
    expect(verdict).toMatchObject({ decision: "hold", source: "broken" });
    expect(verdict.why).toContain("20 % of requests reached the candidate, 10 % should have");
  });

  test("does not stop a check that fails: that compares nothing", () => {
    const both = analysisOf([METRICS.errorRate, METRICS.health]);
    const check = {
      candidate: { observations: 3, bad: 3 },
      stable: { observations: 3, bad: 0 },
      paired: null,
      broken: null,
    };
    const state = fold(startWatch(both), [
      ...skewed(0, 0.1),
      intervalOf(60, { signals: { ready: check } }),
    ]);
    expect(judge(state)).toMatchObject({
      decision: "rollback",
      blamed: ["ready"],
      source: "broken",
    });
  });

  test("is nobody's mistake where keys decide, or where it is as asked", () => {
    expect(judge(fold(startWatch(ERRORS), skewed(0, null))).source).toBe("ok");
    expect(judge(fold(startWatch(ERRORS), skewed(0, 0.2))).source).toBe("ok");
    expect(judge(fold(startWatch(ERRORS), skewed(200, null))).decision).toBe("rollback");
  });

  test("counts each split with its own share", () => {
    const random = seededRandom(8);
    const intervals = [0.01, 0.05, 0.25, 0.5].flatMap((share, step) =>
      Array.from({ length: 100 }, (_, at) => {
        const { candidates, stables } = drawSplit(random, 300, share);
        return intervalOf(step * 100 + at, {
          split: step,
          candidateShare: share,
          candidate: { ...noArmCounts(), requests: candidates },
          stable: { ...noArmCounts(), requests: stables },
        });
      }),
    );
    expect(judge(fold(startWatch(ERRORS), intervals)).source).toBe("ok");
  });
});

const minutes = (count: number): number => 10_000 + count * 60_000;

/** Six minutes without a pair. */
const dry = (arm: "candidate" | "stable", skipped: number): readonly Interval[] =>
  Array.from({ length: 360 }, (_, at) =>
    intervalOf(10 + at, {
      [arm]: { ...noArmCounts(), requests: 10 },
      pairs: { ...noPairCounts(), skipped: at % 30 === 0 ? skipped : 0 },
    }),
  );

describe("no data", () => {
  const lone = (arm: "candidate" | "stable") =>
    fold(
      good,
      Array.from({ length: 400 }, (_, at) =>
        intervalOf(10 + at, { [arm]: { ...noArmCounts(), requests: 50 } }),
      ),
    );
  const good = fold(startWatch(ERRORS), traffic(9, 0, 10, GOOD));

  test("is never good news", () => {
    expect(judge(startWatch(ERRORS), { lastEvidenceAt: null })).toMatchObject({
      decision: "hold",
      source: "silent",
      why: "no evidence has come yet",
    });
    expect(judge(good, { now: minutes(4), lastEvidenceAt: 10_000 }).decision).toBe("continue");
    expect(judge(good, { now: minutes(6), lastEvidenceAt: 10_000 })).toMatchObject({
      decision: "hold",
      source: "silent",
      why: "no evidence for 6 min",
    });
  });

  test("of one arm neither", () => {
    expect(judge(lone("stable")).why).toBe("the candidate had no requests for 7 min");
    expect(judge(lone("candidate")).why).toBe("stable had no requests to compare with for 7 min");
    // By plan: nothing yet, or everything.
    expect(judge(lone("stable"), { candidateShare: 0 }).source).toBe("ok");
    expect(judge(lone("candidate"), { candidateShare: 1 }).source).toBe("ok");
  });

  test("pairs that dry up are no data, in a bake and in a mirror step, also where none ever came", () => {
    const paired = startWatch(ERRORS, { comparison: "paired" });
    const before = fold(paired, bake(0, 10, {}));
    const state = fold(before, dry("candidate", 1));
    expect(judge(state, BAKE)).toMatchObject({
      decision: "hold",
      source: "silent",
      why: "no request was answered by both revisions for 6 min: of 12 that were to be mirrored none could be, the other revision is busy or not there",
    });
    const again = fold(state, [intervalOf(370, { pairs: { ...noPairCounts(), pairs: 1 } })]);
    expect(judge(again, BAKE)).toMatchObject({ decision: "continue", source: "ok" });
    expect(judge(fold(before, dry("candidate", 0)), BAKE).source, "nothing is to be mirrored").toBe(
      "ok",
    );
    expect(judge(fold(paired, dry("candidate", 1)), BAKE).source).toBe("silent");
    const step = fold(startWatch(ERRORS), dry("stable", 1));
    expect(judge(step, { candidateShare: 0 }).source).toBe("silent");
  });

  test("goes back where the policy says so", () => {
    const noData = { action: "rollback", afterMs: 300_000 } as const;
    const state = fold(
      startWatch(analysisOf([METRICS.errorRate], { noData })),
      traffic(9, 0, 10, GOOD),
    );
    expect(judge(state, { now: minutes(6), lastEvidenceAt: 10_000 }).decision).toBe("rollback");
  });

  test("holds where nobody could have told of requests, whatever the policy says", () => {
    const noData = { action: "rollback", afterMs: 300_000 } as const;
    const state = fold(
      startWatch(analysisOf([METRICS.errorRate], { noData })),
      traffic(9, 0, 10, GOOD),
    );
    const after = (now: number) =>
      judge(state, { now, lastEvidenceAt: 10_000, listeningSince: minutes(60) });
    expect(after(minutes(65))).toMatchObject({
      decision: "hold",
      source: "broken",
      why: "no evidence for 65 min; nobody could have told of requests all that time",
    });
    expect(after(minutes(65) + 1).decision).toBe("rollback");
  });

  test("gaps are counted", () => {
    const state = fold(startWatch(ERRORS), [
      intervalOf(0, { gaps: 2 }),
      intervalOf(1),
      intervalOf(2, { gaps: 1 }),
    ]);
    expect(judge(state).gaps).toBe(3);
  });
});

const halves = (count: number, errors: number): readonly Interval[] =>
  Array.from({ length: count }, (_, at) => exact(at, [100, errors, 100, 0]));

describe("early promotion", () => {
  const EARLY = { early: true };
  const metrics = [METRICS.errorRate, METRICS.rejected];

  test("takes evidence that all that is compared is within the margin", () => {
    const state = fold(startWatch(analysisOf(metrics, EARLY)), halves(60, 0));
    expect(judge(state)).toMatchObject({ decision: "promote" });
    expect(judge(state).metrics.map(({ verdict }) => verdict)).toEqual(["pass", "pass"]);
    expect(judge(fold(startWatch(analysisOf(metrics)), halves(60, 0))).decision).toBe("continue");
  });

  test("waits for enough requests, and never shortens a bake", () => {
    const eager = analysisOf(metrics, { ...EARLY, minRequests: 10_000 });
    expect(judge(fold(startWatch(eager), halves(60, 0))).decision).toBe("continue");
    const state = fold(startWatch(analysisOf(metrics, EARLY)), halves(60, 0));
    expect(judge(state, { phase: "bake" }).decision).toBe("continue");
  });

  test("one comparison within the margin is not all", () => {
    const slow = [...metrics, METRICS.latency];
    expect(judge(fold(startWatch(analysisOf(slow, EARLY)), halves(60, 0))).decision).toBe(
      "continue",
    );
  });

  test("a metric that has a limit alone has to be below it", () => {
    const limited = { ...METRICS.rejected, tolerance: null, max: 0.02 } as const;
    const judged = (rejected: number) => {
      const half = { ...noArmCounts(), requests: 50, rejected };
      const both = Array.from({ length: 60 }, (_, at) =>
        intervalOf(at, { candidate: half, stable: half }),
      );
      const start = startWatch(analysisOf([METRICS.errorRate, limited], EARLY));
      return judge(fold(start, both)).decision;
    };
    expect(judged(0)).toBe("promote");
    expect(judged(1)).not.toBe("promote");
  });

  test("labels are waited for where there are any", () => {
    const labelled = analysisOf([...metrics, METRICS.accuracy], EARLY);
    expect(judge(fold(startWatch(labelled), halves(60, 0))).decision).toBe("promote");
    const arm = { observations: 1, bad: 0 };
    const signals = {
      accuracy: { candidate: arm, stable: arm, paired: null, broken: null },
    };
    const some = fold(startWatch(labelled), [...halves(60, 0), intervalOf(60, { signals })]);
    expect(judge(some).decision).toBe("continue");
  });

  test("needs no traffic of its own: copies prove errors and answers as well", () => {
    const mirrored = analysisOf([METRICS.errorRate, METRICS.disagreement], EARLY);
    const promoted = judge(fold(startWatch(mirrored), mirrorStep(60, {})));
    expect(promoted).toMatchObject({ decision: "promote" });
    expect(promoted.why).toContain("after 600 requests");
    expect(promoted.metrics.map(({ verdict }) => verdict)).toEqual(["pass", "pass"]);
    // Too few; too many that differ; one that fails what stable answers.
    for (const [count, pairs] of [
      [49, {}],
      [200, { disagreed: 1 }],
      [200, { onlyCandidateBad: 1, onlyStableBad: 1, bothBad: 3 }],
    ] as const)
      expect(judge(fold(startWatch(mirrored), mirrorStep(count, pairs))).decision).not.toBe(
        "promote",
      );
  });

  test("of copies alone waits for what only traffic of its own can show", () => {
    const slow = analysisOf([METRICS.errorRate, METRICS.latency], EARLY);
    expect(judge(fold(startWatch(slow), mirrorStep(200, {}))).decision).toBe("continue");
  });

  test("does not wait for copies that nobody makes", () => {
    const never = analysisOf([METRICS.errorRate, METRICS.disagreement], EARLY);
    expect(judge(fold(startWatch(never), halves(60, 0))).decision).toBe("promote");
  });

  test("a candidate at the margin is not promoted", () => {
    const tolerant = { ...METRICS.errorRate, tolerance: { absolute: 0.01, relative: 1 } } as const;
    const state = fold(startWatch(analysisOf([tolerant], EARLY)), halves(200, 1));
    expect(judge(state).decision).toBe("continue");
  });
});

test("a source that cannot be read holds until it can", () => {
  const logs = {
    ...METRICS.errorRate,
    kind: "logs",
    name: "app log",
    source: "journal",
  } as const;
  const arm = { observations: 0, bad: 0 };
  const signal = (broken: string | null) => ({
    "app log": { candidate: arm, stable: arm, paired: null, broken },
  });
  const start = fold(startWatch(analysisOf([METRICS.errorRate, logs])), traffic(1, 0, 5, GOOD));
  const broken = fold(start, [intervalOf(5, { signals: signal("permission denied") })]);
  expect(judge(broken)).toMatchObject({ decision: "hold", source: "broken" });
  expect(judge(broken).why).toBe("app log cannot be read: permission denied");
  expect(unreadMetrics(broken)).toEqual(["app log"]);
  // What gateways saw says nothing of it; that it was read again does, whatever it had.
  expect(judge(fold(broken, traffic(2, 6, 5, GOOD))).source).toBe("broken");
  const mended = fold(broken, [intervalOf(6, { signals: signal(null) })]);
  expect(judge(mended)).toMatchObject({ decision: "continue", source: "ok" });
  expect(unreadMetrics(mended)).toEqual([]);
});

test("an assessment has the form that is stored", () => {
  const state = fold(startWatch(ERRORS), traffic(1, 0, 50, { errorRate: 0.05 }));
  const verdict = judge(state, { plannedRequestsLeft: 5000 });
  expect(assessmentSchema.parse(JSON.parse(JSON.stringify(verdict)))).toEqual(verdict);
  const [metric] = verdict.metrics;
  expect(metric?.detectable).toBeGreaterThan(0.006);
  expect(metric?.detectable).toBeLessThan(0.05);
});

const counts = (requests: number, errors = 0) => ({ ...noArmCounts(), requests, errors });

test("gateways that tell in turn, of one arm at a time, are compared each by itself", () => {
  const state = fold(
    startWatch(ERRORS),
    Array.from({ length: 80 }, (_, at) => {
      const of =
        Math.floor(at / 2) % 2 === 0 ? { candidate: counts(2, 2) } : { stable: counts(18) };
      return intervalOf(at, { split: at % 2, ...of });
    }),
  );
  expect(judge(state)).toMatchObject({ decision: "rollback", blamed: ["errorRate"] });
});
