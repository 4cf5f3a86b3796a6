/** Ways back: rollback, abort, NoTarget, reinstate, what gateways did alone. */
import { expect, test } from "vitest";

import { MEASURED } from "../../../test/support/rollout-facts.ts";
import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { TYPED_TWICE_MS } from "./back.ts";
import { armsOf } from "./state.ts";
import { transition } from "./transition.ts";

function rolledBack(): Scenario {
  return scenario().stable("v1.0").stable("v1.1").rollsBack().settles();
}

function rolledBackOfThree(): Scenario {
  return scenario().stable("v0.9").stable("v1.0").stable("v1.1").rollsBack().settles();
}

test("a rollback makes no revision: it returns to the target's own number", () => {
  const of = rolledBack();
  expect(of.state.current).toBe(1);
  expect(of.state.revisions).toHaveLength(2);
  expect(of.statuses).toBe("v1.0 stable, v1.1 failed");
  expect(of.state.revisions[1]?.reason).toBe("error rate");
  expect(of.version("v1.1")).toMatchObject({ status: "failed", statusReason: "error rate" });
  expect(of.phase, "it has no bake and the next deploy is free at once").toBe("Idle");
  expect(of.state.lastRollback).toMatchObject({
    kind: "rollback",
    from: 2,
    to: 1,
    via: "api",
    measured: MEASURED,
    reason: "error rate",
  });
  expect(of.history.slice(-2).map((record) => record.kind)).toEqual([
    "rollback.started",
    "rollback.completed",
  ]);
});

test("what was left is barred from the next deploy, at once and without --force", () => {
  const of = rolledBack();
  expect(() => of.deploys("v1.1")).toThrowError(
    expect.objectContaining({ code: "version.barred" }),
  );
  // The registry's own verdict may be late or elsewhere; this endpoint remembers.
  expect(() => of.deploys("v1.1", { barred: null })).toThrowError(/barred: failed: error rate/);
  expect(of.stable("v1.1", { force: true }).statuses).toBe("v1.0 stable, v1.1 failed, v1.1 stable");
  expect(of.stable("v1.0").stable("v1.1", { barred: null }).serving).toBe("v1.1");
});

test("--keep-status does not mark", () => {
  const stable = scenario().stable("v1.0").stable("v1.1").rollsBack({ keepStatus: true }).settles();
  expect(stable.statuses).toBe("v1.0 stable, v1.1 stable");
  expect(stable.version("v1.1").status).toBe("stable");
  const baking = scenario().stable("v1.0").baking("v1.1").rollsBack({ keepStatus: true }).settles();
  expect(baking.statuses).toBe("v1.0 stable, v1.1 provisional");
  const canary = scenario().stable("v1.0").canary("v1.1").rollsBack({ keepStatus: true }).settles();
  expect(canary.statuses).toBe("v1.0 stable, v1.1 aborted");
  expect(canary.version("v1.1").status).toBe("pending");
});

test("a config-only revision that fails does not mark its version failed", () => {
  const of = scenario().stable("v1.0").stable("v1.1");
  const runtime = { kind: "onnx" as const, file: "quantized.onnx" };
  of.stable("v1.1", { runtime }).rollsBack().settles();
  expect(of.statuses).toBe("v1.0 stable, v1.1 stable, v1.1 failed");
  expect(of.state.current).toBe(2);
  expect(of.version("v1.1").status).toBe("stable");
  expect(() => of.deploys("v1.1", { runtime })).toThrowError(
    expect.objectContaining({ code: "version.barred" }),
  );
});

