/** What gateways, the runtime and the clock tell the machine: every phase answers, late news changes nothing. */
import { expect, test } from "vitest";

import { MEASURED } from "../../../test/support/rollout-facts.ts";
import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { LastgoodError } from "../errors/index.ts";
import { isTickDue } from "./clock.ts";
import type { EndpointEvent } from "./event.ts";
import { armsOf, bakeLeft, neededRevisions, type Phase } from "./state.ts";
import { pendingEffects } from "./transition.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const STATES: Record<Phase, () => Scenario> = {
  Idle: () => scenario().stable("v1.0"),
  Preparing: () => scenario().stable("v1.0").deploys("v1.1"),
  Progressing: () => scenario().stable("v1.0").canary("v1.1").setsWeight(20),
  Baking: () => scenario().stable("v1.0").deploys("v1.1").succeeds(),
  RollingBack: () => scenario().stable("v1.0").baking("v1.1").rollsBack(),
};

type Fact = "prepared" | "preparationFailed" | "switched" | "switchFailed";
const error = new LastgoodError("verification.failed", "late news");
const STALE: Record<Fact, EndpointEvent> = {
  prepared: { type: "prepared", rolloutId: "of another time" },
  preparationFailed: { type: "preparationFailed", rolloutId: "of another time", error },
  switched: { type: "switched", switchId: "of another time", measured: MEASURED },
  switchFailed: {
    type: "switchFailed",
    switchId: "of another time",
    error,
    choice: { targets: [], passedOver: [] },
    outage: null,
  },
};

for (const [phase, make] of Object.entries(STATES))
  for (const [fact, event] of Object.entries(STALE))
    test(`${fact} of something that is over changes nothing while ${phase}`, () => {
      const of = make();
      expect(of.phase).toBe(phase);
      const before = of.state;
      of.apply(event);
      expect(of.state).toBe(before);
      expect(of.effects).toEqual([]);
    });

for (const [phase, make] of Object.entries(STATES).filter(([each]) => each !== "Idle"))
  test(`what is told twice counts once while ${phase}`, () => {
    const of = make();
    const [pending] = pendingEffects(of.state);
    const told: EndpointEvent =
      pending?.do === "prepare"
        ? { type: "prepared", rolloutId: pending.rolloutId }
        : {
            type: "switched",
            switchId: pending?.do === "switch" ? pending.switchId : "none",
            measured: MEASURED,
          };
    const before = of.state;
    const after = of.apply(told).state;
    expect(after).not.toBe(before);
    expect(of.apply(told).state).toBe(after);
  });

test("the first revision gets all traffic, verified, and is stable at once", () => {
  const of = scenario().deploys("v1.0");
  expect(armsOf(of.state)).toEqual([]);
  expect(neededRevisions(of.state)).toEqual([1]);
  of.succeeds();
  expect(armsOf(of.state)).toEqual([{ revision: 1, weight: 100 }]);
  of.succeeds();
  expect(of.statuses).toBe("v1.0 stable");
  expect(of.phase).toBe("Idle");
  expect(of.state.lastRollout?.phase).toBe("Succeeded");
  expect(of.version("v1.0").status).toBe("stable");
  expect(of.outcome()).toMatchObject({ ok: true, did: "deployed", measured: MEASURED });
});

test("the first revision has a bake where one is asked for, and no way back from it", () => {
  const of = scenario().baking("v1.0");
  expect(of.statuses).toBe("v1.0 provisional");
  const before = of.state;
  for (const goBack of [() => of.rollsBack(), () => of.aborts(), () => of.marks("v1.0", "failed")])
    expect(goBack).toThrowError(
      expect.objectContaining({
        code: "target.none",
        message: "fraud-prod has no proven version to go back to; v1.0 keeps serving",
        hint: expect.stringContaining("--replace"),
      }),
    );
  expect(of.state).toBe(before);
  expect(of.later(HOUR).statuses).toBe("v1.0 stable");
});

test("a first revision that cannot be verified leaves the endpoint serving nothing", () => {
  const of = scenario().deploys("v1.0").succeeds().fails("no answer");
  expect(of.statuses).toBe("v1.0 rejected");
  expect(armsOf(of.state)).toEqual([]);
  expect(of.outcome()).toMatchObject({ ok: false, error: { code: "verification.failed" } });
});

