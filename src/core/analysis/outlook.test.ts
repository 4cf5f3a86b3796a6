import { expect, test } from "vitest";

import { seededRandom } from "../../../test/support/seeded-random.ts";
import { analysisOf, drawBaseline, METRICS } from "../../../test/support/watch.ts";
import { foresee, trafficOf, type Planned } from "./index.ts";

const analysis = analysisOf([METRICS.errorRate, METRICS.rejected, METRICS.latency]);
const PLANNED: Planned = {
  analysis,
  comparison: "live",
  steps: [
    { kind: "weight", percent: 10, until: { requests: 1_000, timeMs: 600_000 } },
    { kind: "pause", forMs: null },
    { kind: "weight", percent: 50, until: { requests: 0, timeMs: 1_200_000 } },
    { kind: "analysis", until: { requests: 100, timeMs: 60_000 } },
  ],
  byHand: false,
  bakeMs: 3_600_000,
  holdback: 0.05,
};
/** 200 intervals of a second with 10 requests each, one in a hundred fails. */
const BASELINE = drawBaseline(seededRandom(1), 200, 10, { errorRate: 0.01, latencyMs: 20 });

test("the traffic of a revision at rest, by what was observed", () => {
  const traffic = trafficOf(BASELINE, "auto");
  expect(traffic).toMatchObject({ requests: 2_000, observedMs: 200_000, requestsPerSecond: 10 });
  expect(traffic?.errorRate).toBeCloseTo(0.01, 2);
  expect(traffic?.dispersion).toBe(1);
  expect(trafficOf([], "auto")).toBeNull();
  // A rollout in between is no time at rest, and two gateways see the same time.
  const later = BASELINE.map((one) => ({ ...one, from: one.from + 1e6, to: one.to + 1e6 }));
  const twice = trafficOf([...BASELINE, ...later, ...later], "auto");
  expect(twice).toMatchObject({ observedMs: 400_000, requestsPerSecond: 15 });
});

test("each stage sees what its share of the traffic allows: more share or more time, more is seen", () => {
  const { stages, traffic } = foresee(PLANNED, trafficOf(BASELINE, "auto"));
  expect(traffic).toMatchObject({ requestsPerSecond: 10, requests: 2_000 });
  expect(
    stages.map(({ kind, percent, requests, timeMs }) => [kind, percent, requests, timeMs]),
  ).toEqual([
    ["weight", 10, 1_000, 600_000],
    ["pause", null, null, null],
    ["weight", 50, null, 1_200_000],
    ["analysis", null, 100, 60_000],
    ["bake", 95, null, 3_600_000],
  ]);
  const [first, paused, second, , bake] = stages.map(({ detectable }) => detectable);
  expect(paused).toBeNull();
  // 10 000 requests at 10 %: about 65 bad ones of the candidate show (STATISTICS.md 1.9).
  expect(first).toBeGreaterThan(0.02);
  expect(first).toBeLessThan(0.06);
  expect(second).toBeLessThan(first ?? 0);
  expect(bake).toBeGreaterThan(0.011);
});

test("without traffic, or by hand, nobody knows what will be seen", () => {
  expect(foresee(PLANNED, null).traffic).toBeNull();
  expect(foresee(PLANNED, null).stages.map(({ detectable }) => detectable)).toEqual([
    null,
    null,
    null,
    null,
    null,
  ]);
  const [step] = foresee({ ...PLANNED, byHand: true }, trafficOf(BASELINE, "auto")).stages;
  expect(step).toMatchObject({ requests: null, timeMs: null, detectable: null });
});

test("a step waits for its requests, however little traffic there is", () => {
  const quiet = trafficOf(
    BASELINE.map((interval) => ({ ...interval, from: interval.from * 1e4, to: interval.to * 1e4 })),
    "auto",
  );
  const [step] = foresee(PLANNED, quiet).stages;
  expect(step?.detectable).toBeGreaterThan(0);
});

test("a copy that both answer is worth two arms; nothing beside it sees nothing by comparison", () => {
  const traffic = trafficOf(BASELINE, "auto");
  const paired = foresee({ ...PLANNED, comparison: "paired", steps: [] }, traffic).stages[0];
  expect(paired).toMatchObject({ kind: "bake", percent: 100 });
  expect(paired?.detectable).toBeLessThan(0.1);
  const alone = foresee({ ...PLANNED, comparison: "absolute", steps: [], holdback: 0 }, traffic);
  expect(alone.stages[0]?.detectable).toBeNull();
});
