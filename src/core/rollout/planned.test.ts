/** What is left of a rollout by its plan. */
import { expect, test } from "vitest";

import { POLICY } from "../../../test/support/rollout-facts.ts";
import { scenario } from "../../../test/support/rollout-scenario.ts";
import type { Policy } from "../policy/index.ts";
import { plannedLeft } from "./planned.ts";

const MINUTE = 60_000;

/** Two steps of 10 and 20 min, a gate, and 1 h of bake: 90 min by the clock. */
const EXAMPLE: Policy = {
  ...POLICY,
  bakeMs: 60 * MINUTE,
  rollout: {
    strategy: "canary",
    steps: [
      { kind: "weight", percent: 10, until: { requests: 1_000, timeMs: 10 * MINUTE } },
      { kind: "pause", forMs: null },
      { kind: "weight", percent: 50, until: { requests: 5_000, timeMs: 20 * MINUTE } },
    ],
  },
};

test("steps and bake together; what only a person ends counts for nothing", () => {
  const of = scenario().stable("v1.0");
  const left = (): number => plannedLeft(of.state.activity, of.now);
  expect(left()).toBe(0);
  of.deploys("v1.1", { policy: EXAMPLE });
  expect(left()).toBe(90 * MINUTE);
  of.settles();
  expect(left()).toBe(90 * MINUTE);
  of.now += 4 * MINUTE;
  expect(left()).toBe(86 * MINUTE);
  of.now += 60 * MINUTE;
  expect(left(), "its requests do not come").toBe(80 * MINUTE);
  of.promotes().settles();
  expect(left(), "a person has to go on").toBe(80 * MINUTE);
  of.promotes().settles().promotes().settles();
  of.now += 15 * MINUTE;
  expect(left()).toBe(45 * MINUTE);
  of.rollsBack();
  expect(left()).toBe(0);
});

test("a canary by hand is planned for its bake alone", () => {
  const of = scenario()
    .stable("v1.0")
    .deploys("v1.1", { strategy: "canary", weight: 10 })
    .settles();
  expect(plannedLeft(of.state.activity, of.now)).toBe(POLICY.bakeMs);
});