test("a first revision that was rejected promises callers nothing", () => {
  const of = scenario().deploys("v1.0").fails("no such file", "preflight.rejected");
  expect(of.outcome()).toMatchObject({
    ok: false,
    error: { code: "preflight.rejected", details: { cause: "preflight.rejected" } },
  });
  const { signature } = of.version("v1.0");
  const input = { name: "other", kind: "tensor" as const, dtype: "BYTES" as const, shape: [-1] };
  of.registers("v1.1", { signature: { ...signature, inputs: [input] } });
  expect(of.stable("v1.1").statuses).toBe("v1.0 rejected, v1.1 stable");
});

test("blueGreen: prepared beside what serves, then all traffic at once, then the bake", () => {
  const of = scenario().stable("v1.0").deploys("v1.1");
  expect(of.phase).toBe("Preparing");
  expect(of.effects).toMatchObject([{ do: "prepare", revision: 2 }]);
  expect(armsOf(of.state)).toEqual([{ revision: 1, weight: 100 }]);
  expect(neededRevisions(of.state)).toEqual([1, 2]);
  of.succeeds();
  expect(of.effects).toMatchObject([{ do: "switch", verify: 2 }]);
  expect(of.outcome()).toBeUndefined();
  of.succeeds();
  expect(of.phase).toBe("Baking");
  expect(neededRevisions(of.state), "the way back stays loaded until the bake ends").toEqual([
    2, 1,
  ]);
  expect(of.outcome()).toMatchObject({ ok: true, did: "deployed" });
  expect(of.goesWell(HOUR - 1).phase).toBe("Baking");
  expect(of.goesWell(1).statuses).toBe("v1.0 stable, v1.1 stable");
  expect(of.version("v1.1").status).toBe("stable");
  expect(of.history.map((record) => record.kind)).toEqual([
    "rollout.started",
    "rollout.baking",
    "rollout.succeeded",
    "rollout.started",
    "rollout.baking",
    "rollout.succeeded",
  ]);
});

test("recreate: the candidate takes the place of what serves without being prepared beside it", () => {
  const of = scenario().stable("v1.0").deploys("v1.1", { strategy: "recreate" });
  expect(of.phase).toBe("Baking");
  expect(of.effects).toMatchObject([{ do: "switch", verify: 2 }]);
  expect(armsOf(of.state)).toEqual([{ revision: 2, weight: 100 }]);
  expect(of.serving).toBe("v1.0");
  expect(of.succeeds().serving).toBe("v1.1");
});

test("while it goes back, what is left and what is gone to are both loaded", () => {
  const back = scenario().stable("v1.0").baking("v1.1").rollsBack();
  expect(neededRevisions(back.state)).toEqual([1, 2]);
});

test("canary: the share that was asked, then another, then everything", () => {
  const of = scenario().stable("v1.0").canary("v1.1", 25);
  expect(armsOf(of.state)).toEqual([
    { revision: 1, weight: 75 },
    { revision: 2, weight: 25 },
  ]);
  expect(of.serving).toBe("v1.0");
  expect(() => of.setsWeight(50).setsWeight(60)).toThrowError(/switching right now/);
  of.settles().promotes().settles();
  expect(of.serving).toBe("v1.1");
  expect(of.phase).toBe("Baking");
  expect(of.goesWell(HOUR).statuses).toBe("v1.0 stable, v1.1 stable");
});

test("a canary begins with 10 % where no weight is named", () => {
  const of = scenario().stable("v1.0").deploys("v1.1", { strategy: "canary" }).settles();
  expect(armsOf(of.state).at(-1)).toEqual({ revision: 2, weight: 10 });
});

test("--weight without a canary is refused, and so is a weight that is no share", () => {
  const of = scenario().stable("v1.0");
  expect(() => of.deploys("v1.1", { weight: 10 })).toThrowError(/--strategy canary/);
  expect(() => of.deploys("v1.1", { strategy: "canary", weight: 100 })).toThrowError(/100 %/);
});

