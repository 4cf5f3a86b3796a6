/** What each metric of requests compares: every test has the wrong decision without its rule. */
import { describe, expect, test } from "vitest";

import { seededRandom } from "../../../test/support/seeded-random.ts";
import {
  analysisOf,
  drawArm,
  drawBaseline,
  drawLatencies,
  fold,
  intervalOf,
  judge,
  METRICS,
  startWatch,
  watchOnly,
  type Behaviour,
} from "../../../test/support/watch.ts";
import type { Metric } from "../policy/index.ts";
import {
  latencyBucket,
  noArmCounts,
  noPairCounts,
  outputBin,
  outputBinLabel,
  type AnalysisState,
  type Interval,
} from "./index.ts";

/** Both arms with half of 200 requests in each interval. */
function halves(
  seed: number,
  count: number,
  candidate: Behaviour,
  stable: Behaviour,
): readonly Interval[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, at) =>
    intervalOf(at, {
      candidate: drawArm(random, 100, candidate),
      stable: drawArm(random, 100, stable),
    }),
  );
}

const slowerBy = (times: number, latencyMs = 100) =>
  judge(
    fold(
      watchOnly(METRICS.latency),
      halves(1, 100, { latencyMs: latencyMs * times }, { latencyMs }),
    ),
  );

describe("latency", () => {
  test("half as slow again goes back, in the words of the quantile that shows it", () => {
    const { decision, blamed, why } = slowerBy(1.5);
    expect({ decision, blamed }).toEqual({ decision: "rollback", blamed: ["latency"] });
    expect(why).toMatch(/^latency: (median|p[\d.]+) [\d.]+ ms, stable [\d.]+ ms: 1 in /);
  });

  test("while what is slow is not known yet, it says so and does not call it chance", () => {
    const short = fold(
      watchOnly(METRICS.latency),
      halves(1, 1, { latencyMs: 900 }, { latencyMs: 1 }),
    );
    expect(judge(short).metrics[0]?.words).toMatch(/^p99 .*: not judged yet: .* 200 of stable's/);
    expect(slowerBy(1.08).metrics[0]?.words).toContain("chance");
  });

  test("what a version does at first is not how fast it is: nothing is compared while it warms up", () => {
    const cold = [...halves(1, 10, { latencyMs: 900 }, { latencyMs: 20 })];
    const warm = halves(2, 60, { latencyMs: 20 }, { latencyMs: 20 });
    const after = warm.map((interval) => ({
      ...interval,
      from: interval.from + 10_000,
      to: interval.to + 10_000,
    }));
    expect(judge(fold(warmingUp(0), cold)).decision).toBe("rollback");
    const early = judge(fold(warmingUp(10_000), cold));
    expect(early.metrics[0]?.words).toBe(
      "not compared yet: it warms up for 10 s and 20 answers first",
    );
    expect(judge(fold(warmingUp(10_000), [...cold, ...after])).decision).toBe("continue");
    // Not for ever: what stays slow is found.
    const late = after.map((interval) => ({
      ...interval,
      candidate: cold[0]?.candidate ?? interval.candidate,
    }));
    expect(judge(fold(warmingUp(10_000), [...cold, ...late])).decision).toBe("rollback");
  });

  test("the first answers of several processes are no evidence, however slowly they come", () => {
    const rare = Array.from({ length: 19 }, (_, at) =>
      intervalOf(at * 10, { candidate: answersOf(900, 1), stable: answersOf(20, 9) }),
    );
    const run = (warmUpMs: number) => judge(fold(warmingUp(warmUpMs), rare)).decision;
    expect(run(0)).toBe("rollback");
    expect(run(1_000)).toBe("continue");
  });

  test("eight percent is tolerated", () => {
    expect(slowerBy(1.08).decision).toBe("continue");
  });

  test("half as slow again is tolerated where that is less than 2 ms", () => {
    expect(slowerBy(1.5, 1).decision).toBe("continue");
    const eager = { ...METRICS.latency, atLeastMs: 0 } as const;
    const state = fold(watchOnly(eager), halves(1, 100, { latencyMs: 1.5 }, { latencyMs: 1 }));
    expect(judge(state).decision).toBe("rollback");
  });

  test("larger batches are no slowdown: they are compared with batches of their size", () => {
    const random = seededRandom(2);
    const arm = (small: number, large: number): Interval["stable"] => ({
      ...noArmCounts(),
      requests: small + large,
      latency: { "1": drawLatencies(random, small, 10), "8": drawLatencies(random, large, 60) },
    });
    const intervals = Array.from({ length: 60 }, (_, at) =>
      intervalOf(at, { candidate: arm(10, 90), stable: arm(90, 10) }),
    );
    expect(judge(fold(watchOnly(METRICS.latency), intervals)).decision).toBe("continue");
    const mixed = intervals.map((interval) => ({
      ...interval,
      candidate: {
        ...interval.candidate,
        latency: { "1": Object.values(interval.candidate.latency).flat() },
      },
      stable: {
        ...interval.stable,
        latency: { "1": Object.values(interval.stable.latency).flat() },
      },
    }));
    expect(judge(fold(watchOnly(METRICS.latency), mixed)).decision).toBe("rollback");
  });

  test("pauses of a whole process raise the dispersion, from what stable shows", () => {
    const bucket = latencyBucket(10);
    const paused = latencyBucket(80);
    // Now and then twenty requests at once wait, in whichever process it is.
    const arm = (pause: boolean): Interval["stable"] => ({
      ...noArmCounts(),
      requests: 100,
      latency: {
        "1": pause
          ? [
              [bucket, 80],
              [paused, 20],
            ]
          : [[bucket, 100]],
      },
    });
    const random = seededRandom(3);
    const intervals = Array.from({ length: 600 }, (_, at) =>
      intervalOf(at, { candidate: arm(random() < 0.05), stable: arm(random() < 0.05) }),
    );
    const verdict = (dispersion: "auto" | number) =>
      judge(fold(startWatch(analysisOf([METRICS.latency], { dispersion })), intervals));
    expect(verdict("auto").decision).toBe("continue");
    expect(verdict("auto").metrics[0]?.dispersion).toBeGreaterThan(10);
    expect(verdict(1).decision).not.toBe("continue");
  });

  test("a limit counts where stable keeps it; where both exceed it, it only holds", () => {
    const limited = { ...METRICS.latency, quantile: 0.9, slower: 9, maxMs: 50 } as const;
    const run = (candidateMs: number, stableMs: number) =>
      judge(
        fold(
          watchOnly(limited),
          halves(4, 60, { latencyMs: candidateMs }, { latencyMs: stableMs }),
        ),
      ).decision;
    expect(run(60, 20)).toBe("rollback");
    expect(run(60, 60)).toBe("hold");
    expect(run(20, 20)).toBe("continue");
  });

  test("above a limit for its larger batches alone, it is not worse than stable, and only holds", () => {
    const random = seededRandom(7);
    const arm = (small: number, large: number): Interval["stable"] => ({
      ...noArmCounts(),
      requests: small + large,
      latency: { "1": drawLatencies(random, small, 10), "1+6": drawLatencies(random, large, 60) },
    });
    const limited = { ...METRICS.latency, quantile: 0.9, slower: 9, maxMs: 50 } as const;
    const intervals = Array.from({ length: 60 }, (_, at) =>
      intervalOf(at, { candidate: arm(10, 90), stable: arm(90, 3) }),
    );
    expect(judge(fold(watchOnly(limited), intervals)).decision).toBe("hold");
  });

  test("edges known from before the rollout are used at once", () => {
    const stable: Behaviour = { latencyMs: 20 };
    const baseline = drawBaseline(seededRandom(5), 10, 100, stable);
    const intervals = halves(6, 2, { latencyMs: 100 }, stable);
    expect(judge(fold(watchOnly(METRICS.latency, baseline), intervals)).decision).toBe("rollback");
    expect(judge(fold(watchOnly(METRICS.latency), intervals)).decision).toBe("continue");
  });
});

/** A watch of latencies that begins so late, after a stable of 20 ms. */
function warmingUp(warmUpMs: number): AnalysisState {
  const baseline = drawBaseline(seededRandom(5), 10, 100, { latencyMs: 20 });
  return watchOnly({ ...METRICS.latency, warmUpMs }, baseline);
}

/** So many answers that all took so long. */
function answersOf(ms: number, requests: number): Interval["stable"] {
  return { ...noArmCounts(), requests, latency: { "1": [[latencyBucket(ms), requests]] } };
}

const failing = (requests: number, errors: number) => ({ ...noArmCounts(), requests, errors });

const lone = (split: (at: number) => number) =>
  Array.from({ length: 60 }, (_, at) =>
    intervalOf(at, {
      split: split(at),
      candidate: at % 6 === 5 ? failing(1, 1) : noArmCounts(),
      stable: at % 6 === 5 ? noArmCounts() : failing(1, 0),
    }),
  );

describe("errors", () => {
  test("invalid outputs and rejections have metrics of their own", () => {
    for (const [metric, behaviour] of [
      [METRICS.validity, { invalid: 0.2 }],
      [METRICS.rejected, { rejected: 0.2 }],
    ] as const) {
      const bad = judge(fold(watchOnly(metric), halves(1, 20, behaviour, {})));
      expect(bad).toMatchObject({ decision: "rollback", blamed: [metric.name] });
      expect(judge(fold(watchOnly(metric), halves(1, 20, { errorRate: 0.2 }, {}))).decision).toBe(
        "continue",
      );
    }
  });

  test("a limit needs stable to be better", () => {
    const limited = { ...METRICS.errorRate, tolerance: null, max: 0.01 } as const;
    const run = (candidate: number, stable: number) =>
      judge(
        fold(watchOnly(limited), halves(2, 60, { errorRate: candidate }, { errorRate: stable })),
      ).decision;
    expect(run(0.06, 0.005)).toBe("rollback");
    expect(run(0.06, 0.06)).toBe("hold");
    expect(run(0.005, 0.0001)).toBe("continue");
  });

  test("what holds by its limit alone names the limit, and how sure that is", () => {
    const limited = { ...METRICS.errorRate, max: 0.01 } as const;
    const watched = fold(
      watchOnly(limited),
      halves(1, 60, { errorRate: 0.06 }, { errorRate: 0.06 }),
    );
    const { decision, why } = judge(watched);
    expect(decision).toBe("hold");
    expect(why).toMatch(/^errorRate: .*, at most 1 % allowed: (less than )?1 in [\d ]+ by chance$/);
  });

  test("low traffic waits until both arms had a request, under one split", () => {
    // One request at a time: no interval has both arms.
    expect(
      judge(
        fold(
          watchOnly(METRICS.errorRate),
          lone(() => 1),
        ),
      ).decision,
    ).toBe("rollback");
    expect(
      judge(
        fold(
          watchOnly(METRICS.errorRate),
          lone((at) => at),
        ),
      ).decision,
    ).toBe("continue");
  });

  test("bursts of one arm are no regression where stable is known or seen to have them", () => {
    const random = seededRandom(7);
    const burst = (): number => (random() < 0.03 ? 10 : 0);
    const arm = (requests: number) => ({ ...noArmCounts(), requests, errors: burst() });
    const baseline = Array.from({ length: 200 }, (_, at) => intervalOf(at, { stable: arm(100) }));
    const intervals = Array.from({ length: 300 }, (_, at) =>
      intervalOf(at, { candidate: arm(50), stable: arm(50) }),
    );
    const verdict = (known: readonly Interval[]) =>
      judge(fold(watchOnly(METRICS.errorRate, known), intervals));
    expect(verdict(baseline).decision).toBe("continue");
    expect(verdict(baseline).metrics[0]?.dispersion).toBeGreaterThan(5);
    expect(verdict([]).decision).toBe("continue");
    expect(verdict([]).metrics[0]?.dispersion).toBeGreaterThan(5);
    const undivided = startWatch(analysisOf([METRICS.errorRate], { dispersion: 1 }));
    expect(judge(fold(undivided, intervals)).decision).toBe("rollback");
  });
});

const mirrored = (at: number, onlyCandidateBad: number): Interval =>
  intervalOf(at, {
    stable: { ...noArmCounts(), requests: 100 },
    pairs: { ...noPairCounts(), pairs: 20, onlyCandidateBad },
  });

const baked = (at: number, onlyCandidateBad: number, onlyStableBad: number) =>
  intervalOf(at, {
    candidate: { ...noArmCounts(), requests: 100, errors: 10 },
    pairs: { ...noPairCounts(), pairs: 10, onlyCandidateBad, onlyStableBad },
  });

const disagreeing = (disagreed: number) =>
  judge(
    fold(
      watchOnly(METRICS.disagreement),
      [0, 1, 2].map((at) => intervalOf(at, { pairs: { ...noPairCounts(), pairs: 50, disagreed } })),
    ),
  );

describe("pairs", () => {
  test("of a mirror step bring it back before anybody saw an answer", () => {
    const state = fold(watchOnly(METRICS.errorRate), [mirrored(0, 10), mirrored(1, 10)]);
    expect(judge(state)).toMatchObject({ decision: "rollback", blamed: ["errorRate"] });
  });

  test("count once: what stable did beside them is no second comparison", () => {
    const steps = [0, 1, 2].map((at) => mirrored(at, 0));
    const first = intervalOf(3, { candidate: { ...noArmCounts(), requests: 4, errors: 4 } });
    const state = fold(watchOnly(METRICS.errorRate), [...steps, first]);
    expect(judge(state).decision).toBe("continue");
  });

  test("of a bake are the comparison", () => {
    const paired = startWatch(analysisOf([METRICS.errorRate, METRICS.latency]), {
      comparison: "paired",
    });
    const run = (ours: number, theirs: number) =>
      judge(
        fold(
          paired,
          [0, 1, 2, 3].map((at) => baked(at, ours, theirs)),
        ),
        {
          candidateShare: 1,
        },
      ).decision;
    expect(run(5, 0)).toBe("rollback");
    expect(run(1, 1)).toBe("continue");
  });

  test("that disagree too often bring it back", () => {
    expect(disagreeing(20)).toMatchObject({ decision: "rollback", blamed: ["disagreement"] });
    expect(disagreeing(20).why).toContain(
      "40 % of answers differ from stable's, at most 5 % allowed",
    );
    expect(disagreeing(2).decision).toBe("continue");
  });
});

const scores = (shift: number): Readonly<Record<string, number>> => {
  // A bell of scores around 0.5, in the bins that a gateway would put them in.
  const shares: Record<string, number> = {};
  const values = Array.from({ length: 99 }, (_, at) => (at + 1) / 100);
  const weights = values.map((value) => Math.exp(-(((value - 0.5) / 0.15) ** 2) / 2));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  for (const [at, value] of values.entries()) {
    const label = outputBinLabel(outputBin(value + shift));
    shares[label] = (shares[label] ?? 0) + (weights[at] ?? 0) / total;
  }
  return shares;
};

const ofNumbers = (shift: number) =>
  judge(
    fold(
      startWatch(analysisOf([METRICS.errorRate, METRICS.drift])),
      halves(1, 120, { outputs: scores(shift) }, { outputs: scores(0) }),
    ),
  );

describe("drift", () => {
  const outputs = { a: 0.5, b: 0.3, c: 0.2 };
  const run = (candidate: Readonly<Record<string, number>>, action: "hold" | "rollback" = "hold") =>
    judge(
      fold(
        startWatch(analysisOf([METRICS.errorRate, { ...METRICS.drift, action }])),
        halves(1, 100, { outputs: candidate }, { outputs }),
      ),
    );

  test("of predictions holds, with its largest shift", () => {
    const verdict = run({ a: 0.7, b: 0.2, c: 0.1 });
    expect(verdict).toMatchObject({ decision: "hold", blamed: ["drift"] });
    expect(verdict.why).toMatch(/output a: (69|7\d)(\.\d)? % of predictions, stable (49|5\d)/);
    expect(run({ a: 1 }, "rollback").decision).toBe("rollback");
  });

  test("is none where shares differ by less than a point", () => {
    expect(run({ a: 0.507, b: 0.297, c: 0.196 }).decision).toBe("continue");
  });

  test("outputs that stable never has are one of them, whatever they are called", () => {
    const verdict = run({ a: 0.46, b: 0.27, c: 0.17, constructor: 0.1 });
    expect(verdict).toMatchObject({ decision: "hold", blamed: ["drift"] });
    expect(verdict.why).toContain("outputs that stable hardly ever has: ");
  });

  test("of numbers shows where all of them moved a little", () => {
    expect(ofNumbers(0).decision).toBe("continue");
    const verdict = ofNumbers(0.06);
    expect(verdict).toMatchObject({ decision: "hold", blamed: ["drift"] });
    // No single bin moved as far as everything above one of them.
    expect(verdict.why).toMatch(/^drift: output ~0\.[\d]+ and above: /);
  });

  test("of inputs is the same for both: it never acts", () => {
    const advice: Metric = {
      kind: "inputDrift",
      name: "inputs",
      weight: 0,
      action: "report",
      reference: "candidate",
      tolerance: { absolute: 0.02, relative: 1.25 },
    };
    const [metric] = judge(fold(watchOnly(advice), halves(1, 3, {}, {}))).metrics;
    expect(metric).toMatchObject({ action: "report", verdict: "inconclusive" });
  });
});