test("a version is judged only by the revision that changed it, and not where it serves again", () => {
  const runtime = { kind: "onnx" as const, file: "quantized.onnx" };
  const tuned = scenario().stable("v1.0").stable("v1.1").stable("v1.1", { runtime });
  tuned
    .marks("v1.1", "stable")
    .rollsBack({ named: true, choice: tuned.named("v1.0") })
    .settles();
  expect(tuned.statuses).toBe("v1.0 stable, v1.1 stable, v1.1 failed");
  expect(tuned.version("v1.1").status).toBe("stable");
  const back = scenario().stable("v1.0").stable("v1.1").stable("v1.0", { runtime });
  const choice = { ...back.named("v1.0") };
  const [target] = choice.targets;
  if (target === undefined) throw new Error("v1.0 was served");
  back.rollsBack({
    named: true,
    choice: { targets: [{ ...target, revision: 1 }], passedOver: [] },
  });
  expect(back.settles().statuses).toBe("v1.0 stable, v1.1 stable, v1.0 failed");
  expect(back.version("v1.0").status).toBe("stable");
});

test("abort judges nobody", () => {
  const of = scenario().stable("v1.0").canary("v1.1").aborts().settles();
  expect(of.statuses).toBe("v1.0 stable, v1.1 aborted");
  expect(of.version("v1.1").status).toBe("pending");
  expect(of.state.lastRollout?.phase).toBe("Aborted");
  expect(of.stable("v1.1").serving, "and bars nothing").toBe("v1.1");
});

test("whoever waits for a switch that a rollback overtakes is told", () => {
  const of = scenario().stable("v1.0").canary("v1.1").setsWeight(50);
  const setWeight = [...of.operations].at(-1);
  of.rollsBack();
  expect(of.outcome(setWeight)).toMatchObject({
    ok: false,
    error: { code: "rollout.rolled-back", traits: { exit: 3 } },
  });
  expect(of.settles().serving).toBe("v1.0");
});

test("a deploy that was aborted or replaced hears so", () => {
  const aborted = scenario().stable("v1.0").deploys("v1.1");
  const first = [...aborted.operations].at(-1);
  aborted.aborts();
  expect(aborted.outcome(first)).toMatchObject({ error: { code: "rollout.superseded" } });
  const switching = scenario().stable("v1.0").deploys("v1.1").succeeds();
  const waiting = [...switching.operations].at(-1);
  switching.aborts();
  expect(switching.outcome(waiting)).toMatchObject({ error: { code: "rollout.superseded" } });
  const replaced = scenario().stable("v1.0").deploys("v1.1");
  const second = [...replaced.operations].at(-1);
  replaced.deploys("v1.2", { replace: true });
  expect(replaced.outcome(second)).toMatchObject({ error: { traits: { exit: 6 } } });
});

test("typed twice is once", () => {
  const of = rolledBack();
  const { state, now } = of;
  of.now += 40_000;
  of.rollsBack();
  expect(of.state).toBe(state);
  expect(of.outcome()).toMatchObject({
    did: "returned",
    already: true,
    record: { to: 1, at: now, measured: MEASURED },
  });
  of.now = now + TYPED_TWICE_MS - 1;
  expect(of.rollsBack().outcome()).toMatchObject({ already: true });
});

test("a rollback of what was deployed since the last one is another rollback", () => {
  const of = rolledBack().stable("v1.2").rollsBack();
  expect(of.phase).toBe("RollingBack");
  expect(of.settles().statuses).toBe("v1.0 stable, v1.1 failed, v1.2 failed");
});

test("after ten minutes, with --again or with a named version, it is another rollback", () => {
  const late = rolledBackOfThree();
  late.now += TYPED_TWICE_MS;
  expect(late.rollsBack().settles().serving).toBe("v0.9");
  expect(rolledBackOfThree().rollsBack({ again: true }).settles().serving).toBe("v0.9");
  const of = rolledBackOfThree();
  expect(of.rollsBack({ named: true, choice: of.named("v0.9") }).settles().serving).toBe("v0.9");
});

test("a clock that was set back does not make it the same rollback for as long", () => {
  const of = rolledBackOfThree();
  of.now -= TYPED_TWICE_MS;
  expect(of.rollsBack().settles().serving).toBe("v0.9");
});

