import fc from "fast-check";
import { parse } from "yaml";

import { NAMES } from "./models.ts";

const name = fc.constantFrom(...NAMES);
const flag = fc.boolean();
const gateway = fc.nat({ max: 1 });
const someMs = fc.constantFrom(50, 400, 1_500, 6_000);

const errors = { errorRate: { tolerance: { absolute: "0.1%", relative: 1 } } };

/** As a policy file writes it. */
function undecided(action: string, deadline: string): unknown {
  return parse(`{ then: ${action}, deadline: ${deadline} }`);
}

const analysis = { flush: "1s", deadline: "1s", metrics: errors };

/** Policies that are over within a minute. */
export const POLICIES = {
  blueGreen: { rollout: { blueGreen: {} }, analysis, rollback: { cooldown: "0s" } },
  canary: {
    rollout: {
      canary: {
        steps: [
          { weight: "10%", until: { requests: 20, time: "2s" } },
          { weight: "50%", until: { requests: 50, time: "3s" } },
        ],
      },
    },
    analysis: { ...analysis, inconclusive: undecided("rollback", "20s") },
  },
  gated: {
    rollout: {
      canary: {
        steps: [
          { mirror: "20%", until: { requests: 10, time: "1s" } },
          { weight: "25%", until: { requests: 10, time: "1s" } },
          { pause: "manual" },
        ],
      },
    },
    analysis: { ...analysis, inconclusive: undecided("promote", "5s") },
  },
  recreate: { rollout: { recreate: {} }, analysis },
  watched: {
    rollout: {
      canary: { steps: [{ weight: "50%", until: { requests: 100, time: "4s" } }] },
      holdback: "20%",
    },
    analysis: {
      ...analysis,
      alpha: 0.05,
      metrics: { errorRate: { tolerance: { absolute: "0%", relative: 1 } } },
    },
    rollback: { cooldown: "0s" },
  },
  quiet: {
    rollout: { canary: { steps: [{ weight: "50%", until: { requests: 1_000_000 } }] } },
    analysis: { ...analysis, noData: parse("{ then: rollback, after: 4s }") as unknown },
  },
  manual: { rollout: { blueGreen: { promotion: "manual" } } },
} as const;

/** A policy's name. */
export type PolicyName = keyof typeof POLICIES;

/** One thing that happens to the whole system. */
const happening = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("deploy" as const),
      name,
      policy: fc.constantFrom<PolicyName[]>("blueGreen", "canary", "gated", "recreate", "manual"),
      bakeMs: fc.constantFrom(0, 3_000, 15_000),
      force: fc.constantFrom(false, false, false, true),
      replace: flag,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("rollback" as const),
      to: fc.option(name, { freq: 3 }),
      again: flag,
      keepStatus: flag,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reinstate" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("mark" as const),
      name,
      status: fc.constantFrom("stable", "failed"),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("steer" as const),
      command: fc.constantFrom(
        "promote",
        "full",
        "pause",
        "resume",
        "abort",
        "weight",
        "pin",
        "unpin",
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("alone" as const), gateway }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("trip" as const), gateway }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("crashControl" as const),
      steps: fc.nat({ max: 12 }),
      downMs: someMs,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("crashGateway" as const), gateway, downMs: someMs }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("cut" as const), gateway }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("stall" as const),
      gateway,
      ms: fc.constantFrom(300, 6_000, 20_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("storeFails" as const), ms: someMs }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("storeSlow" as const), ms: fc.constantFrom(0, 5, 300) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("diskFull" as const), gateway, ms: someMs }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("spoil" as const),
      name,
      how: fc.constantFrom("corrupt", "wrong", "mute"),
      is: fc.constantFrom(true, false, false),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("noProbes" as const), gateway, ms: someMs }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("fails" as const),
      name,
      errorRate: fc.constantFrom(0, 0.001, 0.3),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("clock" as const),
      ms: fc.constantFrom(-60_000, -1_000, 1_000, 60_000, 3_600_000),
    }),
  },
);

/** One thing that happens to the whole system. */
export type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

/** A history: what happens, and how long after the thing before it. */
export const history = fc.record({
  seed: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  gateways: fc.constantFrom(1, 1, 2),
  happenings: fc.array(
    fc.record({
      afterMs: fc.constantFrom(0, 1, 5, 40, 300, 1_000, 4_000, 12_000),
      what: happening,
    }),
    { minLength: 1, maxLength: 40, size: "max" },
  ),
});
