import { expect, test } from "vitest";

import { scenario } from "../../../test/support/rollout-scenario.ts";
import { defaultPolicy, policyToFile } from "../policy/index.ts";

const canary = defaultPolicy("canary");
const recreate = defaultPolicy("recreate");

test("applied, a policy is in force and in history with what it replaced", () => {
  const of = scenario().applies(canary);
  expect(of.state.policy).toEqual(canary);
  expect(of.lastHistory).toEqual([
    {
      kind: "policy.applied",
      actor: "ann",
      reason: "slower",
      data: { before: null, after: policyToFile(canary) },
    },
  ]);
  of.applies(recreate);
  expect(of.lastHistory[0]?.data).toEqual({
    before: policyToFile(canary),
    after: policyToFile(recreate),
  });
  expect(of.outcome()).toMatchObject({ ok: true, done: "the policy is in force" });
});

test("the same again is told so and is not in history", () => {
  const of = scenario().applies(canary);
  const { state } = of;
  of.applies(structuredClone(canary));
  expect(of.state).toBe(state);
  expect(of.lastHistory).toEqual([]);
  expect(of.outcome()).toMatchObject({ ok: true, done: "the policy is in force already" });
});

test("a rollout under way goes on as it was started", () => {
  const of = scenario().stable("v1.0").canary("v1.1");
  const { activity } = of.state;
  of.applies(recreate);
  expect(of.state.activity).toBe(activity);
  expect(of.outcome()).toMatchObject({
    done: "the policy is in force, from the next rollout on",
  });
});

test("a rollback can be reinstated after a policy was applied", () => {
  const of = scenario().stable("v1.0").baking("v1.1").rollsBack().settles().applies(canary);
  of.reinstates().settles();
  expect(of.serving).toBe("v1.1");
});