test("the bake's clock stands while the rollout is paused", () => {
  const of = scenario().stable("v1.0").baking("v1.1");
  of.later(20 * MINUTE).pauses();
  expect(bakeLeft(of.state.activity, of.now)).toBe(40 * MINUTE);
  of.later(3 * HOUR);
  expect(bakeLeft(of.state.activity, of.now)).toBe(40 * MINUTE);
  of.resumes().goesWell(40 * MINUTE - 1);
  expect(of.phase).toBe("Baking");
  expect(of.goesWell(1).phase).toBe("Idle");
});

test("a pause ends by itself: after 24 h, or when it was said to", () => {
  const day = scenario().stable("v1.0").baking("v1.1").pauses();
  expect(day.later(24 * HOUR - 1).state.activity).toMatchObject({
    rollout: { pause: { by: "ann" } },
  });
  expect(day.later(1).state.activity).toMatchObject({ rollout: { pause: null } });
  expect(day.goesWell(HOUR).phase).toBe("Idle");
  const minute = scenario().stable("v1.0").canary("v1.1").pauses(MINUTE).later(MINUTE);
  expect(minute.state.activity).toMatchObject({ rollout: { pause: null } });
});

/** Whether a tick would change anything just before that time, and at it. */
function due(of: Scenario, ms: number): readonly boolean[] {
  return [ms - 1, ms].map((after) => isTickDue(of.state, of.now + after));
}

test("a tick is due when a pause is over, or a bake that nothing is compared in, and only then", () => {
  expect(due(scenario().baking("v1.0"), HOUR)).toEqual([false, true]);
  const baking = scenario().stable("v1.0").baking("v1.1");
  expect(due(baking, HOUR), "evidence ends it").toEqual([false, false]);
  expect(due(baking.pauses(2 * HOUR), 2 * HOUR)).toEqual([false, true]);
  expect(due(scenario().stable("v1.0").canary("v1.1").pauses(MINUTE), MINUTE)).toEqual([
    false,
    true,
  ]);
  expect(due(scenario().stable("v1.0").canary("v1.1"), 30 * 24 * HOUR)).toEqual([false, false]);
});

test("a pause stops advancing, never protection", () => {
  const of = scenario().stable("v1.0").baking("v1.1").pauses();
  expect(of.rollsBack().settles().serving).toBe("v1.0");
});

test("a clock that was set back makes no bake shorter and no step negative", () => {
  const of = scenario().stable("v1.0").baking("v1.1");
  of.later(-5 * HOUR);
  expect(bakeLeft(of.state.activity, of.now)).toBe(HOUR);
  expect(of.goesWell(6 * HOUR).phase).toBe("Idle");
});

test("only a production revision makes its version stable", () => {
  const of = scenario("staging").stable("v1.0");
  expect(of.statuses).toBe("v1.0 stable");
  expect(of.version("v1.0").status).toBe("pending");
});

test("a switch forward that cannot be verified goes back to what served, and says so", () => {
  const of = scenario().stable("v1.0").deploys("v1.1").succeeds();
  const deploy = [...of.operations].at(-1);
  of.fails("wrong answer");
  expect(of.phase).toBe("RollingBack");
  expect(of.outcome(deploy)).toBeUndefined();
  of.succeeds();
  expect(of.statuses).toBe("v1.0 stable, v1.1 failed");
  expect(of.outcome(deploy)).toMatchObject({
    ok: false,
    error: {
      code: "verification.failed",
      message: "wrong answer; fraud-prod is back on v1.0",
    },
  });
  expect(of.state.lastRollback).toMatchObject({ kind: "revert", trigger: "health" });
});

test("a switch forward that fails with nothing to go back to is taken off what served", () => {
  const of = scenario().stable("v1.0").baking("v1.1", { force: true });
  of.corrupt.set(of.version("v1.0").digest, "model.onnx does not match its digest");
  of.deploys("v1.2", { replace: true, wayBack: { proven: false, why: "v1.0 is corrupt" } });
  of.corrupt.set(of.version("v1.1").digest, "model.onnx is missing");
  of.succeeds().fails("no answer");
  expect(of.phase).toBe("Idle");
  expect(of.statuses).toBe("v1.0 stable, v1.1 provisional, v1.2 rejected");
  expect(of.serving).toBe("v1.1");
});
