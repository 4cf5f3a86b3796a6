/** Ways back: rollback, abort, NoTarget, reinstate, what gateways did alone. */
import { expect, test } from "vitest";

import {
  MEASURED,
  scenario,
  signatureOf,
  type Scenario,
} from "../../../test/support/rollout-scenario.ts";
import { TYPED_TWICE_MS } from "./back.ts";
import { armsOf, contractOf } from "./state.ts";
import { pendingEffects, transition } from "./transition.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function rolledBack(): Scenario {
  return scenario().stable("v1.0").stable("v1.1").rollsBack().settles();
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

test("after ten minutes, with --again or with a named version, it is another rollback", () => {
  const make = (): Scenario =>
    scenario().stable("v0.9").stable("v1.0").stable("v1.1").rollsBack().settles();
  const late = make();
  late.now += TYPED_TWICE_MS;
  expect(late.rollsBack().settles().serving).toBe("v0.9");
  expect(make().rollsBack({ again: true }).settles().serving).toBe("v0.9");
  const of = make();
  expect(of.rollsBack({ named: true, choice: of.named("v0.9") }).settles().serving).toBe("v0.9");
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
    of.reinstates();
    arms.push(armsOf(of.state));
    of.settles();
    arms.push(armsOf(of.state));
    expect(arms, "not even on the way does it carry more than before").toEqual([
      armsOf(before),
      armsOf(before),
    ]);
    expect(of.state.revisions).toEqual(before.revisions);
    expect(of.state.activity).toEqual(
      before.activity.phase === "Baking"
        ? { ...before.activity, remainingMs: 40 * MINUTE, runningSince: of.now }
        : before.activity,
    );
    expect(of.state.current).toBe(before.current);
    expect(of.versions.map((version) => version.status)).toEqual(
      versions.map((version) => version.status),
    );
    expect(of.outcome()).toMatchObject({ did: "returned", record: { kind: "reinstate" } });
  });

