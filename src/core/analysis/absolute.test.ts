/** Nothing runs beside the candidate: failures could be everybody's, so stable is asked. */
import { describe, expect, test } from "vitest";

import { seededRandom } from "../../../test/support/seeded-random.ts";
import {
  analysisOf,
  drawBaseline,
  fold,
  intervalOf,
  judge,
  METRICS,
  startWatch,
} from "../../../test/support/watch.ts";
import type { Metric } from "../policy/index.ts";
import {
  noArmCounts,
  planAnalysis,
  startAnalysis,
  type AnalysisState,
  type Assessment,
  type Interval,
} from "./index.ts";

const baseline = drawBaseline(seededRandom(1), 60, 100, { errorRate: 0.01 });

const watch = (metrics: readonly Metric[] = [METRICS.errorRate], known = baseline): AnalysisState =>
  startWatch(analysisOf(metrics), { baseline: known, comparison: "absolute" });

const serving = (
  at: number,
  errors: number,
  { fallback = 0, fallbackFailed = 0 }: { fallback?: number; fallbackFailed?: number } = {},
): Interval =>
  intervalOf(at, {
    candidate: { ...noArmCounts(), requests: 100, errors, fallback, fallbackFailed },
  });

const verdict = (state: AnalysisState): Assessment => judge(state, { candidateShare: 1 });

test("what stable had before, with the tolerance on top, is no reason", () => {
  const state = fold(
    watch(),
    Array.from({ length: 300 }, (_, at) => serving(at, at % 2)),
  );
  expect(verdict(state)).toMatchObject({ decision: "continue", source: "ok" });
});

const few = (from: number, count: number, fallback: number) =>
  Array.from({ length: count }, (_, at) => serving(from + at, 2, { fallback }));

describe("a candidate that fails more", () => {
  const proposed = fold(watch(), [serving(0, 40)]);

  test("is held until stable was asked, and says so", () => {
    expect(verdict(proposed).logE).toBeGreaterThan(verdict(proposed).threshold);
    expect(verdict(proposed)).toMatchObject({ decision: "hold", blamed: ["errorRate"] });
    expect(verdict(proposed).why).toContain("nothing it failed was tried on stable");
    expect(verdict(fold(proposed, [serving(1, 40), serving(2, 40)])).decision).toBe("hold");
  });

  test("goes back once stable answers most of what it failed", () => {
    const state = fold(proposed, [serving(1, 40, { fallback: 36, fallbackFailed: 4 })]);
    expect(verdict(state).decision).toBe("hold");
    expect(verdict(state).why).toContain("stable was tried on 40 of what it failed, and failed 4");
    const decided = fold(state, [serving(2, 40, { fallback: 36, fallbackFailed: 4 })]);
    expect(verdict(decided)).toMatchObject({ decision: "rollback", blamed: ["errorRate"] });
    expect(verdict(decided).why).toContain("stable answers what it fails");
  });

  test("does not where stable fails half of it as well: an outage", () => {
    const state = fold(proposed, [
      serving(1, 60, { fallback: 30, fallbackFailed: 30 }),
      serving(2, 60),
    ]);
    expect(verdict(state)).toMatchObject({ decision: "hold", source: "outage" });
    // The outage ends for stable, not for the candidate.
    const later = fold(state, [serving(3, 60, { fallback: 55, fallbackFailed: 0 })]);
    expect(verdict(later).decision).toBe("rollback");
  });

  test("at low traffic five intervals are waited for, and five requests", () => {
    expect(verdict(fold(proposed, few(1, 4, 2))).decision).toBe("hold");
    expect(verdict(fold(proposed, few(1, 5, 2))).decision).toBe("rollback");
    expect(verdict(fold(proposed, few(1, 4, 1))).decision).toBe("hold");
  });

  test("what was asked before it was proposed does not count", () => {
    const state = fold(watch(), [serving(0, 60, { fallback: 60 })]);
    expect(verdict(state).decision).toBe("hold");
  });

  test("is let go where it recovers", () => {
    const state = fold(
      proposed,
      Array.from({ length: 400 }, (_, at) => serving(1 + at, 0)),
    );
    expect(verdict(state)).toMatchObject({ decision: "continue", source: "ok" });
  });
});

