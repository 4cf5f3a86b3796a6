/** What the evidence of a rollout does to it. */
import { expect, test } from "vitest";

import { POLICY } from "../../../test/support/rollout-facts.ts";
import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import type { Policy, RolloutStep } from "../policy/index.ts";
import { armsOf, evidenceIdOf, bakeLeft, mirrorOf, rolloutOf } from "./state.ts";
import { waitsFor } from "./waits-for.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function canaryOf(steps: readonly RolloutStep[], policy: Partial<Policy> = {}): Policy {
  return { ...POLICY, rollout: { strategy: "canary", steps }, ...policy };
}

const TWO_STEPS: readonly RolloutStep[] = [
  { kind: "weight", percent: 10, until: { requests: 100, timeMs: MINUTE } },
  { kind: "weight", percent: 50, until: { requests: 500, timeMs: 2 * MINUTE } },
];

function started(policy: Policy): Scenario {
  return scenario().stable("v1.0").deploys("v1.1", { policy }).settles().assessed("continue");
}

function weights(of: Scenario): string {
  return armsOf(of.state)
    .map(({ revision, weight }) => `${revision}:${weight}`)
    .join(" ");
}

function kinds(of: Scenario): readonly string[] {
  return of.history.map((record) => record.kind);
}

test("a canary advances when both its requests and its time have come, and bakes with a holdback", () => {
  const of = started(canaryOf(TWO_STEPS));
  expect(weights(of)).toBe("1:90 2:10");
  of.requests = 99;
  of.later(MINUTE).assessed("continue");
  expect(weights(of), "a request is missing").toBe("1:90 2:10");
  of.requests = 100;
  of.assessed("continue").settles();
  expect(weights(of)).toBe("1:50 2:50");
  of.assessed("continue");
  of.requests = 10_000;
  of.later(2 * MINUTE - 1).assessed("continue");
  expect(weights(of), "a millisecond is missing").toBe("1:50 2:50");
  of.later(1).assessed("continue").settles();
  expect(of.phase).toBe("Baking");
  expect(weights(of)).toBe("1:5 2:95");
  expect(of.goesWell(HOUR).statuses).toBe("v1.0 stable, v1.1 stable");
  expect(weights(of)).toBe("2:100");
  expect(kinds(of).filter((kind) => kind.startsWith("rollout."))).toEqual([
    "rollout.started",
    "rollout.baking",
    "rollout.succeeded",
    "rollout.started",
    "rollout.weight.changed",
    "rollout.advanced",
    "rollout.weight.changed",
    "rollout.promoted",
    "rollout.baking",
    "rollout.succeeded",
  ]);
});

test("evidence against the candidate sends it back by itself, whoever waits is told, it is failed and kept", () => {
  for (const begin of [
    () => started(canaryOf(TWO_STEPS)),
    () => scenario().stable("v1.0").baking("v1.1"),
  ]) {
    const of = begin().assessed("rollback");
    expect(of.phase).toBe("RollingBack");
    expect(weights(of)).toBe("1:100");
    expect(of.history.at(-1)).toMatchObject({
      kind: "rollback.started",
      actor: "lastgood",
      reason: "the evidence says rollback",
      data: { trigger: "analysis", blamed: ["errorRate"], evidence: { id: "evidence" } },
    });
    of.settles();
    expect(of.statuses).toBe("v1.0 stable, v1.1 failed");
    expect(of.state.lastRollout).toMatchObject({ phase: "RolledBack" });
    expect(of.state.lastRollback).toMatchObject({ trigger: "analysis", actor: "lastgood" });
    expect(of.version("v1.1").status).toBe("failed");
  }
});

test("a verdict overtakes the switch to the next weight, and its waiter hears why", () => {
  const of = started(canaryOf(TWO_STEPS)).setsWeight(30);
  const operation = [...of.operations].at(-1);
  of.assessed("rollback").settles();
  expect(of.serving).toBe("v1.0");
  const heard = of.outcome(operation);
  expect(heard?.ok === false && heard.error.code).toBe("rollout.rolled-back");
});

