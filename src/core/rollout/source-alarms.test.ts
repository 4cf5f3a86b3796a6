/** Where only a person can know whether the candidate is good, the rollout is held and they are told at once. */
import { expect, test } from "vitest";

import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import type { Assessed } from "./event.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A look that holds it for what the source says, in words that have its numbers. */
function seen(source: Assessed["verdict"]["source"], why: string, blamed: readonly string[] = []) {
  return { verdict: { decision: "hold" as const, why, blamed: [...blamed], source } };
}

/** One whose evidence is enough, were it certain that stable would do better. */
function proposing(why: string, source: Assessed["verdict"]["source"] = "ok") {
  const { verdict } = seen(source, why, ["errorRate"]);
  return { verdict: { ...verdict, proposed: true } };
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

test("evidence that is enough and decides nothing by itself: told at once, with what does, and once", () => {
  for (const make of UNDER) {
    const of = make();
    of.assessed("hold", seen("ok", "a little", ["errorRate"]));
    expect(of.alarms, "what holds it a little is no alarm").toEqual([]);
    of.assessed("hold", proposing("nobody knows; 1 asked"));
    expect(of.alarms).toEqual(["rollout.proposed"]);
    const [told] = of.effects.filter((effect) => effect.do === "alarm");
    expect(told?.message).toContain("fraud-prod: nobody knows; 1 asked; the rollout is held");
    expect(told?.message).toContain("lastgood rollback fraud-prod");
    for (let n = 2; n < 40; n += 1)
      of.later(MINUTE).assessed("hold", proposing(`nobody knows; ${n} asked`));
    const more = { verdict: { ...proposing("more").verdict, blamed: ["errorRate", "latency"] } };
    of.assessed("hold", more).assessed("hold", proposing("less"));
    expect(of.alarms, "more or less of it is no news").toEqual(["rollout.proposed"]);
    of.assessed("hold", seen("ok", "a little", ["errorRate"])).assessed("hold", proposing("again"));
    expect(of.alarms, "it was taken back, and came again").toHaveLength(2);
    of.assessed("continue").assessed("hold", proposing("again"));
    expect(of.alarms, "the rollout went on, and it came again").toHaveLength(3);
  }
});

test("what is proposed is told once, however often its source falls silent or fails meanwhile", () => {
  const of = scenario().stable("v1.0").baking("v1.1");
  of.assessed("hold", proposing("no evidence for 5m", "silent"));
  expect(of.alarms).toEqual(["rollout.silent"]);
  for (let times = 0; times < 10; times += 1)
    of.later(MINUTE)
      .assessed("hold", proposing("nobody knows"))
      .assessed("hold", proposing("an outage", "outage"))
      .assessed("hold", proposing("no evidence for 5m", "silent"));
  expect(of.alarms.filter((alarm) => alarm === "rollout.proposed")).toHaveLength(1);
});

test("a metric that is called like it proposes nothing", () => {
  const of = scenario().stable("v1.0").baking("v1.1");
  expect(of.assessed("hold", seen("ok", "a little", ["proposed"])).alarms).toEqual([]);
});
