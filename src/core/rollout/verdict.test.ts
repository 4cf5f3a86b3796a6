/** A person's verdicts, and what bars or allows a deploy. */
import { expect, test } from "vitest";

import { signatureOf } from "../../../test/support/rollout-facts.ts";
import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { armsOf, contractOf } from "./state.ts";
import { transition } from "./transition.ts";

const HOUR = 3_600_000;

function rolledBack(): Scenario {
  return scenario().stable("v1.0").stable("v1.1").rollsBack().settles();
}

function goingBack(): Scenario {
  return scenario().stable("v0.9").stable("v1.0").stable("v1.1").rollsBack({ keepStatus: true });
}

test("mark failed of the target: the next one is told, or the rollout waits with an alarm", () => {
  const rich = scenario().stable("v0.9").stable("v1.0").baking("v1.1").marks("v1.0", "failed");
  expect(rich.outcome()).toMatchObject({ done: expect.stringContaining("it is v0.9 now") });
  expect(rich.alarms).toEqual([]);
  const poor = scenario().stable("v1.0").baking("v1.1").marks("v1.0", "failed");
  expect(poor.alarms).toEqual(["target.none"]);
  expect(poor.state.activity).toMatchObject({
    rollout: { pause: { by: "lastgood", until: null } },
  });
  expect(poor.later(48 * HOUR).later(48 * HOUR).phase).toBe("Baking");
  expect(poor.promotes().statuses, "a person may still decide").toBe("v1.0 failed, v1.1 stable");
});

test("mark failed of what serves: an alarm and the command to type, no traffic moves", () => {
  const of = scenario().stable("v1.0").stable("v1.1").marks("v1.1", "failed");
  expect(of.serving).toBe("v1.1");
  expect(of.alarms).toEqual(["revision.failed.serving"]);
  expect(of.outcome()).toMatchObject({ done: expect.stringContaining("`lastgood rollback") });
  expect(of.rollsBack().settles().serving).toBe("v1.0");
});

test("mark failed on the way back: of what is left it joins in, of where it goes it has to wait", () => {
  expect(goingBack().marks("v1.1", "failed").settles().statuses).toBe(
    "v0.9 stable, v1.0 stable, v1.1 failed",
  );
  expect(() => goingBack().marks("v1.0", "failed")).toThrowError(
    expect.objectContaining({ code: "rollout.phase" }),
  );
  expect(goingBack().marks("v0.9", "failed").settles().statuses, "of another: that one").toBe(
    "v0.9 failed, v1.0 stable, v1.1 stable",
  );
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

test("mark stable of what bakes ends no bake: promote does", () => {
  const of = scenario().stable("v1.0").baking("v1.1").marks("v1.1", "stable");
  expect(of.statuses).toBe("v1.0 stable, v1.1 provisional");
  expect(of.phase).toBe("Baking");
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
  of.goesWell(HOUR);
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

test("--replace in the middle of taking over leaves what never carried all traffic aborted", () => {
  const of = scenario()
    .stable("v1.0")
    .deploys("v1.1")
    .succeeds()
    .deploys("v1.2", { replace: true });
  expect(of.statuses).toBe("v1.0 stable, v1.1 aborted, v1.2 candidate");
  expect(armsOf(of.state)).toEqual([{ revision: 1, weight: 100 }]);
});

test("a provisional revision left by --replace is a target only where no stable one is", () => {
  const of = scenario().stable("v1.0").baking("v1.1").baking("v1.2", { replace: true });
  expect(of.choice().targets.map(({ version }) => version.name)).toEqual(["v1.0", "v1.1"]);
  of.corrupt.set(of.version("v1.0").digest, "gone");
  expect(of.choice().targets[0]).toMatchObject({
    why: "revision 2, never survived a bake",
  });
});

test("a version that failed elsewhere raises an alarm and moves nothing, in every phase", () => {
  const failed = {
    type: "failedElsewhere",
    sequence: 1,
    endpoint: "fraud-staging",
    reason: "bad",
  } as const;
  const rest = scenario().stable("v1.0");
  for (const of of [
    rest,
    scenario().stable("v1.0").canary("v1.1"),
    scenario().stable("v1.0").baking("v1.1"),
  ]) {
    const { state, effects, history } = transition(of.state, failed, 1);
    expect(state).toBe(of.state);
    expect(effects).toContainEqual(
      expect.objectContaining({ do: "alarm", code: "version.failed.elsewhere" }),
    );
    expect(history).toMatchObject([{ kind: "version.failed.elsewhere", reason: "bad" }]);
  }
  const unknown = transition(rest.state, { ...failed, sequence: 99 }, 1);
  expect(unknown).toMatchObject({ effects: [], history: [] });
});
