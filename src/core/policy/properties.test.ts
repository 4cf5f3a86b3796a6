import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { refusalOf } from "../../../test/support/refusal.ts";
import {
  endpointPolicyToFile,
  parseEndpointPolicy,
  policyChanges,
  type PolicyFile,
} from "./index.ts";

const share = (min: number, max: number) =>
  fc.oneof(
    fc.double({ min, max, noNaN: true, minExcluded: true, maxExcluded: true }),
    fc
      .integer({ min: Math.ceil(min * 100) + 1, max: Math.floor(max * 100) - 1 })
      .map((n) => `${n}%`),
  );
const time = (min: number, max: number) =>
  fc.oneof(
    fc.integer({ min, max }).map((ms) => `${ms}ms`),
    fc.integer({ min: Math.ceil(min / 1_000), max: Math.floor(max / 1_000) }).map((s) => `${s}s`),
  );
const until = fc.record({
  requests: fc.integer({ min: 1, max: 100_000 }),
  time: time(0, 10 * 86_400_000),
});
const optional: { requiredKeys: [] } = { requiredKeys: [] };
const compared = {
  action: fc.constantFrom("rollback", "hold", "report"),
  weight: fc.double({ min: 0.01, max: 10, noNaN: true }),
  tolerance: fc.record(
    { absolute: share(0, 0.9), relative: fc.double({ min: 1, max: 9, noNaN: true }) },
    optional,
  ),
  max: share(0, 1),
};
const latency = fc.record(
  {
    quantile: share(0, 1),
    slower: share(0, 1),
    atLeast: time(0, 5_000),
    warmUp: time(0, 60_000),
    max: time(0, 5_000),
  },
  optional,
);
const metrics = fc.record(
  {
    rejected: fc.record({ ...compared, off: fc.boolean() }, optional),
    latency,
    drift: fc.record({ off: fc.boolean() }, optional),
    score: fc.record(compared, optional),
    meanError: fc.record({ ...compared, bound: fc.double({ min: 0.1, max: 1e6, noNaN: true }) }),
    disagreement: fc.record({ max: share(0, 1) }),
    inputDrift: fc.record(
      {
        reference: fc.constantFrom("candidate", "stable"),
        action: fc.constantFrom("hold", "report"),
      },
      optional,
    ),
    prometheus: fc.record({
      source: fc.constant("main"),
      bad: fc.string({ minLength: 1 }),
      total: fc.string({ minLength: 1 }),
    }),
    own: latency.map((options) => ({ ...options, kind: "latency" })),
    ping: fc.record({ kind: fc.constant("health"), source: fc.constant("ping") }),
  },
  optional,
);
const rising = fc
  .uniqueArray(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 })
  .map((weights) => weights.toSorted((a, b) => a - b));
const plan = fc.oneof(
  fc.record({
    canary: fc
      .tuple(rising, until)
      .map(([weights, end]) => ({ steps: weights.map((weight) => ({ weight, until: end })) })),
  }),
  fc.record({
    blueGreen: fc.record(
      {
        steps: fc.array(fc.record({ mirror: fc.integer({ min: 1, max: 100 }), until }), {
          maxLength: 3,
        }),
        promotion: fc.constantFrom("automatic", "manual"),
      },
      optional,
    ),
  }),
  fc.constant({ recreate: {} }),
);
/** Files that are right. */
const files = fc
  .record({
    plan,
    bake: time(60_000, 86_400_000),
    holdback: share(0, 0.5),
    metrics,
    alpha: share(0, 0.05),
    cooldown: time(0, 86_400_000),
  })
  .map(
    (some) =>
      ({
        model: "fraud",
        rollout: { ...some.plan, bake: some.bake, holdback: some.holdback },
        analysis: { alpha: some.alpha, metrics: some.metrics },
        rollback: { cooldown: some.cooldown },
      }) as unknown as PolicyFile,
  );

const MORE = [
  "analysis",
  "metrics",
  "errorRate",
  "tolerance",
  "kind",
  "off",
  "rollback",
  "bake",
  "__proto__",
  "toString",
];

describe("properties", () => {
  test("what is read can be written and read again, and is the same", () => {
    fc.assert(
      fc.property(files, (file) => {
        const once = parseEndpointPolicy(file);
        const written = JSON.parse(JSON.stringify(endpointPolicyToFile(once))) as unknown;
        const again = parseEndpointPolicy(written);
        expect({ ...again, environment: null }).toEqual(once);
        expect(policyChanges(once.policy, again.policy)).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test("whatever is in a file, it gives a policy or config.invalid", () => {
    const keys = fc.constantFrom("model", "rollout", "canary", "steps", "weight", "until", ...MORE);
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: "small" },
        fc.oneof(fc.constantFrom("m", "10%", "1h", "latency", null, true, 10), fc.jsonValue()),
        fc.dictionary(keys, tie("tree"), { maxKeys: 5 }),
        fc.array(tie("tree"), { maxLength: 3 }),
      ),
    }));
    fc.assert(
      fc.property(tree, fc.boolean(), (value, asPart) => {
        const file = asPart ? { model: "m", rollout: value, analysis: value } : value;
        const refusal = refusalOf(() => parseEndpointPolicy(file));
        expect([undefined, "config.invalid"]).toContain(refusal?.code);
      }),
      { numRuns: 2_000 },
    );
  });
});
