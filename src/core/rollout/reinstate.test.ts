/** Taking a rollback back. */
import { expect, test } from "vitest";

import { POLICY } from "../../../test/support/rollout-facts.ts";
import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { armsOf, neededRevisions, type Activity } from "./state.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function rolledBack(): Scenario {
  return scenario().stable("v1.0").stable("v1.1").rollsBack().settles();
}

/** The same activity, its evidence and the clock of its step begun anew. */
function resumed(activity: Activity, now: number): Activity {
  if (activity.phase !== "Progressing" && activity.phase !== "Baking") return activity;
  const rollout = { ...activity.rollout, restarts: 1 };
  const runningSince = rollout.pause === null ? now : null;
  return activity.phase === "Baking"
    ? { ...activity, rollout, remainingMs: 40 * MINUTE, runningSince }
    : { ...activity, rollout, step: { ...activity.step, elapsedMs: 0, runningSince } };
}

for (const [what, begin] of Object.entries({
  "at rest": (of: Scenario) => of.stable("v1.1"),
  "while baking": (of: Scenario) => of.baking("v1.1").later(20 * MINUTE),
  "in a canary": (of: Scenario) => of.canary("v1.1", 25),
  "in a pause": (of: Scenario) => of.canary("v1.1", 25).pauses(),
}))
  test(`reinstate takes a rollback back ${what}: version, statuses and what was under way`, () => {
    const of = begin(scenario().stable("v1.0"));
    const before = of.state;
    const versions = structuredClone(of.versions);
    of.rollsBack().settles();
    const arms: unknown[] = [];
    of.now += MINUTE;
    of.reinstates();
    arms.push(armsOf(of.state));
    of.settles();
    arms.push(armsOf(of.state));
    expect(arms, "not even on the way does it carry more than before").toEqual([
      armsOf(before),
      armsOf(before),
    ]);
    expect(of.state.revisions).toEqual(before.revisions);
    expect(of.state.activity).toEqual(resumed(before.activity, of.now));
    expect(of.state.current).toBe(before.current);
    expect(of.versions.map((version) => version.status)).toEqual(
      versions.map((version) => version.status),
    );
    expect(of.outcome()).toMatchObject({ did: "returned", record: { kind: "reinstate" } });
  });

test("a reinstated candidate without a share of the traffic is loaded, for its probe and for what comes next", () => {
  const rollout = { strategy: "blueGreen" as const, steps: [], promotion: "manual" as const };
  const of = scenario().stable("v1.0");
  of.deploys("v1.1", { policy: { ...POLICY, rollout } }).settles();
  expect(of.phase).toBe("Progressing");
  of.rollsBack().settles();
  expect(neededRevisions(of.state)).toEqual([1]);
  of.reinstates();
  expect({ arms: armsOf(of.state), needed: neededRevisions(of.state) }).toEqual({
    arms: [{ revision: 1, weight: 100 }],
    needed: [1, 2],
  });
});

test("reinstate of a rollback that overtook the last switch lets the bake begin", () => {
  const of = scenario().stable("v1.0").deploys("v1.1").succeeds().rollsBack().settles();
  of.reinstates().settles();
  expect(of.phase).toBe("Baking");
  expect(of.statuses).toBe("v1.0 stable, v1.1 provisional");
  expect(of.goesWell(HOUR).statuses).toBe("v1.0 stable, v1.1 stable");
});

test("reinstate takes back no verdict that the rollback did not give", () => {
  const of = scenario().stable("v1.0").registers("v1.1").baking("v1.1");
  of.registers("v1.1", { status: "stable" }).rollsBack({ keepStatus: true }).settles();
  of.reinstates().settles();
  expect(of.version("v1.1").status).toBe("stable");
});

for (const [what, change] of Object.entries({
  "a deploy": (of: Scenario) => of.stable("v2.0"),
  "a deploy that was rejected": (of: Scenario) =>
    of.deploys("v2.0").fails("broken", "preflight.rejected"),
  "a verdict": (of: Scenario) => of.marks("v1.0", "failed"),
  "another reinstate": (of: Scenario) => of.reinstates().settles(),
}))
  test(`reinstate is refused after ${what}`, () => {
    const of = change(rolledBack());
    expect(() => of.reinstates()).toThrowError(
      expect.objectContaining({ code: "reinstate.refused" }),
    );
  });

test("what was taken back already says so, and how to go back once more", () => {
  const of = rolledBack().reinstates().settles();
  expect(() => of.reinstates()).toThrowError(
    expect.objectContaining({
      message: expect.stringContaining("taken back already, it has v"),
      hint: expect.stringContaining("lastgood rollback "),
    }),
  );
});

test("reinstate is refused without a rollback, of another one, or unproven", () => {
  expect(() => scenario().stable("v1.0").reinstates()).toThrowError(/no such rollback/);
  expect(() => rolledBack().reinstates({ rollback: "of last year" })).toThrowError(
    expect.objectContaining({ code: "rollback.not-found" }),
  );
  expect(() => rolledBack().reinstates({ target: { unproven: "bytes differ" } })).toThrowError(
    /v1.1 could not be proven: bytes differ/,
  );
});

test("a reinstate that fails leaves all as it was, and may be tried again", () => {
  const of = rolledBack().reinstates().fails("no answer");
  expect(of.serving).toBe("v1.0");
  expect(of.statuses).toBe("v1.0 stable, v1.1 failed");
  expect(of.reinstates().settles().serving).toBe("v1.1");
});