test("a verdict about another rollout, or when nothing is under way, changes nothing", () => {
  const at = started(canaryOf(TWO_STEPS));
  const before = at.state;
  expect(at.assessed("rollback", { rolloutId: "another" }).state).toBe(before);
  const rest = scenario().stable("v1.0").stable("v1.1");
  const resting = rest.state;
  expect(rest.assessed("rollback").state).toBe(resting);
  const preparing = scenario().stable("v1.0").deploys("v1.1");
  const loading = preparing.state;
  expect(preparing.assessed("rollback").state).toBe(loading);
});

test("requests that come while it is held or paused from the first look on count for the step", () => {
  for (const stop of [
    (of: Scenario) => of.assessed("hold"),
    (of: Scenario) => of.pauses().assessed("continue").later(0).resumes(),
  ]) {
    const of = scenario()
      .stable("v1.0")
      .deploys("v1.1", { policy: canaryOf(TWO_STEPS) })
      .settles();
    stop(of);
    of.requests = 100;
    of.later(MINUTE).assessed("continue").assessed("continue").settles();
    expect(weights(of)).toBe("1:50 2:50");
  }
});

/** Why it waits for a person, and the likeliest command. */
function asked(of: Scenario): readonly unknown[] {
  const waits = waitsFor(of.state);
  return waits === null ? [] : [waits.why, waits.next[0]];
}

test("what only a person can give: a gate, a step by hand, a way back that is not gone by itself", () => {
  const onward = "lastgood rollout promote fraud-prod";
  const gated = started(
    canaryOf([
      { kind: "pause", forMs: MINUTE },
      { kind: "pause", forMs: null },
    ]),
  );
  expect(asked(gated), "a pause that ends by itself").toEqual([]);
  gated.later(MINUTE).assessed("continue").settles();
  expect(asked(gated)).toEqual([expect.stringMatching(/^step 2 of 2 is a pause/), onward]);
  const byHand = scenario().stable("v1.0").canary("v1.1", 25);
  expect(asked(byHand)).toEqual([expect.stringContaining("steered by hand"), onward]);
  expect(asked(byHand.setsWeight(30)), "its switch is on the way").toEqual([]);

  const manual = { rollback: { ...POLICY.rollback, automatic: false } };
  const forbidden = started(canaryOf(TWO_STEPS, manual));
  expect(asked(forbidden), "nothing speaks against it").toEqual([]);
  expect(asked(forbidden.assessed("rollback"))).toEqual([
    expect.stringContaining("automatic: false"),
    "lastgood rollback fraud-prod",
  ]);
  const pinned = scenario().stable("v1.0").baking("v1.1").pins(HOUR).assessed("rollback");
  expect(waitsFor(pinned.state)?.next).toContain("lastgood unpin fraud-prod");
  const nowhere = started(canaryOf(TWO_STEPS));
  nowhere.assessed("rollback", { choice: { targets: [], passedOver: [] } });
  expect(asked(nowhere)[1]).toContain("--replace");
  expect(asked(scenario().stable("v1.0"))).toEqual([]);
});

test("a hold stops the steps and the bake, is told once, and ends when the evidence says so", () => {
  const of = started(canaryOf(TWO_STEPS));
  of.requests = 1_000;
  of.later(HOUR).assessed("hold").assessed("hold");
  expect(weights(of)).toBe("1:90 2:10");
  expect(kinds(of).filter((kind) => kind === "rollout.held")).toHaveLength(1);
  of.assessed("continue").settles();
  expect(kinds(of)).toContain("rollout.released");
  expect(weights(of)).toBe("1:50 2:50");

  const baking = scenario().stable("v1.0").baking("v1.1").assessed("hold");
  expect(baking.later(2 * HOUR).phase, "a bake that is held does not end").toBe("Baking");
  expect(baking.assessed("continue").phase).toBe("Idle");
});