test("the named version that a rollback put there is there already", () => {
  const of = rolledBack();
  of.rollsBack({ named: true, choice: of.named("v1.0") });
  expect(of.outcome()).toMatchObject({ did: "returned", already: true });
});

test("a rollback to what it would leave is refused, at rest and in a rollout", () => {
  const rest = scenario().stable("v1.0").stable("v1.1");
  const canary = scenario().stable("v1.0").canary("v1.1");
  for (const each of [rest, canary])
    expect(() => each.rollsBack({ named: true, choice: each.named("v1.1") })).toThrowError(
      expect.objectContaining({ code: "target.none" }),
    );
});

test("a named version that was never served here gets a new revision", () => {
  const of = scenario().registers("v0.8", { status: "stable" }).registers("v0.9").stable("v1.0");
  of.rollsBack({ named: true, choice: of.named("v0.8") });
  expect(of.statuses).toBe("v1.0 stable, v0.8 candidate");
  of.settles();
  expect(of.statuses).toBe("v1.0 failed, v0.8 stable");
  of.rollsBack({ named: true, choice: of.named("v0.9") }).settles();
  expect(of.statuses, "one that never proved itself in production is provisional").toBe(
    "v1.0 failed, v0.8 failed, v0.9 provisional",
  );
  expect(of.state.revisions[2]?.carriedAllAt).toBe(of.now);
});

test("two who roll back at once go back once, and both hear of it", () => {
  const of = scenario().stable("v1.0").stable("v1.1").rollsBack();
  const first = [...of.operations].at(-1);
  of.rollsBack();
  const second = [...of.operations].at(-1);
  expect(of.effects, "nothing is switched again").toEqual([]);
  of.settles();
  for (const operation of [first, second])
    expect(of.outcome(operation)).toMatchObject({ did: "returned", record: { to: 1 } });
  expect(of.history.filter((record) => record.kind === "rollback.completed")).toHaveLength(1);
});

test("a rollback that names another version does not attach", () => {
  const of = scenario().stable("v0.9").stable("v1.0").stable("v1.1").rollsBack();
  expect(() => of.rollsBack({ named: true, choice: of.named("v0.9") })).toThrowError(
    expect.objectContaining({ code: "rollout.phase" }),
  );
  of.rollsBack({ named: true, choice: of.named("v1.0") });
  expect(of.settles().outcome()).toMatchObject({ did: "returned" });
});

test("a rollback that attaches to an abort makes it a verdict", () => {
  const of = scenario().stable("v1.0").canary("v1.1").aborts();
  const abort = [...of.operations].at(-1);
  of.rollsBack().settles();
  expect(of.statuses).toBe("v1.0 stable, v1.1 failed");
  expect(of.version("v1.1").status).toBe("failed");
  expect(of.outcome(abort)).toMatchObject({ ok: true, did: "returned" });
  expect(of.history.map((record) => record.kind)).toContain("rollback.attached");
});

test("of two who roll back at once one who wants a verdict gets it", () => {
  for (const [first, second, becomes] of [
    [true, true, "stable"],
    [true, false, "failed"],
    [false, true, "failed"],
    [false, false, "failed"],
  ] as const) {
    const of = scenario().stable("v1.0").stable("v1.1").rollsBack({ keepStatus: first });
    of.rollsBack({ keepStatus: second }).settles();
    expect(of.statuses).toBe(`v1.0 stable, v1.1 ${becomes}`);
    const wanted = first && !second ? 1 : 0;
    expect(of.history.filter((record) => record.kind === "rollback.attached")).toHaveLength(wanted);
  }
});

test("who attaches to a reverted deploy hears of the way back, the deploy of its failure", () => {
  const of = scenario().stable("v1.0").deploys("v1.1").succeeds();
  const deploy = [...of.operations].at(-1);
  of.fails("wrong answer").rollsBack();
  const rollback = [...of.operations].at(-1);
  of.settles();
  expect(of.outcome(deploy)).toMatchObject({ ok: false, error: { code: "verification.failed" } });
  expect(of.outcome(rollback)).toMatchObject({ ok: true, did: "returned" });
});

