/** What people are told of an endpoint. */
import { expect, test } from "vitest";

import { POLICY } from "../../../test/support/rollout-facts.ts";
import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { endpointView } from "./view.ts";

const MANUAL = { ...POLICY, rollback: { ...POLICY.rollback, automatic: false } };

function viewOf(of: Scenario): ReturnType<typeof endpointView> {
  return endpointView({
    state: of.state,
    choice: of.choice(),
    expectedSeconds: 0,
    revisionStates: [],
    counts: [],
    historyHead: null,
    now: of.now,
  });
}

/** What the machine would do and cannot. */
function waitsFor(of: Scenario): readonly string[] {
  return viewOf(of).alarms.filter((alarm) => !alarm.startsWith("no way back"));
}

test("a rollback that the policy leaves to people is an alarm until the traffic is off the candidate", () => {
  const of = scenario()
    .stable("v1.0")
    .deploys("v1.1", { strategy: "canary", weight: 10, policy: MANUAL })
    .settles();
  expect(waitsFor(of)).toEqual([]);
  of.assessed("rollback");
  expect(waitsFor(of)).toEqual([
    expect.stringMatching(/^a rollback is wanted: the evidence says rollback; .*automatic: false/),
  ]);
  expect(waitsFor(of.rollsBack().settles())).toEqual([]);
});

test("a rollback that a pin holds back is an alarm that says who pinned", () => {
  const of = scenario().stable("v1.0").canary("v1.1").pins().assessed("rollback");
  expect(waitsFor(of)).toEqual([expect.stringContaining("pinned by ann (launch day)")]);
  of.unpins().assessed("rollback");
  expect(waitsFor(of.settles())).toEqual([]);
});

test("a rollback at the deadline that a pin holds back is one alarm, until the evidence says otherwise", () => {
  const inconclusive = { action: "rollback", deadlineMs: 1_000 } as const;
  const policy = { ...POLICY, analysis: { ...POLICY.analysis, inconclusive } };
  const of = scenario().stable("v1.0").baking("v1.1", { policy }).pins();
  of.assessed("hold").later(1_000).assessed("hold").assessed("hold");
  expect(waitsFor(of)).toEqual([
    expect.stringMatching(/^a rollback is wanted: undecided at the deadline: .*pinned by ann/),
  ]);
  expect(waitsFor(of.assessed("continue"))).toEqual([]);
});

test("a rollback that found no target that answers is an alarm for as long as it is wanted", () => {
  const of = scenario().stable("v1.0").canary("v1.1").assessed("rollback").fails("no answer");
  expect(waitsFor(of)).toEqual([
    expect.stringMatching(/^a rollback is wanted: .*no answer.*; tried again by itself/),
  ]);
  expect(waitsFor(of.pins()).join()).toContain("not tried while it is pinned");
  of.unpins().now += 5_000;
  expect(waitsFor(of.retries().settles())).toEqual([]);
});

test("a switch that waits for the end of an outage shows as held, and is an alarm", () => {
  const of = scenario().stable("v1.0").deploys("v1.1").succeeds().failsWithStable("status 500");
  const { alarms, rollout } = viewOf(of);
  expect(rollout?.held).toMatchObject({
    why: expect.stringMatching(/^an outage: /),
    since: of.now,
  });
  expect(alarms).toEqual([expect.stringMatching(/^the rollout is held: an outage: /)]);
  of.later(5_000).settles();
  expect(viewOf(of)).toMatchObject({ alarms: [], rollout: { held: null } });
});

test.each(["outage", "broken", "silent"] as const)(
  "a rollout that is held because its source is %s is an alarm for as long as it is so",
  (source) => {
    const verdict = { decision: "hold" as const, why: "nobody can know", blamed: [], source };
    const of = scenario().stable("v1.0").baking("v1.1").assessed("hold", { verdict });
    expect(waitsFor(of)).toEqual(["the rollout is held: nobody can know"]);
    of.assessed("hold", { verdict: { ...verdict, source: "ok", blamed: ["errorRate"] } });
    expect(waitsFor(of), "that is evidence, and may end by more of it").toEqual([]);
    expect(waitsFor(of.assessed("hold", { verdict }).assessed("continue"))).toEqual([]);
  },
);

test("what the evidence proposes and cannot decide is an alarm for as long as it is so", () => {
  const verdict = {
    decision: "hold" as const,
    why: "nobody knows whether stable would do better",
    blamed: ["errorRate"],
    source: "ok" as const,
    proposed: true,
  };
  const of = scenario().stable("v1.0").baking("v1.1").assessed("hold", { verdict });
  expect(waitsFor(of)).toEqual([`the rollout is held: ${verdict.why}`]);
  expect(waitsFor(of.assessed("continue"))).toEqual([]);
});

test("an outage that a switch waits out, and the evidence sees as well, is one alarm", () => {
  const of = scenario().stable("v1.0").deploys("v1.1").succeeds().failsWithStable("status 500");
  const verdict = {
    decision: "hold" as const,
    why: "an outage",
    blamed: [],
    source: "outage" as const,
  };
  expect(waitsFor(of.assessed("hold", { verdict }))).toHaveLength(1);
});