test("a metric that stable cannot be asked about only holds", () => {
  const rejected = watch([METRICS.errorRate, METRICS.rejected]);
  const state = fold(
    rejected,
    Array.from({ length: 20 }, (_, at) =>
      intervalOf(at, { candidate: { ...noArmCounts(), requests: 100, rejected: 50 } }),
    ),
  );
  expect(verdict(state)).toMatchObject({ decision: "hold", blamed: ["rejected"] });
});

describe("where nobody knows what stable had", () => {
  const blind = watch([METRICS.errorRate], []);

  test("the policy's limit counts", () => {
    const limited = watch([{ ...METRICS.errorRate, max: 0.05 }], []);
    expect(verdict(fold(limited, [serving(0, 50)])).decision).toBe("hold");
  });

  test("no service fails one request in ten on a good day: it is held, and stable is asked", () => {
    const proposed = fold(blind, [serving(0, 100)]);
    expect(verdict(proposed)).toMatchObject({ decision: "hold", blamed: ["errorRate"] });
    expect(verdict(proposed).why).toContain("nothing it failed was tried on stable");
    const answered = { fallback: 60, fallbackFailed: 0 };
    expect(verdict(fold(proposed, [serving(1, 60, answered)])).decision).toBe("rollback");
    const failed = { fallback: 0, fallbackFailed: 60 };
    expect(verdict(fold(proposed, [serving(1, 60, failed)])).source).toBe("outage");
  });

  test("fewer errors are nobody's business", () => {
    const state = fold(
      blind,
      Array.from({ length: 300 }, (_, at) => serving(at, 8 + (at % 4))),
    );
    expect(verdict(state)).toMatchObject({ decision: "continue", source: "ok" });
  });

  test("what callers get wrong has no limit but the policy's", () => {
    const state = fold(watch([METRICS.errorRate, METRICS.rejected], []), [serving(0, 0)]);
    expect(verdict(state).metrics[1]?.words).toBe(
      "not tested: nothing runs beside it, and no limit is known",
    );
  });
});

const canary = (alone: boolean, metric: Metric = METRICS.errorRate) =>
  startAnalysis(
    planAnalysis({
      analysis: analysisOf([metric]),
      horizonIntervals: 100,
      baseline,
      comparison: "live",
      alone,
    }),
  );

describe("a canary whose bake has nothing beside it", () => {
  const steps = Array.from({ length: 20 }, (_, at) =>
    intervalOf(at, {
      candidate: { ...noArmCounts(), requests: 10, errors: at % 10 === 0 ? 1 : 0 },
      stable: { ...noArmCounts(), requests: 90, errors: 1 },
    }),
  );
  const bake = [20, 21, 22].map((at) => serving(at, 60, { fallback: 50 }));

  test("is protected in it, by asking stable", () => {
    const proposed = fold(canary(true), [...steps, ...bake.slice(0, 1)]);
    expect(verdict(proposed).decision).toBe("hold");
    expect(verdict(fold(canary(true), [...steps, ...bake]))).toMatchObject({
      decision: "rollback",
      blamed: ["errorRate"],
    });
    expect(verdict(fold(canary(false), [...steps, ...bake])).decision).not.toBe("rollback");
  });

  test("is held in it by a metric that only holds", () => {
    const holds = canary(true, { ...METRICS.errorRate, action: "hold" });
    const state = fold(holds, [...steps, ...bake]);
    expect(verdict(state)).toMatchObject({ decision: "hold", blamed: ["errorRate"] });
  });

  test("is compared before, where nobody need be asked", () => {
    const bad = intervalOf(0, {
      candidate: { ...noArmCounts(), requests: 10, errors: 10 },
      stable: { ...noArmCounts(), requests: 90 },
    });
    expect(judge(fold(canary(true), [bad])).decision).toBe("rollback");
  });
});