test("a target that fails its verification gives way to the next, each once", () => {
  const of = scenario().stable("v0.8").stable("v0.9").stable("v1.0").stable("v1.1").rollsBack();
  expect(armsOf(of.state)).toEqual([{ revision: 3, weight: 100 }]);
  of.fails("no answer");
  expect(armsOf(of.state)).toEqual([{ revision: 2, weight: 100 }]);
  of.succeeds();
  expect(of.serving).toBe("v0.9");
  expect(of.history.at(-1)?.data).toMatchObject({ tried: ["v1.0: no answer"] });
  expect(of.statuses).toBe("v0.8 stable, v0.9 stable, v1.0 stable, v1.1 failed");
});

test("when all fail, the route ends on the revision it left: NoTarget, an alarm, exit 1", () => {
  const of = scenario().stable("v0.9").stable("v1.0").stable("v1.1").rollsBack();
  const operation = [...of.operations].at(-1);
  of.fails("no answer").fails("wrong answer");
  expect(of.phase).toBe("Idle");
  expect(of.serving).toBe("v1.1");
  expect(of.statuses, "nobody is judged by it").toBe("v0.9 stable, v1.0 stable, v1.1 stable");
  expect(of.alarms).toEqual(["rollback.no-target-left"]);
  expect(of.outcome(operation)).toMatchObject({
    error: {
      code: "rollback.no-target-left",
      traits: { exit: 1 },
      message: expect.stringContaining("v1.0: no answer; v0.9: wrong answer"),
    },
  });
  expect(of.state.alarms).toHaveLength(1);
  of.rollsBack().settles();
  expect(of.state.alarms, "a way back that works ends the alarm").toEqual([]);
});

test("NoTarget in a rollout is its end, and the candidate is provisional", () => {
  const of = scenario().stable("v1.0").canary("v1.1").rollsBack().fails("no answer");
  expect(of.state.lastRollout?.phase).toBe("NoTarget");
  expect(of.statuses).toBe("v1.0 stable, v1.1 provisional");
  expect(armsOf(of.state)).toEqual([{ revision: 2, weight: 100 }]);
});

test("a target that was marked failed on the way is not tried any more", () => {
  const of = scenario().stable("v0.9").stable("v1.0").stable("v1.1").rollsBack();
  of.marks("v0.9", "failed").fails("no answer");
  expect(of.state.lastRollback).toBeNull();
  expect(of.serving).toBe("v1.1");
});

test("a version never served that fails its verification leaves no candidate behind", () => {
  const of = scenario().registers("v0.9", { status: "stable" }).stable("v1.0").rollsBack();
  of.fails("no answer");
  expect(of.statuses).toBe("v1.0 stable, v0.9 rejected");
});

test("after a crash what is done again ends where it would have ended", () => {
  for (const make of [
    () => scenario().stable("v1.0").deploys("v1.1"),
    () => scenario().stable("v1.0").deploys("v1.1", { strategy: "canary" }).succeeds(),
    () => scenario().stable("v1.0").stable("v1.1").rollsBack(),
  ]) {
    const straight = make().settles();
    const again = make();
    // The effects are lost with the process; the stored state alone names what is left to do.
    again.state = JSON.parse(JSON.stringify(again.state)) as typeof again.state;
    expect(again.settles().state).toEqual(straight.state);
  }
});

test("the same events give the same states", () => {
  const { state, now } = scenario().stable("v1.0").canary("v1.1");
  const [first, second] = [1, 2].map(() =>
    transition(state, { type: "pause", operation: "o", actor: "a", reason: null, forMs: 5 }, now),
  );
  expect(first).toEqual(second);
});