test("reinstate of a rollback that overtook the last switch lets the bake begin", () => {
  const of = scenario().stable("v1.0").deploys("v1.1").succeeds().rollsBack().settles();
  of.reinstates().settles();
  expect(of.phase).toBe("Baking");
  expect(of.statuses).toBe("v1.0 stable, v1.1 provisional");
  expect(of.later(HOUR).statuses).toBe("v1.0 stable, v1.1 stable");
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

const OVERRIDDEN: Record<string, { make: () => Scenario; from: number; to: number; then: string }> =
  {
    "at rest": {
      make: () => scenario().stable("v1.0").stable("v1.1"),
      from: 2,
      to: 1,
      then: "v1.0 stable, v1.1 failed",
    },
    preparing: {
      make: () => scenario().stable("v1.0").stable("v1.1").deploys("v1.2"),
      from: 2,
      to: 1,
      then: "v1.0 stable, v1.1 failed, v1.2 aborted",
    },
    "in a canary": {
      make: () => scenario().stable("v1.0").canary("v1.1"),
      from: 2,
      to: 1,
      then: "v1.0 stable, v1.1 failed",
    },
    baking: {
      make: () => scenario().stable("v1.0").baking("v1.1"),
      from: 2,
      to: 1,
      then: "v1.0 stable, v1.1 failed",
    },
    "taking over": {
      make: () => scenario().stable("v1.0").deploys("v1.1").succeeds(),
      from: 2,
      to: 1,
      then: "v1.0 stable, v1.1 failed",
    },
    "rolling back the same way": {
      make: () => scenario().stable("v1.0").stable("v1.1").rollsBack(),
      from: 2,
      to: 1,
      then: "v1.0 stable, v1.1 failed",
    },
    "rolling back, and going further": {
      make: () => scenario().stable("v1.0").stable("v1.1").stable("v1.2").rollsBack(),
      from: 2,
      to: 1,
      then: "v1.0 stable, v1.1 failed, v1.2 failed",
    },
  };

for (const [what, { make, from, to, then }] of Object.entries(OVERRIDDEN))
  test(`what a gateway did alone wins ${what}, and is in history once`, () => {
    const of = make();
    const started = of.history.length;
    of.overridden(from, to, { id: "alone" });
    expect(of.phase).toBe("Idle");
    expect(of.state.current).toBe(to);
    expect(of.statuses).toBe(then);
    expect(of.state.lastRollback).toMatchObject({ id: "alone", via: "gateway", from, to });
    const after = of.state;
    of.overridden(from, to, { id: "alone" });
    expect(of.state, "I9: told twice is once").toBe(after);
    expect(of.effects).toEqual([{ do: "publish" }]);
    expect(of.history.slice(started)).toMatchObject([{ kind: "rollback.completed", key: "alone" }]);
    expect(of.state.acknowledged).toEqual(["alone"]);
    expect(pendingEffects(of.state)).toEqual([{ do: "publish" }]);
  });

test("who waited for the way a gateway went alone hears that it is there", () => {
  const of = scenario().stable("v1.0").stable("v1.1").rollsBack();
  expect(of.overridden(2, 1).outcome()).toMatchObject({ did: "returned", record: { to: 1 } });
  const other = scenario().stable("v1.0").deploys("v1.1").succeeds();
  expect(other.overridden(2, 1).outcome()).toMatchObject({ error: { code: "rollout.superseded" } });
});

test("an override that keeps statuses leaves no candidate behind", () => {
  const of = scenario().stable("v1.0").canary("v1.1").overridden(2, 1, { keepStatus: true });
  expect(of.statuses).toBe("v1.0 stable, v1.1 aborted");
  expect(of.version("v1.1").status).toBe("pending");
});

test("what a gateway did alone can be reinstated, even when both planes did it", () => {
  const of = scenario().stable("v1.0").stable("v1.1").rollsBack().settles().overridden(2, 1);
  of.reinstates().settles();
  expect(of.statuses).toBe("v1.0 stable, v1.1 stable");
  expect(of.serving).toBe("v1.1");
});

test("an override of revisions that the store does not know raises an alarm and is acknowledged", () => {
  const of = scenario().stable("v1.0").overridden(7, 8, { id: "strange" });
  expect(of.alarms).toEqual(["override.unknown"]);
  expect(of.state).toMatchObject({ current: 1, acknowledged: ["strange"] });
});

test("only the newest 32 overrides are remembered", () => {
  const of = scenario().stable("v1.0").stable("v1.1");
  for (let index = 0; index < 40; index += 1)
    of.overridden(index % 2 === 0 ? 2 : 1, index % 2 === 0 ? 1 : 2, { id: `o${index}` });
  expect(of.state.acknowledged).toHaveLength(32);
  expect(of.state.acknowledged.at(-1)).toBe("o39");
});

test("mark failed of the target: the next one is told, or the rollout waits with an alarm", () => {
  const rich = scenario().stable("v0.9").stable("v1.0").baking("v1.1").marks("v1.0", "failed");
  expect(rich.outcome()).toMatchObject({ done: expect.stringContaining("it is v0.9 now") });
  expect(rich.alarms).toEqual([]);
  const poor = scenario().stable("v1.0").baking("v1.1").marks("v1.0", "failed");
  expect(poor.alarms).toEqual(["target.none"]);
  expect(poor.state.activity).toMatchObject({
    rollout: { pause: { by: "lastgood", until: null } },
  });
  expect(poor.later(48 * HOUR).phase).toBe("Baking");
  expect(poor.promotes().statuses, "a person may still decide").toBe("v1.0 failed, v1.1 stable");
});

test("mark failed of what serves: an alarm and the command to type, no traffic moves", () => {
  const of = scenario().stable("v1.0").stable("v1.1").marks("v1.1", "failed");
  expect(of.serving).toBe("v1.1");
  expect(of.alarms).toEqual(["revision.failed.serving"]);
  expect(of.outcome()).toMatchObject({ done: expect.stringContaining("`lastgood rollback") });
  expect(of.rollsBack().settles().serving).toBe("v1.0");
});

test("mark stable and pending take a verdict back", () => {
  const stable = rolledBack().marks("v1.1", "stable");
  expect(stable.statuses).toBe("v1.0 stable, v1.1 stable");
  const pending = rolledBack().marks("v1.1", "pending");
  expect(pending.statuses).toBe("v1.0 stable, v1.1 provisional");
  const canary = scenario().stable("v1.0").canary("v1.1").rollsBack().settles();
  expect(canary.marks("v1.1", "pending").statuses, "it never carried all traffic").toBe(
    "v1.0 stable, v1.1 aborted",
  );
});

test("mark stable makes a provisional revision stable that nothing rolls out any more", () => {
  const of = scenario().stable("v1.0").baking("v1.1").deploys("v1.2", { replace: true });
  of.fails("broken", "preflight.rejected").marks("v1.1", "stable");
  expect(of.statuses).toBe("v1.0 stable, v1.1 stable, v1.2 rejected");
});

test("a version that no revision is of is none of the endpoint's business", () => {
  const of = scenario().stable("v1.0");
  const before = of.state;
  expect(of.marks("v9.9", "failed").state).toBe(before);
  expect(of.outcome()).toMatchObject({ did: "steered", done: "" });
});

test("--force over another signature: no canary, its own contract, and the old one comes back", () => {
  const of = scenario().registers("v0.9", { status: "stable" }).stable("v1.0");
  of.registers("v2.0", { signature: signatureOf("FP64") });
  expect(() => of.deploys("v2.0")).toThrowError(
    expect.objectContaining({ code: "preflight.rejected" }),
  );
  expect(() => of.deploys("v2.0", { force: true, strategy: "canary" })).toThrowError(
    expect.objectContaining({ code: "signature.mismatch" }),
  );
  of.baking("v2.0", { force: true });
  expect(contractOf(of.state), "until it is stable the promise stands").toEqual(signatureOf());
  expect(of.choice().targets.map((target) => target.version.name)).toEqual(["v1.0", "v0.9"]);
  of.later(HOUR);
  expect(contractOf(of.state)).toEqual(signatureOf("FP64"));
  expect(of.choice()).toEqual({
    targets: [],
    passedOver: [
      { version: "v1.0", why: "signature: input amount became FP32 (was FP64)" },
      { version: "v0.9", why: "signature: input amount became FP32 (was FP64)" },
    ],
  });
  of.rollsBack({ named: true, choice: of.named("v1.0") }).settles();
  expect(contractOf(of.state)).toEqual(signatureOf());
});

test("a forced contract that never became stable bars no way back, even after --replace", () => {
  const of = scenario()
    .stable("v1.0")
    .registers("v2.0", { signature: signatureOf("FP64") });
  of.baking("v2.0", { force: true }).deploys("v2.1", { replace: true });
  of.fails("broken", "preflight.rejected");
  expect(of.statuses).toBe("v1.0 stable, v2.0 provisional, v2.1 rejected");
  expect(of.rollsBack().settles().serving).toBe("v1.0");
});

test("over a stable revision no rollout starts without a proven way back", () => {
  const wayBack = { proven: false, why: "model.onnx does not match its digest" } as const;
  expect(() => scenario().stable("v1.0").deploys("v1.1", { wayBack })).toThrowError(
    expect.objectContaining({
      code: "target.unproven",
      message: expect.stringContaining("digest"),
    }),
  );
  const failed = scenario().stable("v1.0").marks("v1.0", "failed");
  expect(failed.deploys("v1.1", { wayBack }).lastHistory.at(-1)?.data).toMatchObject({
    wayBack: wayBack.why,
  });
});

test("a deploy that --replace would have made room for and is refused leaves the rollout alone", () => {
  const of = rolledBack().canary("v1.2");
  const before = of.state;
  expect(() => of.deploys("v1.1", { replace: true })).toThrowError(
    expect.objectContaining({ code: "version.barred" }),
  );
  expect(of.state).toBe(before);
});

test("a provisional revision left by --replace is a target only where no stable one is", () => {
  const of = scenario().stable("v1.0").baking("v1.1").baking("v1.2", { replace: true });
  expect(of.choice().targets.map(({ version }) => version.name)).toEqual(["v1.0", "v1.1"]);
  of.corrupt.set(of.version("v1.0").digest, "gone");
  expect(of.choice().targets[0]).toMatchObject({
    why: "revision 2, never survived a bake",
  });
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
