/** What stable makes of copies of requests that the candidate answers: a blue/green bake, a mirror step. */
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
  type Behaviour,
} from "../../../test/support/watch.ts";
import type { Metric } from "../policy/index.ts";
import { latencyBucket, noArmCounts, noPairCounts, planAnalysis, type Interval } from "./index.ts";

const BEFORE: Behaviour = { latencyMs: 20, spread: 0.3, outputs: { yes: 0.2, no: 0.8 } };

interface Truth {
  /** How much longer the candidate takes. */
  readonly slower?: number;
  /** What stable needs for a copy, of what it needed while it served. */
  readonly idle?: number;
  /** An input takes both versions so much longer. */
  readonly hard?: () => number;
  /** The candidate's chance of saying yes where stable says no. */
  readonly turns?: number;
  readonly pairs?: number;
  readonly intervals?: number;
}

function drawIntervals(
  random: () => number,
  { slower = 1, idle = 1, hard = () => 1, turns = 0, pairs = 20, intervals = 120 }: Truth,
): readonly Interval[] {
  const noise = (): number => 0.8 + 0.4 * random();
  return Array.from({ length: intervals }, (_, at) => {
    const latency = Array.from({ length: pairs }, (): [number, number, number] => {
      const ms = 20 * hard();
      return [latencyBucket(ms * slower * noise()), latencyBucket(ms * idle * noise()), 1];
    });
    const outputs = Array.from({ length: pairs }, (): [string, string, number] => {
      const stable = random() < 0.2 ? "yes" : "no";
      return [stable === "no" && random() < turns ? "yes" : stable, stable, 1];
    });
    return intervalOf(at, {
      candidate: { ...noArmCounts(), requests: pairs * 20 },
      pairs: { ...noPairCounts(), pairs, latency: { "1": latency }, outputs },
    });
  });
}

/** All of the candidate's own answers above 50 ms. */
function busy(intervals: readonly Interval[]): readonly Interval[] {
  return intervals.map((interval) => ({
    ...interval,
    candidate: { ...interval.candidate, latency: { "1": [[latencyBucket(60), 400]] } },
  }));
}

function verdict(metric: Metric, truth: Truth, { known = true, seed = 1 } = {}) {
  const random = seededRandom(seed);
  const baseline = known ? drawBaseline(random, 20, 200, BEFORE) : [];
  const start = startWatch(analysisOf([metric]), { comparison: "paired", baseline });
  return judge(fold(start, drawIntervals(random, truth)));
}

/** What latency and errors can do in a watch. */
function rolesOf(
  comparison: "paired" | "live",
  servers: boolean,
  baseline: readonly Interval[] = [],
): readonly string[] {
  const analysis = analysisOf([METRICS.latency, METRICS.errorRate]);
  const plan = planAnalysis({ analysis, horizonIntervals: 100, baseline, comparison, servers });
  return plan.metrics.map(({ role }) => role);
}

describe("latency in pairs", () => {
  test("half as slow again is found, an equal version and eight percent are not", () => {
    expect(verdict(METRICS.latency, { slower: 1.5 })).toMatchObject({
      decision: "rollback",
      why: expect.stringMatching(/latency: .* ms, stable .* ms/) as string,
    });
    expect(verdict(METRICS.latency, {}).decision).toBe("continue");
    expect(verdict(METRICS.latency, { slower: 1.08 }).decision).toBe("continue");
  });

  test("without a past, what is slow is learnt from the first copies", () => {
    expect(verdict(METRICS.latency, { slower: 1.5 }, { known: false }).decision).toBe("rollback");
    const early = verdict(METRICS.latency, { slower: 3, intervals: 5 }, { known: false });
    expect(early.metrics[0]?.words).toContain("learnt from 200 of stable's answers first");
  });

  test("of servers whose time before is not known it can only hold: a copy may find warm what its original asked for", () => {
    const known = drawBaseline(seededRandom(1), 20, 200, BEFORE);
    expect(rolesOf("paired", true)).toEqual(["hold", "rollback"]);
    expect(rolesOf("paired", true, known)).toEqual(["rollback", "rollback"]);
    expect(rolesOf("paired", false)).toEqual(["rollback", "rollback"]);
    expect(rolesOf("live", true)).toEqual(["rollback", "rollback"]);
  });

  test("as slow as stable was while it served: that it answers copies sooner holds, and no more", () => {
    // Nearly idle, a server may be quicker: its connections, its share of the processor.
    expect(verdict(METRICS.latency, { idle: 0.5 })).toMatchObject({
      decision: "hold",
      why: expect.stringMatching(/beside copies; no slower than stable was/) as string,
    });
    expect(verdict(METRICS.latency, { idle: 0.95 }).decision).toBe("continue");
    expect(verdict(METRICS.latency, { idle: 0.5, slower: 1.5 }).decision).toBe("rollback");
    // Where nobody knows what stable was, copies are all there is.
    expect(verdict(METRICS.latency, { idle: 0.5 }, { known: false }).decision).toBe("rollback");
  });

  test("hard inputs are hard for both: no run of them brings an equal candidate back", () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const random = seededRandom(seed);
      let left = 0;
      // Now and then forty in a row take ten times as long.
      const hard = (): number => {
        if (left === 0 && random() < 0.005) left = 40;
        left = Math.max(0, left - 1);
        return left > 0 ? 10 : 1;
      };
      expect(verdict(METRICS.latency, { hard }, { seed }).decision).toBe("continue");
    }
  });

  test("a limit holds only where stable keeps it for the same requests", () => {
    const limited = { ...METRICS.latency, quantile: 0.9, slower: 9, maxMs: 40 } as const;
    const run = (truth: Truth) => {
      const start = startWatch(analysisOf([limited]), { comparison: "paired" });
      return judge(fold(start, busy(drawIntervals(seededRandom(1), truth)))).decision;
    };
    expect(run({ slower: 3 })).toBe("rollback");
    expect(run({ hard: () => 3 })).toBe("hold");
  });

  test("pairs of another batch size say nothing", () => {
    const start = startWatch(analysisOf([METRICS.latency]), {
      comparison: "paired",
      baseline: drawBaseline(seededRandom(3), 20, 200, BEFORE),
    });
    const intervals = drawIntervals(seededRandom(3), { slower: 2, intervals: 5 }).map(
      (interval) => ({
        ...interval,
        pairs: { ...interval.pairs, latency: { "1+4": interval.pairs.latency["1"] ?? [] } },
      }),
    );
    expect(judge(fold(start, intervals)).metrics[0]).toMatchObject({
      alwaysValidP: 1,
      candidate: { observations: 0 },
    });
  });
});

