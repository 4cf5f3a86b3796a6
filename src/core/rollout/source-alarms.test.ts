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
  () =>
    scenario()
      .stable("v1.0")
      .baking("v1.1", { bakeMs: 100 * HOUR }),
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
      of.assessed("continue")
        .later(24 * HOUR)
        .assessed("hold", seen(source, why(10)));
      expect(of.alarms, "it came again").toEqual([alarm, alarm]);
    }
  },
);

test("each cause is told; what the evidence itself holds is told at the deadline only", () => {
  const of = scenario().stable("v1.0").baking("v1.1");
  of.assessed("hold", seen("ok", "a little", ["errorRate"]));
  expect(of.alarms).toEqual([]);
  for (const { source, why } of CASES) of.assessed("hold", seen(source, why(10)));
  expect(of.alarms).toEqual(CASES.map(({ alarm }) => alarm));
  of.assessed("hold", seen("ok", "a little", ["errorRate"]));
  expect(of.alarms).toHaveLength(3);
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

test("where few requests come by nature, each silence holds, and the first of a day is told", () => {
  for (const make of UNDER) {
    const of = make();
    for (let request = 0; request < 60; request += 1) {
      of.later(5 * MINUTE).assessed("hold", seen("silent", "no evidence for 5m"));
      if (request % 10 === 0) of.assessed("hold", seen("broken", "a source cannot be read"));
      of.later(MINUTE).assessed("continue");
    }
    const silences = of.alarms.filter((alarm) => alarm === "rollout.silent");
    expect(silences, "6 h of requests every 6 min").toHaveLength(1);
    expect(of.history.filter(({ kind }) => kind === "rollout.held").length).toBeGreaterThan(59);
    of.later(19 * HOUR).assessed("hold", seen("silent", "no evidence for 5m"));
    expect(of.alarms.at(-1), "daily").toBe("rollout.silent");
  }
});