test("a bake ends by evidence of all of it: not by the clock, a look before its end, or one that heard of nothing", () => {
  const of = scenario().stable("v1.0").baking("v1.1");
  const before = of.now + HOUR - 1;
  expect(of.later(2 * HOUR).phase, "the clock alone").toBe("Baking");
  expect(of.assessed("continue", { seenUntil: before }).phase, "a look before").toBe("Baking");
  expect(of.assessed("continue", { seenUntil: null }).phase, "a deaf one").toBe("Baking");
  const bad = scenario()
    .stable("v1.0")
    .baking("v1.1")
    .later(2 * HOUR)
    .assessed("rollback");
  expect(bad.settles().statuses).toBe("v1.0 stable, v1.1 failed");
  expect(of.assessed("continue").statuses).toBe("v1.0 stable, v1.1 stable");
});

for (const source of ["broken", "outage", "silent"] as const)
  test(`the bake's clock stands while nothing is learned (${source})`, () => {
    const verdict = { decision: "hold" as const, why: "who knows", blamed: [], source };
    const of = scenario()
      .stable("v1.0")
      .baking("v1.1")
      .goesWell(20 * MINUTE);
    of.assessed("hold", { verdict })
      .later(5 * HOUR)
      .assessed("hold", { verdict });
    expect(bakeLeft(of.state.activity, of.now)).toBe(40 * MINUTE);
    expect(of.pauses().resumes().later(HOUR).phase).toBe("Baking");
    expect(bakeLeft(of.state.activity, of.now), "a pause sets it going no sooner").toBe(
      40 * MINUTE,
    );
    expect(of.assessed("continue").goesWell(40 * MINUTE - 1).phase).toBe("Baking");
    expect(of.goesWell(1).phase).toBe("Idle");
  });

const heldFor = (why: string, proposed: boolean) => ({
  verdict: {
    decision: "hold" as const,
    why,
    blamed: ["errorRate"],
    source: "ok" as const,
    proposed,
  },
});

test("what held it a little and is then enough for a person to decide by is told with its new reason", () => {
  const of = scenario().stable("v1.0").baking("v1.1").assessed("hold", heldFor("a little", false));
  of.later(MINUTE).assessed("hold", heldFor("nobody knows", true));
  of.assessed("hold", heldFor("nobody knows, once more", true));
  const told = of.history.filter(({ kind }) => kind === "rollout.held");
  expect(told.map(({ reason }) => reason)).toEqual(["a little", "nobody knows"]);
  expect(of.state.activity).toMatchObject({
    standing: { held: { why: "nobody knows", since: of.now - MINUTE } },
  });
});

test("a pause stops the clock of a step, never protection", () => {
  const of = started(canaryOf(TWO_STEPS));
  of.requests = 1_000;
  of.pauses().later(HOUR).assessed("continue");
  expect(weights(of)).toBe("1:90 2:10");
  of.resumes()
    .later(MINUTE - 1)
    .assessed("continue");
  expect(weights(of), "its time counts without the pause").toBe("1:90 2:10");
  of.pauses().assessed("rollback");
  expect(of.phase).toBe("RollingBack");
});

test("promoted early: past the steps, up to a gate that a person guards", () => {
  const early = started(canaryOf(TWO_STEPS)).assessed("promote").settles();
  expect(early.phase).toBe("Baking");
  const gated = started(
    canaryOf([...TWO_STEPS, { kind: "pause", forMs: null }, ...TWO_STEPS.slice(1)]),
  );
  gated.assessed("promote").settles().assessed("promote").later(HOUR).assessed("promote");
  expect(gated.state.activity).toMatchObject({ phase: "Progressing", step: { index: 2 } });
  expect(weights(gated)).toBe("1:90 2:10");
  gated.promotes().settles();
  expect(weights(gated)).toBe("1:50 2:50");
});

test("a canary steered by hand advances by hand only, and is watched all the same", () => {
  const of = scenario().stable("v1.0").canary("v1.1", 25).assessed("continue");
  of.requests = 1_000_000;
  of.later(HOUR).assessed("continue").assessed("promote");
  expect(weights(of)).toBe("1:75 2:25");
  expect(of.assessed("rollback").settles().statuses).toBe("v1.0 stable, v1.1 failed");
});

