/** What metrics of labels, checks and other signals compare: every test has the wrong decision without its rule. */
import { describe, expect, test } from "vitest";

import { seededRandom } from "../../../test/support/seeded-random.ts";
import {
  analysisOf,
  fold,
  intervalOf,
  judge,
  METRICS,
  startWatch,
  watchOnly,
} from "../../../test/support/watch.ts";
import type { Metric } from "../policy/index.ts";
import { type Interval, type Signal } from "./index.ts";

const seen = (observations: number, bad: number) => ({ observations, bad });

const signalled = (at: number, name: string, signal: Partial<Signal>, split = 1): Interval =>
  intervalOf(at, {
    split,
    signals: {
      [name]: {
        candidate: seen(0, 0),
        stable: seen(0, 0),
        paired: null,
        broken: null,
        ...signal,
      },
    },
  });
const many = (count: number, name: string, signal: Partial<Signal>) =>
  Array.from({ length: count }, (_, at) => signalled(at, name, signal));

const labelledWrong = (wrong: number) =>
  judge(
    fold(
      watchOnly(METRICS.accuracy),
      many(50, "accuracy", { candidate: seen(20, wrong), stable: seen(20, 2) }),
    ),
  );

const labelledPairs = (signal: Partial<Signal>) =>
  judge(fold(watchOnly(METRICS.accuracy), many(7, "accuracy", signal)));

const judged = (intervals: readonly Interval[]) =>
  judge(fold(watchOnly(METRICS.accuracy), intervals)).decision;

const turns = (split: (at: number) => number) =>
  Array.from({ length: 80 }, (_, at) =>
    signalled(
      at,
      "accuracy",
      at % 2 === 0 ? { candidate: seen(20, 12) } : { stable: seen(20, 2) },
      split(at),
    ),
  );

const check = (at: number, ours: number, theirs: number, failure?: Signal["failure"]) =>
  signalled(at, "ready", {
    candidate: seen(1, ours),
    stable: seen(1, theirs),
    ...(failure === undefined ? {} : { failure }),
  });

