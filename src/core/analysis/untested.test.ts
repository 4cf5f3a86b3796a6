/** What a policy names and a rollout does not test is said, with what would test it. */
import { expect, test } from "vitest";

import { seededRandom } from "../../../test/support/seeded-random.ts";
import { drawBaseline } from "../../../test/support/watch.ts";
import { defaultPolicy, type Policy } from "../policy/index.ts";
import { comparisonUnder, planAnalysis, untestedIn, type Interval } from "./index.ts";

const TRAFFIC = drawBaseline(seededRandom(1), 200, 10, { errorRate: 0.01, latencyMs: 20 });

function untested(policy: Policy, baseline: readonly Interval[] = TRAFFIC): readonly string[] {
  const comparison = comparisonUnder(policy);
  const { analysis } = policy;
  return untestedIn(planAnalysis({ analysis, horizonIntervals: 100, baseline, comparison })).map(
    ({ metric }) => metric,
  );
}

test("blue/green and a canary test everything, and nothing beside the candidate tests less", () => {
  expect(untested(defaultPolicy("blueGreen"))).toEqual([]);
  expect(untested(defaultPolicy("blueGreen"), []), "rejections without traffic before").toEqual([
    "rejected",
  ]);
  expect(untested(defaultPolicy("recreate"))).toEqual(["latency", "accuracy", "drift"]);
  expect(untested(defaultPolicy("canary"))).toEqual([]);
});

test("it says why, and what would test it", () => {
  const { analysis } = defaultPolicy("blueGreen");
  const metrics = analysis.metrics.filter(({ kind }) => kind !== "accuracy");
  const plan = planAnalysis({
    analysis: { ...analysis, metrics },
    horizonIntervals: 100,
    baseline: TRAFFIC,
    comparison: "absolute",
  });
  const canary =
    "a canary compares it with stable: --strategy canary, or canary steps in a policy file";
  expect(untestedIn(plan)).toEqual([
    {
      metric: "latency",
      why: "nothing runs beside it, and no limit is known",
      testedBy: `${canary}; a max in the policy holds above it`,
    },
    { metric: "drift", why: "nothing runs beside it", testedBy: canary },
  ]);
});
