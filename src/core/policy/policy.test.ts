import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, test } from "vitest";
import { parse } from "yaml";

import { refusalOf } from "../../../test/support/refusal.ts";
import {
  defaultPolicy,
  parseEndpointPolicy,
  policyChanges,
  policyMistakes,
  type EndpointPolicy,
  type Metric,
} from "./index.ts";

/** The policy that a YAML text means. */
function read(text: string): EndpointPolicy {
  return parseEndpointPolicy(parse(text));
}

/** Every mistake of a YAML text; empty where it is accepted. */
function mistakes(text: string): readonly string[] {
  const refusal = refusalOf(() => read(text));
  if (refusal === null) return [];
  expect(refusal.code).toBe("config.invalid");
  return refusal.details["mistakes"] as string[];
}

/** The first metric, with this limit. */
function at(max: string): Metric | undefined {
  const text = `{ model: m, analysis: { metrics: { errorRate: { max: ${max} } } } }`;
  return read(text).policy.analysis.metrics[0];
}

/** The example of the design, with everything at its default. */
const DESIGN = `
apiVersion: lastgood/v1
kind: Endpoint
name: fraud-prod
model: fraud
environment: production
rollout:
  canary:
    steps:
      - weight: 10%
        until: { requests: 1000, time: 10m }
      - weight: 50%
        until: { requests: 5000, time: 20m }
  bake: 1h
  holdback: 5%
analysis:
  alpha: 0.001
  holdAlpha: 0.05
  flush: 1s
  dispersion: auto
  metrics:
    errorRate: { tolerance: { absolute: 0.1%, relative: 1.0 }, weight: 0.4 }
    latency: { slower: 10%, atLeast: 2ms }
    accuracy: { tolerance: { absolute: 1% } }
    drift: { action: hold }
  inconclusive: { then: hold, deadline: 6h }
  noData: { after: 5m, then: hold }
rollback: { automatic: true, fallback: true, cooldown: 10m, atMost: 3 per 24h }
`;