test("mirror steps leave all traffic where it was and count pairs; a blue/green bake mirrors back", () => {
  const steps: readonly RolloutStep[] = [
    { kind: "mirror", percent: 20, until: { requests: 50, timeMs: MINUTE } },
  ];
  const policy: Policy = {
    ...POLICY,
    rollout: { strategy: "blueGreen", steps, promotion: "automatic" },
  };
  const of = started(policy);
  expect(weights(of)).toBe("1:100");
  expect(mirrorOf(of.state)).toEqual({ of: 1, to: 2, percent: 20 });
  of.requests = 1_000;
  of.later(MINUTE).assessed("continue");
  expect(of.phase, "requests are no pairs").toBe("Progressing");
  of.pairs = 50;
  of.assessed("continue").settles();
  expect(of.phase).toBe("Baking");
  expect(weights(of)).toBe("2:100");
  expect(mirrorOf(of.state)).toEqual({ of: 2, to: 1, percent: 5 });
  expect(() => started(policy).setsWeight(20)).toThrowError(
    expect.objectContaining({ code: "rollout.weight" }),
  );
});

test("nothing is mirrored by a canary, by a first revision or where the policy holds nothing back", () => {
  const canary = started(canaryOf(TWO_STEPS));
  expect(mirrorOf(canary.state)).toBeNull();
  expect(mirrorOf(canary.promotes().settles().promotes().settles().state)).toBeNull();
  expect(canary.phase).toBe("Baking");
  expect(mirrorOf(scenario().baking("v1.0").state)).toBeNull();
  const nothing = scenario()
    .stable("v1.0")
    .baking("v1.1", { policy: { ...POLICY, holdback: 0 } });
  expect(mirrorOf(nothing.state)).toBeNull();
});

test("a timed pause ends by itself", () => {
  const of = started(canaryOf([{ kind: "pause", forMs: MINUTE }, ...TWO_STEPS]));
  expect(weights(of), "a gate before any traffic").toBe("1:100");
  of.later(MINUTE - 1).assessed("continue");
  expect(weights(of)).toBe("1:100");
  of.later(1).assessed("continue").settles();
  expect(weights(of)).toBe("1:90 2:10");
});

test("too little evidence for too long: an alarm at once and daily, or what the policy says", () => {
  const waiting = (action: "hold" | "rollback" | "promote"): Scenario =>
    started(
      canaryOf(TWO_STEPS, {
        analysis: { ...POLICY.analysis, inconclusive: { action, deadlineMs: 6 * HOUR } },
      }),
    )
      .later(MINUTE)
      .assessed("continue")
      .gets(1)
      .later(6 * HOUR - 1)
      .assessed("continue");
  const hold = waiting("hold");
  expect(hold.alarms).toEqual([]);
  hold.later(1).assessed("continue").later(HOUR).assessed("continue");
  expect(hold.alarms).toEqual(["rollout.undecided"]);
  expect(weights(hold)).toBe("1:90 2:10");
  hold.later(24 * HOUR).assessed("continue");
  expect(hold.alarms).toEqual(["rollout.undecided", "rollout.undecided"]);
  expect(hold.promotes().settles().phase, "a person may still decide").toBe("Progressing");
  const back = waiting("rollback").later(1).assessed("continue").settles();
  expect(back.statuses).toBe("v1.0 stable, v1.1 failed");
  const on = waiting("promote").later(1).assessed("continue").settles();
  expect(weights(on)).toBe("1:50 2:50");
});

test("no request at all promotes nothing, whatever the policy says", () => {
  const inconclusive = { action: "promote", deadlineMs: HOUR } as const;
  const policy = canaryOf(TWO_STEPS, { analysis: { ...POLICY.analysis, inconclusive } });
  const overdue = started(policy).goesWell(MINUTE).goesWell(HOUR);
  const verdict = {
    decision: "hold" as const,
    why: "no data",
    blamed: [],
    source: "silent" as const,
  };
  const silent = started(policy).assessed("hold", { verdict });
  silent.later(HOUR).assessed("hold", { verdict });
  for (const each of [overdue, silent]) {
    expect(weights(each)).toBe("1:90 2:10");
    expect(each.alarms.at(-1)).toBe("rollout.undecided");
  }
});

