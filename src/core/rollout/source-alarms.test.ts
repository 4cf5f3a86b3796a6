/** Where nobody can know whether the candidate is good, the rollout pauses and a person is told at once. */
import { expect, test } from "vitest";

import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import type { Assessed } from "./event.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A look that holds it for what the source says, in words that have its numbers. */
function seen(source: Assessed["verdict"]["source"], why: string, blamed: readonly string[] = []) {
  return { verdict: { decision: "hold" as const, why, blamed: [...blamed], source } };
}

const SOURCES = {
  outage: {
    alarm: "rollout.outage",
    why: (n: number) =>
      `an outage: lately ${n} % of the candidate's requests failed, and of stable's`,
  },
  broken: {
    alarm: "rollout.broken",
    why: (n: number) => `the comparison is not valid: ${n} % of requests reached the candidate`,
  },
  silent: { alarm: "rollout.silent", why: (n: number) => `no evidence for ${n}m` },
} as const;

const CASES = (["outage", "broken", "silent"] as const).map((source) => ({
  source,
  ...SOURCES[source],
}));

const UNDER: readonly (() => Scenario)[] = [
  () => scenario().stable("v1.0").baking("v1.1"),
  () => scenario().stable("v1.0").canary("v1.1").assessed("continue"),
];

test.each(CASES)(
  "$source: told at once with what comes next, and once",
  ({ source, alarm, why }) => {
    for (const make of UNDER) {
      const of = make();
      of.assessed("hold", seen(source, why(10)));
      expect(of.alarms).toEqual([alarm]);
      const [told] = of.effects.filter((effect) => effect.do === "alarm");
      expect(told?.message).toContain(`fraud-prod: ${why(10)}`);
      expect(told?.message).toContain("held until that is over");
      expect(told?.message).toContain("lastgood rollout status fraud-prod");
      for (let n = 11; n < 40; n += 1) of.later(MINUTE).assessed("hold", seen(source, why(n)));
      expect(of.alarms, "its numbers are no news").toEqual([alarm]);
      expect(of.history.filter(({ kind }) => kind === "rollout.held")).toHaveLength(1);
      of.assessed("continue").assessed("hold", seen(source, why(10)));
      expect(of.alarms, "it came again").toEqual([alarm, alarm]);
    }
  },
);

test("each cause is told; what the evidence itself holds is told at the deadline only", () => {
  const of = scenario().stable("v1.0").baking("v1.1");
  of.assessed("hold", seen("ok", "a little", ["errorRate"]));
  expect(of.alarms).toEqual([]);
  for (const { source, why } of [...CASES, ...CASES]) of.assessed("hold", seen(source, why(10)));
  expect(of.alarms).toEqual([...CASES, ...CASES].map(({ alarm }) => alarm));
  of.assessed("hold", seen("ok", "a little", ["errorRate"]));
  expect(of.alarms).toHaveLength(6);
  expect(
    of.later(6 * HOUR).assessed("hold", seen("ok", "a little", ["errorRate"])).alarms,
  ).toContain("rollout.undecided");
});

test("an outage that a switch waits out, and the evidence sees as well, is told once", () => {
  const of = scenario().stable("v1.0").canary("v1.1").setsWeight(50).failsWithStable("status 500");
  of.assessed("hold", seen("outage", SOURCES.outage.why(100)));
  expect(of.alarms).toEqual(["rollout.outage"]);
  of.assessed("hold", seen("broken", SOURCES.broken.why(1)));
  expect(of.alarms, "that is something else").toEqual(["rollout.outage", "rollout.broken"]);
});