describe("drift in pairs", () => {
  test("a tenth more of one class holds, the same predictions and a few others do not", () => {
    expect(verdict(METRICS.drift, { turns: 0.1 })).toMatchObject({ decision: "hold" });
    expect(verdict(METRICS.drift, {}).decision).toBe("continue");
    expect(verdict(METRICS.drift, { turns: 0.008 }).decision).toBe("continue");
    const words = verdict(METRICS.drift, { turns: 0.1 }).metrics[0]?.words;
    expect(words).toMatch(
      /output (yes|no): [\d.]+ % of predictions, stable [\d.]+ %: less than 1 in/,
    );
  });

  test("without a past, the classes are learnt from the first copies", () => {
    expect(verdict(METRICS.drift, { turns: 0.2 }, { known: false }).decision).toBe("hold");
  });

  test("a mirror step of a canary counts as well", () => {
    const start = startWatch(analysisOf([METRICS.drift, METRICS.latency]), {
      baseline: drawBaseline(seededRandom(4), 20, 200, BEFORE),
    });
    const copied = drawIntervals(seededRandom(4), { turns: 0.1, slower: 2 }).map((interval) => ({
      ...interval,
      candidate: noArmCounts(),
      stable: { ...noArmCounts(), requests: 20 },
    }));
    const { decision, metrics } = judge(fold(start, copied));
    expect(decision).toBe("rollback");
    expect(metrics.every(({ logE }) => logE > 3)).toBe(true);
  });
});

describe("what is shown", () => {
  /** Three intervals of four have no copy; what is not copied is harder. */
  const sparse = drawIntervals(seededRandom(9), {}).map((interval, at): Interval => {
    const candidate = {
      ...noArmCounts(),
      requests: 400,
      errors: 40,
      latency: { "1": [[latencyBucket(900), 400]] as [number, number][] },
      outputs: { yes: 400 },
    };
    return { ...interval, candidate, pairs: at % 4 === 0 ? interval.pairs : noPairCounts() };
  });

  test("pairs alone, not the requests that nobody compared", () => {
    const metrics = [METRICS.errorRate, METRICS.latency, METRICS.drift];
    const start = startWatch(analysisOf(metrics), { comparison: "paired" });
    const [errors, latency, drift] = judge(fold(start, sparse)).metrics;
    expect(errors).toMatchObject({
      candidate: { observations: 600 },
      stable: { observations: 600 },
    });
    expect(latency?.quantiles?.candidate).toBeLessThan(30);
    expect(latency?.candidate.observations).toBe(latency?.stable.observations);
    expect(drift?.candidate.observations).toBe(drift?.stable.observations);
  });

  test("beside a limit the candidate's own times, which it is judged by", () => {
    const limited = { ...METRICS.latency, quantile: 0.9, maxMs: 100 } as const;
    const start = startWatch(analysisOf([limited]), { comparison: "paired" });
    const never = sparse.map((interval) => ({
      ...interval,
      pairs: { ...noPairCounts(), pairs: 1 },
    }));
    const { decision, why } = judge(fold(start, never));
    expect(decision).toBe("hold");
    expect(why).toMatch(/^latency: p90 9\d\d ms, at most 100 ms allowed: less than 1 in/);
  });
});

test("false alarms of equal versions stay below alpha, over and over looked at", () => {
  let rollbacks = 0;
  const RUNS = 200;
  const ALPHA = 0.05;
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const random = seededRandom(1_000 + seed);
    const analysis = analysisOf(
      [
        { ...METRICS.latency, slower: 0, atLeastMs: 0 },
        { ...METRICS.drift, action: "rollback" },
      ],
      { alpha: ALPHA },
    );
    const start = startWatch(analysis, {
      comparison: "paired",
      baseline: drawBaseline(random, 20, 200, BEFORE),
    });
    const intervals = drawIntervals(random, { turns: 0.0125, intervals: 60 });
    if (judge(fold(start, intervals)).decision === "rollback") rollbacks += 1;
  }
  expect(rollbacks).toBeLessThanOrEqual(RUNS * ALPHA + 3 * Math.sqrt(RUNS * ALPHA * (1 - ALPHA)));
});