test("the time of a pause is none of what the policy's deadline counts", () => {
  const inconclusive = { action: "rollback", deadlineMs: 6 * HOUR } as const;
  const policy = canaryOf(TWO_STEPS, { analysis: { ...POLICY.analysis, inconclusive } });
  const held = started(policy).assessed("hold").later(HOUR).pauses();
  held
    .later(7 * HOUR)
    .resumes()
    .later(5 * HOUR - 1);
  expect(held.assessed("hold").phase, "a millisecond is missing").toBe("Progressing");
  expect(held.later(1).assessed("hold").phase).toBe("RollingBack");
  const whilePaused = started(policy)
    .pauses(2 * HOUR)
    .later(HOUR)
    .assessed("hold")
    .later(HOUR);
  whilePaused.later(6 * HOUR - 1);
  expect(whilePaused.assessed("hold").phase, "held in a pause that ended").toBe("Progressing");
  expect(whilePaused.later(1).assessed("hold").phase).toBe("RollingBack");
  const overdue = started(policy)
    .goesWell(MINUTE)
    .pauses()
    .later(7 * HOUR)
    .resumes();
  expect(overdue.goesWell(6 * HOUR - 1).phase).toBe("Progressing");
  expect(overdue.goesWell(1).phase).toBe("RollingBack");
});

for (const source of ["broken", "outage"] as const)
  for (const action of ["rollback", "promote"] as const)
    test(`undecided because of a source that is ${source}: a person is told, whatever the policy says (${action})`, () => {
      const inconclusive = { action, deadlineMs: 6 * HOUR };
      const of = started(canaryOf(TWO_STEPS, { analysis: { ...POLICY.analysis, inconclusive } }));
      const verdict = { decision: "hold" as const, why: "an outage", blamed: [], source };
      of.assessed("hold", { verdict })
        .later(6 * HOUR)
        .assessed("hold", { verdict });
      expect(of.alarms).toEqual([`rollout.${source}`, "rollout.undecided"]);
      expect(of.phase).toBe("Progressing");
      expect(weights(of)).toBe("1:90 2:10");
      expect(of.statuses).toBe("v1.0 stable, v1.1 candidate");
    });

for (const source of ["broken", "outage"] as const) {
  const mute = { decision: "hold" as const, why: "nobody can know", blamed: [], source };
  const inconclusive = { action: "promote", deadlineMs: 6 * HOUR } as const;
  const policy = canaryOf(TWO_STEPS, { analysis: { ...POLICY.analysis, inconclusive } });
  const promotesAfter = (of: Scenario, looks: () => Scenario): void => {
    looks();
    of.later(6 * HOUR - 1);
    expect(weights(looks()), "a millisecond is missing").toBe("1:90 2:10");
    of.later(1);
    expect(weights(looks().settles())).toBe("1:50 2:50");
  };

  test(`hours in which a source is ${source} are none of those that a hold may last`, () => {
    const of = started(policy).assessed("hold").later(HOUR);
    of.assessed("hold", { verdict: mute })
      .later(8 * HOUR)
      .assessed("hold", { verdict: mute });
    expect(of.alarms, "a person hears of it").toEqual([`rollout.${source}`, "rollout.undecided"]);
    promotesAfter(of, () => of.assessed("hold"));
  });

  test(`hours in which a source is ${source} are none of those that requests may take to come`, () => {
    const of = started(policy).later(MINUTE).assessed("continue").gets(1);
    of.assessed("hold", { verdict: mute })
      .later(8 * HOUR)
      .assessed("hold", { verdict: mute });
    expect(weights(of), "whatever the policy says").toBe("1:90 2:10");
    promotesAfter(of, () => of.assessed("continue"));
  });
}