describe("what is read", () => {
  test("the design's example says the defaults of a canary", () => {
    expect(read(DESIGN)).toEqual({
      name: "fraud-prod",
      model: "fraud",
      environment: "production",
      policy: defaultPolicy("canary"),
    });
  });

  test("a model alone is enough, and gives blue/green", () => {
    expect(read("model: fraud")).toEqual({
      name: "fraud-prod",
      model: "fraud",
      environment: null,
      policy: defaultPolicy("blueGreen"),
    });
    expect(read("model: fraud\nenvironment: staging").name).toBe("fraud-staging");
  });

  test("the defaults are those of the design, in numbers", () => {
    const { analysis, rollout, ...rest } = defaultPolicy("canary");
    expect(rollout).toEqual({
      strategy: "canary",
      steps: [
        { kind: "weight", percent: 10, until: { requests: 1_000, timeMs: 600_000 } },
        { kind: "weight", percent: 50, until: { requests: 5_000, timeMs: 1_200_000 } },
      ],
    });
    expect(rest).toEqual({
      bakeMs: 3_600_000,
      holdback: 0.05,
      rollback: {
        automatic: true,
        fallback: true,
        cooldownMs: 600_000,
        atMost: { count: 3, withinMs: 86_400_000 },
      },
    });
    expect(analysis).toMatchObject({
      alpha: 0.001,
      holdAlpha: 0.05,
      beta: 0.05,
      margin: { absolute: 0.01, relative: 1 },
      early: false,
      minRequests: 500,
      flushMs: 1_000,
      deadlineMs: 30_000,
      dispersion: "auto",
      inconclusive: { action: "hold", deadlineMs: 21_600_000 },
      noData: { action: "hold", afterMs: 300_000 },
    });
    expect(
      analysis.metrics.map(({ name, kind, weight, action }) => [name, kind, weight, action]),
    ).toEqual([
      ["errorRate", "errorRate", 0.4, "rollback"],
      ["rejected", "rejected", 0.1, "rollback"],
      ["latency", "latency", 0.25, "rollback"],
      ["accuracy", "accuracy", 0.2, "rollback"],
      ["drift", "drift", 0.05, "hold"],
    ]);
    for (const strategy of ["canary", "blueGreen", "recreate"] as const)
      expect(policyMistakes(defaultPolicy(strategy))).toEqual([]);
  });

  test("steps of every kind, in seconds", () => {
    const { rollout } = read(`
model: fraud
rollout:
  canary:
    steps:
      - mirror: 100%
        until: { time: 1s }
      - analysis: { time: 2s }
      - weight: 2.5
        until: { requests: 20 }
      - pause: 1s
      - pause: manual
      - analysis: { requests: 50, time: 1s }
      - weight: 50%
      - analysis:
`).policy;
    expect(rollout).toEqual({
      strategy: "canary",
      steps: [
        { kind: "mirror", percent: 100, until: { requests: 0, timeMs: 1_000 } },
        { kind: "analysis", until: { requests: 0, timeMs: 2_000 } },
        { kind: "weight", percent: 2.5, until: { requests: 20, timeMs: 0 } },
        { kind: "pause", forMs: 1_000 },
        { kind: "pause", forMs: null },
        { kind: "analysis", until: { requests: 50, timeMs: 1_000 } },
        { kind: "weight", percent: 50, until: { requests: 1_000, timeMs: 600_000 } },
        { kind: "analysis", until: { requests: 1_000, timeMs: 3_600_000 } },
      ],
    });
  });

  test("metrics amend the defaults; `off` takes one out, a free name adds one", () => {
    const { metrics } = read(`
model: fraud
analysis:
  metrics:
    zz: { kind: errorRate, compare: false, max: 2%, action: report }
    p50: { kind: latency, quantile: 50%, slower: 0.2, atLeast: 0.5ms, max: 1.5s }
    rejected: { off: true }
    accuracy:
    logs: { source: app }
    health: { source: ping, action: hold }
`).policy.analysis;
    expect(metrics.map(({ name }) => name)).toEqual([
      "errorRate",
      "latency",
      "accuracy",
      "drift",
      "logs",
      "health",
      "p50",
      "zz",
    ]);
    expect(metrics.at(-2)).toEqual({
      name: "p50",
      kind: "latency",
      weight: 0.25,
      action: "rollback",
      quantile: 0.5,
      slower: 0.2,
      atLeastMs: 0.5,
      warmUpMs: 10_000,
      maxMs: 1_500,
    });
    expect(metrics.at(-1)).toMatchObject({ tolerance: null, max: 0.02, action: "report" });
  });

  test("percentages are exact", () => {
    expect(at("0.7%")).toMatchObject({ max: 0.007 });
    expect(at("0.29%")).toMatchObject({ max: 0.0029 });
    expect(at("0.007")).toMatchObject({ max: 0.007 });
  });
});

