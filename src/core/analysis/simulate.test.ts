import { describe, expect, test } from "vitest";

import { analysisOf, drawBaseline, METRICS } from "../../../test/support/watch.ts";
import { parseEndpointPolicy } from "../policy/index.ts";
import { drawBinomial, drawCells, seededRandom } from "./draw.ts";
import { plannedUnder, simulate, trafficOf, type Planned, type Traffic } from "./index.ts";

const RUNS = 60;

function trafficAt(errorRate: number): Traffic {
  const baseline = drawBaseline(seededRandom(5), 400, 100, { errorRate, latencyMs: 20 });
  const traffic = trafficOf(
    baseline.map((interval) => ({ ...interval, from: 10 * interval.from, to: 10 * interval.to })),
    "auto",
  );
  if (traffic === null) throw new Error("no traffic");
  return traffic;
}

const CANARY: Planned = {
  analysis: analysisOf([METRICS.errorRate, METRICS.latency]),
  comparison: "live",
  steps: [{ kind: "weight", percent: 10, until: { requests: 100, timeMs: 1_200_000 } }],
  byHand: false,
  bakeMs: 1_200_000,
  holdback: 0.05,
};
const traffic = trafficAt(0.005);

function run(
  planned: Planned,
  scenario: { readonly errorRate: number | null; readonly times: number },
): ReturnType<typeof simulate> {
  return simulate({ planned, traffic, fallback: true, labels: null }, scenario, {
    runs: RUNS,
    seed: 11,
  });
}

describe("binomial numbers", () => {
  test.each([
    [20, 0.3],
    [1_000, 0.001],
    [1_000, 0.4],
    [50_000, 0.97],
    [7, 1],
    [7, 0],
  ])("of %i trials at %d have that mean and variance", (trials, p) => {
    const random = seededRandom(trials);
    const draws = Array.from({ length: 4_000 }, () => drawBinomial(random, trials, p));
    const mean = draws.reduce((sum, each) => sum + each, 0) / draws.length;
    const variance = draws.reduce((sum, each) => sum + (each - mean) ** 2, 0) / draws.length;
    const expected = trials * p * (1 - p);
    const error = Math.sqrt(expected / draws.length);
    expect(Math.abs(mean - trials * p)).toBeLessThanOrEqual(4 * error);
    expect(Math.abs(variance - expected)).toBeLessThanOrEqual(0.12 * expected);
    expect(draws.every((each) => each >= 0 && each <= trials)).toBe(true);
  });

  test("cells keep the sum", () => {
    const random = seededRandom(1);
    for (let trials = 0; trials < 300; trials += 1) {
      const drawn = drawCells(random, trials, [0.5, 0.2, 0, 0.3]);
      expect(drawn.reduce((sum, each) => sum + each, 0)).toBe(trials);
      expect(drawn[2]).toBe(0);
    }
  });
});

test("a candidate as good as stable stays", () => {
  expect(run(CANARY, { errorRate: null, times: 1 })).toMatchObject({ caught: 0, undecided: 0 });
});

test("what is not drawn holds nothing: under the default policy nobody is waited for", () => {
  const { policy } = parseEndpointPolicy({ model: "fraud" });
  const simulated = { planned: plannedUnder(policy), traffic, fallback: true, labels: null };
  const how = { runs: 20, seed: 7 };
  expect(policy.analysis.metrics.some(({ action }) => action === "hold")).toBe(true);
  expect(simulate(simulated, { errorRate: null, times: 1 }, how)).toMatchObject({
    caught: 0,
    undecided: 0,
  });
});

test("delays are those of the statistics: 2, 5, 20 and 100 % beside 0.5 %, one request in ten", () => {
  const medians = [0.02, 0.05, 0.2, 1].map(
    (errorRate) => run(CANARY, { errorRate, times: 1 }).requests.median ?? Infinity,
  );
  // STATISTICS: 10 000, 1 800, 300 and 100 requests with the whole evidence; intervals grow here.
  const [two = 0, five = 0, twenty = 0, all = 0] = medians;
  expect(two).toBeGreaterThan(5_000);
  expect(two).toBeLessThan(20_000);
  expect(five).toBeGreaterThan(900);
  expect(five).toBeLessThan(4_000);
  expect(twenty).toBeGreaterThan(150);
  expect(twenty).toBeLessThan(800);
  expect(all).toBeLessThan(200);
});