test("what is undecided is not promoted while its switch is not verified", () => {
  const inconclusive = { action: "promote", deadlineMs: 1_000 } as const;
  const policy = { ...POLICY, analysis: { ...POLICY.analysis, inconclusive } };
  const of = scenario().stable("v1.0").deploys("v1.1", { policy });
  of.apply({ type: "prepared", rolloutId: rolloutOf(of.state)?.id ?? "" });
  of.assessed("hold").later(1_000).assessed("hold");
  expect(of.phase).toBe("Baking");
  expect(of.statuses, "its deploy is still waited for").toBe("v1.0 stable, v1.1 candidate");
  expect(of.settles().assessed("hold").later(1_000).assessed("hold").statuses).toBe(
    "v1.0 stable, v1.1 stable",
  );
});

test("pinned, forbidden, or with nowhere to go: it holds and tells a person", () => {
  const pinned = started(canaryOf(TWO_STEPS)).pins(HOUR).assessed("rollback").assessed("rollback");
  expect(pinned.phase).toBe("Progressing");
  expect(pinned.alarms).toEqual(["rollback.pinned"]);
  expect(pinned.later(HOUR).assessed("rollback").phase, "a pin ends").toBe("RollingBack");
  const untold = started(canaryOf(TWO_STEPS)).pins();
  untold.later(4 * HOUR - 1).assessed("rollback");
  expect(untold.phase, "four hours unless told otherwise").toBe("Progressing");
  expect(untold.later(1).assessed("rollback").phase).toBe("RollingBack");
  const unpinned = started(canaryOf(TWO_STEPS)).pins().unpins().assessed("rollback");
  expect(unpinned.phase).toBe("RollingBack");
  const byHand = started(
    canaryOf(TWO_STEPS, { rollback: { ...POLICY.rollback, automatic: false } }),
  ).assessed("rollback");
  expect(byHand.alarms).toEqual(["rollback.wanted"]);
  expect(byHand.rollsBack().settles().serving, "by hand it goes back").toBe("v1.0");
  const nowhere = started(canaryOf(TWO_STEPS));
  nowhere.assessed("rollback", { choice: { targets: [], passedOver: [] } });
  expect(nowhere.alarms).toEqual(["target.none"]);
});

test("an endpoint that went back by itself too often waits for a person", () => {
  const flapped = (): Scenario => {
    const of = scenario().stable("v1.0");
    for (const name of ["v1.1", "v1.2", "v1.3"])
      of.deploys(name, { policy: canaryOf(TWO_STEPS) })
        .settles()
        .assessed("rollback")
        .settles()
        .later(HOUR);
    return of;
  };
  const of = flapped();
  expect(() => of.deploys("v1.4")).toThrowError(
    expect.objectContaining({ code: "version.barred", hint: expect.stringContaining("--force") }),
  );
  expect(of.deploys("v1.4", { force: true }).phase).toBe("Preparing");
  expect(
    flapped()
      .later(24 * HOUR)
      .deploys("v1.4").phase,
    "it is forgotten",
  ).toBe("Preparing");
});

test("what a person took back is judged by new evidence", () => {
  const of = started(canaryOf(TWO_STEPS)).assessed("rollback").settles().reinstates().settles();
  expect(of.state.activity).toMatchObject({
    phase: "Progressing",
    rollout: { restarts: 1 },
    standing: { held: null },
  });
  const [first, second] = [started(canaryOf(TWO_STEPS)), of].map((each) => rolloutOf(each.state));
  if (!first || !second) throw new Error("both are under way");
  expect(evidenceIdOf(second)).not.toBe(evidenceIdOf(first));
});

test("after a rollback by itself the next rollout takes no step by itself until the cooldown is over", () => {
  const policy = canaryOf(TWO_STEPS);
  const of = started(policy).assessed("rollback").settles();
  of.requests = 0;
  of.deploys("v1.2", { policy }).settles().assessed("continue");
  of.requests = 1_000;
  of.later(5 * MINUTE)
    .assessed("continue")
    .assessed("promote");
  expect(weights(of)).toBe("1:90 3:10");
  expect(
    of
      .later(5 * MINUTE)
      .assessed("continue")
      .settles().phase,
  ).toBe("Progressing");
  expect(weights(of)).toBe("1:50 3:50");
  expect(of.assessed("rollback").phase, "protection has no cooldown").toBe("RollingBack");
});
