/** A common outage while a switch is verified pauses and tells; it judges nobody. */
import { expect, test } from "vitest";

import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { armsOf } from "./state.ts";

const SECOND = 1_000;

const SWITCHING: Readonly<Record<string, () => Scenario>> = {
  Baking: () => scenario().stable("v1.0").deploys("v1.1").succeeds(),
  Progressing: () => scenario().stable("v1.0").canary("v1.1").setsWeight(50),
};

test.each(Object.entries(SWITCHING))(
  "an outage of both while %s switches is held and told, and the rollout goes on after it",
  (phase, make) => {
    const of = make();
    const operation = [...of.operations].at(-1);
    const arms = armsOf(of.state);
    of.failsWithStable("status 500");
    expect(of.phase).toBe(phase);
    expect(armsOf(of.state)).toEqual(arms);
    expect(of.alarms).toEqual(["rollout.outage"]);
    expect(of.history.at(-1)).toMatchObject({
      kind: "rollout.held",
      reason: expect.stringContaining("an outage: v1.1 could not be verified (status 500)"),
    });
    expect(of.outcome(operation)).toMatchObject({
      error: { code: "wait.undecided", traits: { exit: 5 } },
    });
    expect(of.later(4_999).effects).toEqual([]);
    expect(of.later(1).effects).toMatchObject([{ do: "switch", verify: 2 }]);
    of.failsWithStable("status 500");
    expect(of.alarms, "told once").toHaveLength(1);
    expect(of.later(9_999).effects).toEqual([]);
    of.later(1).succeeds();
    expect(of.history.map(({ kind }) => kind)).toContain("rollout.released");
    expect(of.state.activity).toMatchObject({ phase, switching: null });
    expect(of.history.filter(({ kind }) => kind.startsWith("rollback."))).toEqual([]);
  },
);

test("once stable answers and the candidate still does not, it goes back", () => {
  const of = scenario().stable("v1.0").deploys("v1.1").succeeds();
  of.failsWithStable("status 500").later(5 * SECOND);
  of.fails("status 500");
  expect(of.phase).toBe("RollingBack");
  expect(of.settles().statuses).toBe("v1.0 stable, v1.1 failed");
});

test("it is tried at least once a minute", () => {
  const of = scenario().stable("v1.0").deploys("v1.1").succeeds().failsWithStable("status 500");
  for (let tries = 0; tries < 8; tries += 1) of.later(60 * SECOND).failsWithStable("status 500");
  expect(of.later(59 * SECOND).effects).toEqual([]);
  expect(of.later(SECOND).effects).toMatchObject([{ do: "switch" }]);
});

function held(): Scenario {
  return scenario().stable("v1.0").canary("v1.1").setsWeight(50).failsWithStable("status 500");
}

test("a person can end it, and is told why it cannot be steered", () => {
  expect(held().aborts().settles().statuses).toBe("v1.0 stable, v1.1 aborted");
  expect(held().rollsBack().settles().statuses).toBe("v1.0 stable, v1.1 failed");
  expect(() => held().promotes()).toThrowError(/is held: an outage/);
});

test("evidence against the candidate is heeded during an outage as well", () => {
  expect(held().assessed("rollback").phase).toBe("RollingBack");
});
