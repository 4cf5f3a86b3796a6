import { describe, expect, test } from "vitest";

import { seededRandom } from "../../../test/support/seeded-random.ts";
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
import type { Interval } from "./index.ts";

const GOOD: Behaviour = { errorRate: 0.005, latencyMs: 20 };

function traffic(seed: number, candidate: Behaviour): readonly Interval[] {
  const random = seededRandom(seed);
  return Array.from({ length: 100 }, (_, at) => {
    const { candidates, stables } = drawSplit(random, 100, 0.1);
    return intervalOf(at, {
      candidateShare: 0.1,
      candidate: drawArm(random, candidates, candidate),
      stable: drawArm(random, stables, GOOD),
    });
  });
}

describe.each([
  ["with what stable did before", drawBaseline(seededRandom(9), 40, 100, GOOD)],
  ["without it", []],
] as const)("%s", (_, baseline) => {
  test.each([
    ["throws at every request", { errorRate: 1 }, "errorRate"],
    ["fails one request in ten", { errorRate: 0.1 }, "errorRate"],
    ["is twice as slow", { latencyMs: 40 }, "latency"],
    ["answers NaN", { invalid: 1 }, "errorRate"],
  ] as const)("a candidate that %s goes back", (_name, broken, blamed) => {
    const analysis = analysisOf([METRICS.errorRate, METRICS.rejected, METRICS.latency]);
    const state = fold(startWatch(analysis, { baseline }), traffic(3, { ...GOOD, ...broken }));
    expect(judge(state)).toMatchObject({ decision: "rollback", blamed: [blamed] });
  });
});