describe("labels and other signals", () => {
  test("more wrong answers than tolerated go back", () => {
    expect(labelledWrong(6)).toMatchObject({ decision: "rollback", blamed: ["accuracy"] });
    expect(labelledWrong(6).why).toContain("30 % wrong, stable 10 %");
    expect(labelledWrong(2).decision).toBe("continue");
  });

  test("labels of two splits that come together are not compared across them", () => {
    // Both versions are wrong more often of late, and of late the candidate has half of the traffic.
    const earlier = { candidate: seen(1, 0), stable: seen(19, 1) };
    const later = { candidate: seen(10, 3), stable: seen(10, 3) };
    const mixed = { candidate: seen(11, 3), stable: seen(29, 4) };
    const ofBoth = Array.from({ length: 160 }, (_, at) =>
      signalled(
        at,
        "accuracy",
        at % 2 === 0 ? { ...earlier, split: 1 } : { ...later, split: 2 },
        2,
      ),
    );
    expect(judged(many(80, "accuracy", mixed))).toBe("rollback");
    expect(judged(ofBoth)).toBe("continue");
  });

  test("an arm that waits for the other one is kept by split", () => {
    const ofTwo = Array.from({ length: 160 }, (_, at) =>
      signalled(
        at,
        "accuracy",
        at % 4 < 2
          ? { candidate: seen(20, 12), split: (at % 2) + 1 }
          : { stable: seen(20, 2), split: (at % 2) + 1 },
        2,
      ),
    );
    expect(judged(ofTwo)).toBe("rollback");
  });

  test("pairs need far fewer", () => {
    const paired = { pairs: 10, onlyCandidateBad: 3, onlyStableBad: 0, bothBad: 1, losses: [] };
    expect(labelledPairs({ paired }).decision).toBe("rollback");
    const counts = { candidate: seen(10, 4), stable: seen(10, 1) };
    expect(labelledPairs(counts).decision).not.toBe("rollback");
    expect(labelledPairs({ paired }).metrics[0]).toMatchObject({
      candidate: { observations: 70, bad: 28 },
      stable: { observations: 70, bad: 7 },
    });
  });

  test("of pairs and arms each says what the other does not", () => {
    const paired = { pairs: 10, onlyCandidateBad: 2, onlyStableBad: 0, bothBad: 1, losses: [] };
    const counts = { candidate: seen(10, 6), stable: seen(10, 1) };
    const { logE } = labelledPairs({ paired, ...counts });
    expect(logE).toBeGreaterThan(labelledPairs({ paired }).logE);
    expect(logE).toBeGreaterThan(labelledPairs(counts).logE);
  });

  test("losses in pairs show a small difference that everything else hides", () => {
    const random = seededRandom(17);
    const error: Metric = { ...METRICS.accuracy, kind: "meanError", name: "error", bound: 100 };
    const run = (worse: number) =>
      judge(
        fold(
          watchOnly(error),
          Array.from({ length: 60 }, (_, at) => {
            // Hard and easy requests differ far more than the versions do.
            const losses = Array.from({ length: 10 }, (): [number, number] => {
              const stable = 0.6 * random();
              return [Math.min(1, stable + worse + 0.02 * (random() - 0.5)), stable];
            });
            const paired = { pairs: 0, onlyCandidateBad: 0, onlyStableBad: 0, bothBad: 0, losses };
            return signalled(at, "error", { paired });
          }),
        ),
      );
    expect(run(0.04)).toMatchObject({ decision: "rollback", blamed: ["error"] });
    expect(run(0.01).decision).toBe("continue");
  });

  test("fractions add up, of losses and of extrapolated counters", () => {
    const error: Metric = { ...METRICS.accuracy, kind: "meanError", name: "error", bound: 100 };
    const run = (loss: number) =>
      judge(
        fold(
          watchOnly(error),
          many(400, "error", { candidate: seen(0.5, loss * 0.5), stable: seen(2.5, 0.25) }),
        ),
      );
    expect(run(0.4)).toMatchObject({ decision: "rollback", blamed: ["error"] });
    expect(run(0.4).why).toMatch(/^error: mean error 40, stable mean error 10: /);
    expect(run(0.1).decision).toBe("continue");
  });

  test("labels of one seen wait for the other's, but not across a change of the split", () => {
    expect(
      judge(
        fold(
          watchOnly(METRICS.accuracy),
          turns(() => 1),
        ),
      ).decision,
    ).toBe("rollback");
    expect(
      judge(
        fold(
          watchOnly(METRICS.accuracy),
          turns((at) => at),
        ),
      ).decision,
    ).toBe("continue");
  });

  test("a check that fails in a row acts at once, unless stable's fails as well", () => {
    const start = startWatch(analysisOf([METRICS.errorRate, METRICS.health]));
    const twice = [check(0, 1, 0), check(1, 1, 0)];
    expect(judge(fold(start, twice)).decision).toBe("continue");
    const thrice = judge(fold(start, [...twice, check(2, 1, 0)]));
    expect(thrice).toMatchObject({ decision: "rollback", blamed: ["ready"] });
    expect(thrice.why).toBe("ready: 3 failures in a row");
    const failure = { candidate: "it answers HTTP 503", stable: null };
    const told = [...twice, check(2, 1, 0, failure), check(3, 1, 0)];
    expect(judge(fold(start, told)).why).toBe(
      "ready: 3 failures in a row, the last: it answers HTTP 503",
    );
    const between = [...twice, check(2, 0, 0), check(3, 1, 0)];
    expect(judge(fold(start, between)).decision).toBe("continue");
    // Stable's check came a little later than the candidate's.
    const late = [check(0, 1, 0), check(1, 1, 0), check(2, 1, 1)];
    expect(judge(fold(start, late)).decision).toBe("continue");
    expect(judge(fold(start, [...late, check(3, 1, 0)])).decision).toBe("rollback");
    const both = [0, 1, 2, 3].map((at) => check(at, 1, 1));
    expect(judge(fold(start, both))).toMatchObject({ decision: "hold", source: "outage" });
    const why = { candidate: "connect ECONNREFUSED", stable: "connect ECONNREFUSED" };
    expect(judge(fold(start, [...both, check(4, 1, 1, why)])).why).toBe(
      "an outage: the health checks of both revisions fail: ready (connect ECONNREFUSED)",
    );
    const states = (intervals: readonly Interval[]): string | undefined =>
      judge(fold(start, intervals)).metrics.find(({ kind }) => kind === "health")?.words;
    expect(states([])).toBe("not checked yet");
    expect(states([check(0, 1, 0), check(1, 0, 0)])).toBe("healthy at the last check");
  });
});