test("the worse, the sooner; what is caught is caught in a stage", () => {
  const results = [0.05, 0.2, 1].map((errorRate) => run(CANARY, { errorRate, times: 1 }));
  const times = results.map(({ timeMs }) => timeMs.median ?? Infinity);
  expect(times).toEqual(times.toSorted((a, b) => b - a));
  for (const { caught, caughtIn, failed } of results) {
    expect(caughtIn.reduce((sum, each) => sum + each, 0)).toBe(caught);
    expect(failed.median).toBeGreaterThan(0);
  }
});

test("a slowdown is found by the latencies that stable had", () => {
  const slower = run(CANARY, { errorRate: null, times: 2 });
  expect(slower.caught).toBe(RUNS);
  expect(slower.requests.median).toBeLessThan(2_000);
});

test("on copies a slowdown is found in the bake, and an equal candidate is left in peace", () => {
  const bake = { ...CANARY, steps: [], bakeMs: 3_600_000, comparison: "paired" } as const;
  expect(run(bake, { errorRate: null, times: 2 })).toMatchObject({ caught: RUNS });
  expect(run(bake, { errorRate: null, times: 1 })).toMatchObject({ caught: 0, undecided: 0 });
});

test("of copies the times of runs without company are compared, at a busy server too few", () => {
  const bake = { ...CANARY, steps: [], bakeMs: 3_600_000, comparison: "paired" } as const;
  const [all = []] = Object.values(traffic.latency);
  const busyAt = (alone: number): Traffic => ({
    ...traffic,
    latency: { "1": all.map(([bucket, times]) => [bucket, Math.ceil(times * alone)]), "1+4": all },
  });
  const caught = (alone: number): number =>
    simulate(
      { planned: bake, traffic: busyAt(alone), fallback: true, labels: null },
      { errorRate: null, times: 2 },
      { runs: 10, seed: 5 },
    ).caught;
  expect(caught(1)).toBe(10);
  expect(caught(0.001)).toBe(0);
});

test("with everything mirrored or nothing beside it, what fails always is found all the same", () => {
  const bake = { ...CANARY, steps: [], bakeMs: 3_600_000 };
  const paired = run({ ...bake, comparison: "paired" }, { errorRate: 1, times: 1 });
  const absolute = run({ ...bake, comparison: "absolute" }, { errorRate: 1, times: 1 });
  expect([paired.caught, absolute.caught]).toEqual([RUNS, RUNS]);
});

test("a canary without a holdback is watched in its bake, by asking stable", () => {
  const brief = { kind: "weight", percent: 1, until: { requests: 0, timeMs: 1 } } as const;
  const planned = { ...CANARY, steps: [brief], holdback: 0 };
  const caught = run(planned, { errorRate: 0.5, times: 1 });
  expect(caught).toMatchObject({ caught: RUNS, caughtIn: [0, RUNS] });
  expect(run(planned, { errorRate: null, times: 1 })).toMatchObject({ caught: 0, undecided: 0 });
});

test("labels that come late catch a candidate that is wrong more often, and no other", () => {
  const planned = { ...CANARY, analysis: analysisOf([METRICS.errorRate, METRICS.accuracy]) };
  const labels = { share: 0.5, delayMs: 60_000, wrong: 0.1 };
  const labelled = (wrong: number | null, more: Partial<typeof labels> = {}) =>
    simulate(
      { planned, traffic, fallback: true, labels: { ...labels, ...more } },
      { errorRate: null, times: 1, wrong },
      { runs: RUNS, seed: 11 },
    );
  expect(labelled(null).caught).toBe(0);
  const caught = labelled(0.3);
  expect(caught.caught).toBe(RUNS);
  expect(caught.timeMs.median, "nothing is known before the first label").toBeGreaterThan(60_000);
  const rare = labelled(0.3, { share: 0.05 });
  expect(rare.timeMs.median ?? Infinity).toBeGreaterThan(caught.timeMs.median ?? Infinity);
  expect(labelled(0.3, { share: 0 }).caught).toBe(0);
  const mirrored = simulate(
    {
      planned: { ...planned, comparison: "paired", steps: [], bakeMs: 3_600_000, holdback: 0.5 },
      traffic,
      fallback: true,
      labels,
    },
    { errorRate: null, times: 1, wrong: 0.4 },
    { runs: 10, seed: 3 },
  );
  expect(mirrored.caught).toBe(10);
});

test("the same seed gives the same runs", () => {
  const scenario = { errorRate: 0.05, times: 1 };
  expect(run(CANARY, scenario)).toEqual(run(CANARY, scenario));
});