describe("what is refused", () => {
  const refused: readonly (readonly [string, string])[] = [
    [
      "rollot: {}",
      "unknown key rollot: did you mean rollout? accepted are apiVersion, kind, name, model, environment, rollout, analysis, rollback",
    ],
    [
      "rollout: { canary: { stpes: [] } }",
      "rollout.canary: unknown key stpes: did you mean steps? accepted are steps",
    ],
    [
      "rollout: { canary: , blueGreen: }",
      "rollout.blueGreen: a rollout has one strategy, not canary and blueGreen",
    ],
    [
      "rollout: { canary: { steps: [] } }",
      "rollout.canary.steps: are none: a canary needs one such as `weight: 10%`",
    ],
    [
      "rollout: { canary: { steps: [{ pause: 1s }] } }",
      "rollout.canary.steps: a canary needs a weight step: - weight: 10%",
    ],
    [
      "rollout: { canary: { steps: [{ weight: 0.1 }] } }",
      "rollout.canary.steps[0].weight: is 0.1: accepted is 1% to 99%",
    ],
    [
      "rollout: { canary: { steps: [{ weight: 100% }] } }",
      "rollout.canary.steps[0].weight: is 100%: accepted is 1% to 99%",
    ],
    [
      "rollout: { canary: { steps: [{ weight: 20 }, { weight: 20% }] } }",
      "rollout.canary.steps[1].weight: is 20%: weights rise, and 20% comes before it",
    ],
    [
      "rollout: { canary: { steps: [{ weight: 97% }] } }",
      "rollout.canary.steps: the last weight is 97%, above the 95% that the holdback leaves for the bake: lower either",
    ],
    [
      "rollout: { canary: { steps: [{ weight: 5, until: {} }] } }",
      "rollout.canary.steps[0].until: is over at once: give it requests, a time or both",
    ],
    [
      "rollout: { canary: { steps: [{}, { weight: 1, mirror: 1 }] } }",
      "rollout.canary.steps[0]: is no step: write one of weight, mirror, pause, analysis",
    ],
    [
      "rollout: { canary: { steps: [{ analysis: }, { weight: 5 }] } }",
      "rollout.canary.steps[0]: nothing to analyse yet: a weight or mirror step comes first",
    ],
    [
      "rollout: { blueGreen: { steps: [{ weight: 10% }] } }",
      "rollout.blueGreen.steps: blueGreen moves all traffic at once: weights are for canary",
    ],
    [
      "rollout: { bake: 30 }",
      "rollout.bake: is not a time: write a number with a unit, such as 30s, 10m or 1h30m (366d at most)",
    ],
    [
      "rollout: { bake: 500ms }",
      "rollout.bake: is shorter than analysis.flush (1000 ms): nothing would be looked at; 0 is no bake",
    ],
    ["rollout: { holdback: 5 }", "rollout.holdback: is 5: accepted is 0% to 50%"],
    [
      "analysis: { alpha: 0.5 }",
      "analysis.alpha: is 0.5: accepted is more than 0 and less than 0.5",
    ],
    [
      "analysis: { alpha: 0.1 }",
      "analysis.holdAlpha: is below alpha (0.1): the rollout would go back before it holds",
    ],
    ["analysis: { flush: 50ms }", "analysis.flush: is 50ms: accepted is 100ms to 60s"],
    ["analysis: { flush: 61s }", "analysis.flush: is 61s: accepted is 100ms to 60s"],
    ["analysis: { deadline: 11m }", "analysis.deadline: is 11m: accepted is 100ms to 10m"],
    [
      "analysis: { dispersion: 0.5 }",
      "analysis.dispersion: is not a dispersion: write auto, or a number from 1",
    ],
    [
      "analysis: { metrics: { erorRate: {} } }",
      "analysis.metrics.erorRate.kind: erorRate is no kind of metric (did you mean errorRate?); under a name of your own, `kind:` says which it is: errorRate, rejected, latency, accuracy, drift, validity, score, meanError, disagreement, inputDrift, prometheus, logs, health",
    ],
    [
      "analysis: { metrics: { errorRate: { kind: latency } } }",
      "analysis.metrics.errorRate.kind: is not errorRate: a metric of another kind takes a name of its own",
    ],
    [
      "analysis: { metrics: { latency: { quantile: 1 } } }",
      "analysis.metrics.latency.quantile: is 1: accepted is more than 0% and less than 100%",
    ],
    [
      "analysis: { metrics: { errorRate: { tolerance: { relative: 0.9 } } } }",
      "analysis.metrics.errorRate.tolerance.relative: is 0.9: accepted is 1.0 (as good as stable) to 100",
    ],
    [
      "analysis: { metrics: { errorRate: { compare: false } } }",
      "analysis.metrics.errorRate.compare: is false and there is no max: nothing would be watched; `off: true` takes the metric out",
    ],
    [
      "analysis: { metrics: { errorRate: { off: true }, rejected: { action: hold }, latency: { action: report }, accuracy: { off: true } } }",
      "analysis.metrics: none of them rolls back: give one `action: rollback`, or write `rollback: { automatic: false }`",
    ],
    [
      "analysis: { metrics: { errorRate: { weight: 0 } } }",
      "analysis.metrics.errorRate.weight: is not a weight: write a number above 0, such as 0.4",
    ],
    [
      "analysis: { metrics: { 'a b': { kind: drift } } }",
      "analysis.metrics.a b: is not a metric's name: letters, digits, _ and - are accepted, 63 at most",
    ],
    [
      "{ rollback: { automatic: false }, analysis: { noData: { then: rollback } } }",
      "analysis.noData.then: is rollback, but rollback.automatic is false: nothing goes back by itself",
    ],
    [
      "analysis: { inconclusive: { then: report } }",
      "analysis.inconclusive.then: is report: accepted are hold, rollback, promote",
    ],
    ["analysis: { metrics: { health: {} } }", "analysis.metrics.health.source: is missing"],
    ["analysis: { early: 1 }", "analysis.early: is not true or false"],
    ["rollback: { atMost: 3 }", "rollback.atMost: is not a count per time: write 3 per 24h"],
    ["rollback: { atMost: 3 per 10ms }", "rollback.atMost: is 10ms: accepted is 1s or more"],
    ["name: ../x", 'name: "../x" is not an endpoint name'],
  ];
  test.each(refused)("%s", (text, words) => {
    const file = text.startsWith("{") ? `{ model: m, ${text.slice(1)}` : `model: m\n${text}`;
    expect(mistakes(file)[0]).toBe(words);
  });

  test("every mistake is told, the first in the message", () => {
    const refusal = refusalOf(() => read("rollout: { bake: 1 }\nanalysis: { alpha: 2 }"));
    expect(refusal?.message).toMatch(/^policy: model: .* \(and 2 more\)$/);
    expect(refusal?.details["mistakes"]).toHaveLength(3);
    expect(refusal?.hint).toContain("lastgood apply --schema");
  });

  test("a policy that nothing acts on is accepted where nothing is to roll back", () => {
    expect(
      mistakes(`
model: m
rollback: { automatic: false }
analysis: { metrics: { errorRate: { action: report }, rejected: { off: true }, latency: { off: true }, accuracy: { off: true } } }
`),
    ).toEqual([]);
  });
});

