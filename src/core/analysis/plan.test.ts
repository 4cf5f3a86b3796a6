import { describe, expect, test } from "vitest";

import { seededRandom } from "../../../test/support/seeded-random.ts";
import { analysisOf, drawBaseline, METRICS } from "../../../test/support/watch.ts";
import type { Metric } from "../policy/index.ts";
import { planAnalysis, type Comparison, type Interval } from "./index.ts";

const planOf = (
  metrics: readonly Metric[],
  comparison: Comparison = "live",
  baseline: readonly Interval[] = [],
) => planAnalysis({ analysis: analysisOf(metrics), horizonIntervals: 100, baseline, comparison });

const weights = (metrics: readonly Metric[], comparison?: Comparison) =>
  Object.fromEntries(
    planOf(metrics, comparison).metrics.map(({ metric, weight }) => [metric.name, weight]),
  );

/** What of errors is allowed where nothing runs beside the candidate. */
function limitAfter(baseline: readonly Interval[], max: number | null = null): number | null {
  const [plan] = planOf([{ ...METRICS.errorRate, max }], "absolute", baseline).metrics;
  return plan?.test.test === "rate" ? plan.test.rate.limit : null;
}

describe("weights", () => {
  const { errorRate, rejected, latency, accuracy, drift, health } = METRICS;

  test("of metrics that are off or only hold go to errors", () => {
    const given = weights([errorRate, rejected, latency, accuracy, drift, health]);
    expect(given["errorRate"]).toBeCloseTo(0.45, 12);
    expect(given).toMatchObject({
      rejected: 0.1,
      latency: 0.25,
      accuracy: 0.2,
      drift: 0,
      ready: 0,
    });
    expect(weights([errorRate, latency])["errorRate"]).toBeCloseTo(0.75, 12);
  });

  test("sum to 1 without errors, with too many, and where all are zero", () => {
    expect(weights([latency, accuracy])["latency"]).toBeCloseTo(0.25 / 0.45, 12);
    const many = [errorRate, { ...accuracy, name: "a", weight: 0.9 }, { ...accuracy, weight: 0.7 }];
    expect(weights(many)["errorRate"]).toBeCloseTo(0.2, 12);
    expect(
      weights([
        { ...latency, weight: 0 },
        { ...accuracy, weight: 0 },
      ]),
    ).toEqual({
      latency: 0.5,
      accuracy: 0.5,
    });
    expect(weights([drift])).toEqual({ drift: 0 });
  });

  test("of what cannot be tested go to errors as well", () => {
    const given = weights([{ ...errorRate, max: 0.05 }, latency, drift], "absolute");
    expect(given).toEqual({ errorRate: 1, latency: 0, drift: 0 });
  });
});

describe("what was before the rollout", () => {
  const behaviour = { errorRate: 0.2, latencyMs: 20, outputs: { a: 0.9, b: 0.1 } };
  const metrics = [METRICS.errorRate, METRICS.latency, METRICS.drift];

  test("freezes edges and classes, where there is enough of it", () => {
    const [, latency, drift] = planOf(
      metrics,
      "live",
      drawBaseline(seededRandom(1), 10, 100, behaviour),
    ).metrics;
    expect(latency?.test).toMatchObject({ test: "latency", slower: { gathered: {} } });
    const edges = latency?.test.test === "latency" ? (latency.test.slower?.edges["1"] ?? []) : [];
    expect(edges).toHaveLength(6);
    expect(edges[0]?.centre).toBeCloseTo(0.5, 1);
    expect(edges[0]?.candidate).toBeGreaterThan(edges[0]?.stable ?? Infinity);
    const classes = drift?.test.test === "drift" ? drift.test.drift.classes : null;
    expect(classes?.map(({ name }) => name)).toEqual(["a", "b", null]);
  });

  test("is added to where it is not enough", () => {
    const [, latency, drift] = planOf(
      metrics,
      "live",
      drawBaseline(seededRandom(1), 1, 100, behaviour),
    ).metrics;
    expect(latency?.test).toMatchObject({ test: "latency", slower: { edges: {} } });
    expect(drift?.test).toMatchObject({ test: "drift", drift: { classes: null } });
  });

  test("limits what nothing runs beside, never below what it may have been", () => {
    const baseline = drawBaseline(seededRandom(2), 30, 100, { errorRate: 0.02 });
    expect(limitAfter(baseline)).toBeGreaterThan(0.021);
    expect(limitAfter(baseline)).toBeLessThan(0.06);
    expect(limitAfter(baseline, 0.2)).toBe(0.2);
    expect(limitAfter(baseline, 0.001)).toBe(limitAfter(baseline));
  });

  test.each([1, 3, 40])("allows no more after %i requests than after none", (requests) => {
    const few = drawBaseline(seededRandom(3), 1, requests, { errorRate: 0 });
    expect(limitAfter([])).toBe(0.1);
    expect(limitAfter(few)).toBe(0.1);
    expect(limitAfter(few, 0.01)).toBe(0.1);
    expect(limitAfter(few, 0.4)).toBe(0.4);
    const failing = drawBaseline(seededRandom(3), 1, 40, { errorRate: 0.5 });
    expect(limitAfter(failing)).toBeGreaterThan(0.5);
  });
});
