import { expect, test } from "vitest";

import { POLICY } from "../../../test/support/rollout-facts.ts";
import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { newEndpoint, type EndpointEvent } from "./index.ts";

/** The same command once more, as the next control plane makes it of the repeated request. */
function repeats(of: Scenario): Scenario {
  const command = of.commands.at(-1);
  if (command === undefined) throw new Error("nothing was asked for yet");
  const anew: Partial<EndpointEvent> =
    "rollbackId" in command
      ? { ...("choice" in command ? { choice: of.choice() } : {}), rollbackId: of.fresh("again") }
      : {};
  return of.apply({ ...command, ...anew } as EndpointEvent);
}

/** What every stored state comes through. */
function crash(of: Scenario): Scenario {
  of.state = JSON.parse(JSON.stringify(of.state)) as typeof of.state;
  return of;
}

test("rollback --again whose answer was lost goes one step", () => {
  const of = scenario().stable("v1.0").stable("v1.1").stable("v1.2").stable("v1.3");
  crash(of.rollsBack({ again: true })).succeeds();
  const { statuses } = of;
  repeats(crash(of));
  expect([of.phase, of.serving, of.statuses]).toEqual(["Idle", "v1.2", statuses]);
  expect(of.outcome()).toMatchObject({ ok: true, did: "returned", record: { from: 4, to: 3 } });
  of.rollsBack({ again: true }).succeeds();
  expect(of.serving, "another command is another step").toBe("v1.1");
});

test("a repeat while it is under way waits for it", () => {
  const of = scenario().stable("v1.0").stable("v1.1").stable("v1.2");
  repeats(crash(of.rollsBack({ again: true })));
  expect(of.outcome()).toBeUndefined();
  of.succeeds();
  expect([of.phase, of.serving]).toEqual(["Idle", "v1.1"]);
  expect(of.outcome()).toMatchObject({ ok: true, did: "returned" });
});

test("a promote whose answer was lost ends no bake", () => {
  const of = scenario().stable("v1.0").canary("v1.1");
  crash(of.promotes()).succeeds();
  expect(of.phase).toBe("Baking");
  const told = of.outcome();
  repeats(crash(of));
  expect([of.phase, of.outcome()]).toEqual(["Baking", told]);
});

test("a pause whose answer was lost is as long as it was asked for", () => {
  const of = scenario().stable("v1.0").canary("v1.1").pauses(60_000);
  const { state } = of;
  repeats(of.later(30_000));
  expect(of.state).toBe(state);
});

test("what failed is told again, and not tried again", () => {
  const of = scenario().stable("v1.0").stable("v1.1").rollsBack().fails("no answer");
  repeats(crash(of));
  expect(of.outcome()).toMatchObject({ ok: false, error: { code: "rollback.no-target-left" } });
  expect(of.phase).toBe("Idle");
});

test("a deploy whose answer was lost starts no other after its end", () => {
  const of = scenario().stable("v1.0").deploys("v1.1", { bakeMs: 0 }).settles();
  const deploy = of.commands.at(-1);
  of.stable("v1.2");
  of.apply({ ...deploy, rolloutId: of.fresh("rollout") } as EndpointEvent);
  expect([of.phase, of.serving]).toEqual(["Idle", "v1.2"]);
  expect(of.outcome(deploy?.operation)).toMatchObject({ ok: true, did: "deployed" });
});

test("what a gateway did under a command's key is not done again by the control plane", () => {
  const of = scenario().stable("v1.0").stable("v1.1").stable("v1.2");
  of.overridden(3, 2, { id: "o1", key: "k1" });
  of.rollsBack({ again: true, operation: "k1 12ab" });
  expect([of.phase, of.serving]).toEqual(["Idle", "v1.1"]);
  expect(of.outcome("k1 12ab")).toMatchObject({ ok: true, record: { id: "o1", via: "gateway" } });
  of.rollsBack({ again: true, operation: "k2 12ab" }).succeeds();
  expect(of.serving).toBe("v1.0");
});

test("a refused command may be repeated, and is done once it can be", () => {
  const of = scenario().stable("v1.0");
  expect(() => of.promotes().aborts()).toThrow("no rollout is under way");
  const abort = of.commands.at(-1);
  of.canary("v1.1").apply({ ...abort, choice: of.choice() } as EndpointEvent);
  expect(of.phase).toBe("RollingBack");
});

test("the newest 32 are remembered; a state of before they were is read", () => {
  const of = scenario().stable("v1.0").canary("v1.1");
  for (let times = 0; times < 40; times += 1) of.pauses().resumes();
  expect(of.state.applied).toHaveLength(32);
  expect(newEndpoint(of.state.identity, 0)).not.toHaveProperty("applied");
  expect(JSON.stringify(of.state.applied)).not.toContain(POLICY.rollout.strategy);
});