describe("what differs", () => {
  test("is told key by key", () => {
    const before = read("model: m\nrollout: { canary: }").policy;
    const after = read(
      "model: m\nrollout: { canary: , bake: 10m }\nanalysis: { metrics: { drift: { off: true } } }",
    ).policy;
    expect(policyChanges(before, after)).toEqual([
      { key: "rollout.bake", before: "1h", after: "10m" },
      { key: "analysis.metrics.drift.weight", before: "0.05", after: null },
      { key: "analysis.metrics.drift.action", before: "hold", after: null },
      { key: "analysis.metrics.drift.off", before: null, after: "true" },
    ]);
    expect(policyChanges(before, before)).toEqual([]);
  });

  test("is nothing where only the order is another", () => {
    const one = "{ a: { kind: drift }, b: { kind: drift }, latency: , errorRate: }";
    const other = "{ errorRate: , b: { kind: drift }, latency: , a: { kind: drift } }";
    const both = [one, other].map((text) => read(`{ model: m, analysis: { metrics: ${text} } }`));
    expect(both[0]).toEqual(both[1]);
  });
});

test("the example file is the default of a canary, written out", () => {
  const example = join(import.meta.dirname, "../../../examples/lastgood.yaml");
  const { policy } = read(readFileSync(example, "utf8"));
  expect(policyChanges(defaultPolicy("canary"), policy)).toEqual([]);
});
