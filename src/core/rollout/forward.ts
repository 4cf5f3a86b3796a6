import type { Revision } from "../endpoint/index.ts";
import { LastgoodError } from "../errors/index.ts";
import { versionLabel, contractDifferences } from "../version/index.ts";
import { beginReturn } from "./back.ts";
import type { Effect, HistoryRecord } from "./effect.ts";
import type { Deploy } from "./event.ts";
import {
  bakeLeft,
  contractOf,
  revisionOf,
  rolloutOf,
  type Activity,
  type EndpointState,
  type Measured,
  type Rollout,
} from "./state.ts";
import {
  amended,
  doing,
  ended,
  ignored,
  judged,
  label,
  refuse,
  revisionFacts,
  settle,
  step,
  type EventOf,
  type StateIn,
  type Step,
} from "./step.ts";

/** Bake of a rollout whose command names none, ms. */
export const DEFAULT_BAKE_MS = 3_600_000;
/** First canary weight of a rollout whose command names none, percent. */
export const DEFAULT_CANARY_WEIGHT = 10;

function sameContent(revision: Revision | undefined, event: Deploy): boolean {
  return (
    revision !== undefined &&
    revision.digest === event.digest &&
    revision.version.sequence === event.version.sequence &&
    JSON.stringify(revision.runtime) === JSON.stringify(event.runtime)
  );
}

/** @throws `rollout.weight` unless it is a whole or broken percentage between 1 and 99. */
export function checkWeight(weight: number): number {
  if (weight >= 1 && weight <= 99) return weight;
  return refuse("rollout.weight", `a weight of ${weight} % is not a share of the traffic`, {
    hint: "1 to 99 is accepted; 0 is what `rollout abort` does, 100 what `rollout promote --full` does, and `rollout pause` stops advancing",
  });
}

function checkDeploy(state: EndpointState, event: Deploy): void {
  const name = versionLabel(event.version);
  if (event.barred !== null && !event.force)
    refuse("version.barred", `${name} is barred: ${event.barred}`, {
      hint: `deploy another version, or insist with --force; \`lastgood mark ${event.version.model} ${name} stable --reason …\` takes the verdict back`,
    });
  const contract = contractOf(state);
  const differences = contract === null ? [] : contractDifferences(event.signature, contract);
  if (differences.length > 0 && !event.force)
    refuse(
      "preflight.rejected",
      `${name} cannot take the requests of ${state.identity.name}: ${differences.join("; ")}`,
      {
        hint: "fix the model, deploy it to an endpoint of its own with --to, or change the contract on purpose with --force --strategy blueGreen",
        details: { differences },
      },
    );
  if (differences.length > 0 && event.strategy === "canary")
    refuse(
      "signature.mismatch",
      `a canary of ${name} would need callers that speak both signatures: ${differences.join("; ")}`,
      { hint: "use --strategy blueGreen or recreate for a deliberate change of the contract" },
    );
  const current = revisionOf(state, state.current);
  if (current?.status === "stable" && !event.wayBack.proven)
    refuse("target.unproven", `there would be no proven way back: ${event.wayBack.why}`, {
      hint: "`lastgood doctor` shows what is wrong with it; no rollout starts over a stable revision without a proven target",
    });
}

function newRollout(
  state: EndpointState,
  event: Deploy,
  from: number | null,
  now: number,
): Rollout {
  const first = from === null;
  return {
    id: event.rolloutId,
    strategy: first ? "blueGreen" : event.strategy,
    from,
    candidate: Math.max(0, ...state.revisions.map((revision) => revision.revision)) + 1,
    weight: event.strategy === "canary" ? checkWeight(event.weight ?? DEFAULT_CANARY_WEIGHT) : 100,
    bakeMs: event.bakeMs ?? (first ? 0 : DEFAULT_BAKE_MS),
    startedAt: now,
    actor: event.actor,
    reason: event.reason,
    pause: null,
  };
}

function start(state: EndpointState, event: Deploy, now: number): Step {
  const from = state.current;
  if (from !== null && event.weight !== null && event.strategy !== "canary")
    refuse("rollout.weight", `--weight goes with --strategy canary, not ${event.strategy}`);
  checkDeploy(state, event);
  const rollout = newRollout(state, event, from, now);
  const before = revisionOf(state, from);
  const revision: Revision = {
    revision: rollout.candidate,
    version: event.version,
    digest: event.digest,
    runtime: event.runtime,
    signature: event.signature,
    changedVersion: before?.version.sequence !== event.version.sequence,
    status: "candidate",
    reason: null,
    createdAt: now,
    carriedAllAt: null,
    stableAt: null,
  };
  const recreate = rollout.strategy === "recreate" && from !== null;
  const activity: Activity = recreate
    ? takeover(rollout, { id: `${rollout.id}:0`, operation: event.operation, done: null })
    : { phase: "Preparing", rollout, operation: event.operation };
  const next = doing({ ...state, revisions: [...state.revisions, revision] }, activity);
  const effect: Effect = recreate
    ? { do: "switch", switchId: `${rollout.id}:0`, verify: rollout.candidate }
    : { do: "prepare", rolloutId: rollout.id, revision: rollout.candidate };
  return step(
    next,
    [effect],
    [
      {
        kind: "rollout.started",
        actor: event.actor,
        reason: event.reason,
        data: {
          rollout: rollout.id,
          strategy: rollout.strategy,
          from: revisionFacts(state, from),
          to: revisionFacts(next, rollout.candidate),
          bakeMs: rollout.bakeMs,
          forced: event.force,
          wayBack: event.wayBack.proven ? null : event.wayBack.why,
        },
      },
    ],
  );
}

function takeover(
  rollout: Rollout,
  switching: Extract<Activity, { phase: "Baking" }>["switching"],
): Activity {
  return {
    phase: "Baking",
    rollout,
    remainingMs: rollout.bakeMs,
    runningSince: null,
    switching,
  };
}

/** deploy on an endpoint at rest. */
export function deployAtRest(state: StateIn<"Idle">, event: Deploy, now: number): Step {
  if (sameContent(revisionOf(state, state.current), event))
    return step(
      state,
      settle(event.operation, { ok: true, did: "unchanged", rollout: null, measured: null }),
    );
  return start(state, event, now);
}

/** deploy while a rollout is under way: the same content is no news, other content needs `replace`. */
export function deployDuring(
  state: StateIn<"Preparing"> | StateIn<"Progressing"> | StateIn<"Baking">,
  event: Deploy,
  now: number,
): Step {
  const { rollout, phase } = state.activity;
  if (sameContent(revisionOf(state, rollout.candidate), event))
    return step(
      state,
      settle(event.operation, { ok: true, did: "unchanged", rollout, measured: null }),
    );
  if (!event.replace)
    refuse(
      "rollout.in-progress",
      `${state.identity.name} is in the middle of a rollout to ${label(state, rollout.candidate)} (${phase})`,
      {
        hint: "wait for it, end it with `lastgood rollout promote`, `rollout abort` or `rollback`, or add --replace",
      },
    );
  const carriedAll = phase === "Baking" && state.current === rollout.candidate;
  const left = judged(
    state,
    rollout.candidate,
    carriedAll ? "provisional" : "aborted",
    carriedAll ? null : "replaced before it carried all traffic",
  );
  const resting = ended(left, rollout, { phase: "Aborted", reason: "replaced", now });
  const started = start(resting, event, now);
  const waiting = waitingOperation(state.activity);
  return {
    ...started,
    effects: [
      ...settle(waiting, {
        ok: false,
        error: new LastgoodError("rollout.superseded", "another deploy replaced this rollout"),
      }),
      ...started.effects,
    ],
    history: [
      {
        kind: "rollout.aborted",
        actor: event.actor,
        reason: "replaced",
        data: { rollout: rollout.id, to: revisionFacts(state, rollout.candidate), carriedAll },
      },
      ...started.history,
    ],
  };
}

/** Who waits for what is under way, or null. */
export function waitingOperation(activity: Activity): string | null {
  switch (activity.phase) {
    case "Idle":
      return null;
    case "Preparing":
      return activity.operation;
    case "Progressing":
    case "Baking":
      return activity.switching?.operation ?? null;
    case "RollingBack":
      return activity.back.operation;
  }
}

/** The candidate is loaded and proven: it gets what was asked. */
export function prepared(state: StateIn<"Preparing">, event: EventOf<"prepared">): Step {
  const { rollout, operation } = state.activity;
  if (event.rolloutId !== rollout.id) return ignored(state);
  const switching = { id: `${rollout.id}:${state.changes}`, operation, done: null };
  const activity: Activity =
    rollout.strategy === "canary"
      ? { phase: "Progressing", rollout, weight: rollout.weight, switching }
      : takeover(rollout, switching);
  return step(doing(state, activity), [
    { do: "switch", switchId: switching.id, verify: rollout.candidate },
  ]);
}

/** The candidate did not load or its samples did not agree: it never had traffic. */
export function preparationFailed(
  state: StateIn<"Preparing">,
  event: EventOf<"preparationFailed">,
  now: number,
): Step {
  const { rollout, operation } = state.activity;
  if (event.rolloutId !== rollout.id) return ignored(state);
  const why = event.error.message;
  const next = ended(judged(state, rollout.candidate, "rejected", why), rollout, {
    phase: "Rejected",
    reason: why,
    now,
  });
  const error = new LastgoodError(
    "preflight.rejected",
    `${label(state, rollout.candidate)} did not pass preflight: ${why}`,
    { hint: event.error.hint, details: { cause: event.error.code } },
  );
  return step(
    next,
    [{ do: "publish" }, ...settle(operation, { ok: false, error })],
    [
      {
        kind: "rollout.rejected",
        actor: "lastgood",
        reason: why,
        data: { rollout: rollout.id, to: revisionFacts(state, rollout.candidate) },
      },
    ],
  );
}

function switchReport(
  state: EndpointState,
  rollout: Rollout,
  measured: Measured,
): Readonly<Record<string, unknown>> {
  return { rollout: rollout.id, to: revisionFacts(state, rollout.candidate), ...measured };
}

function answer(
  switching: { readonly operation: string | null; readonly done: string | null },
  rollout: Rollout,
  measured: Measured,
): readonly Effect[] {
  return settle(
    switching.operation,
    switching.done === null
      ? { ok: true, did: "deployed", rollout, measured }
      : { ok: true, did: "steered", done: switching.done },
  );
}

/** The canary carries its share, verified. */
export function progressed(state: StateIn<"Progressing">, event: EventOf<"switched">): Step {
  const { rollout, switching, weight } = state.activity;
  if (switching?.id !== event.switchId) return ignored(state);
  const next = doing(state, { ...state.activity, switching: null });
  return step(next, answer(switching, rollout, event.measured), [
    {
      kind: "rollout.weight.changed",
      actor: rollout.actor,
      reason: null,
      data: { ...switchReport(state, rollout, event.measured), weight },
    },
  ]);
}

/** The candidate carries all traffic, verified: the bake begins, or is over where it has none. */
export function tookOver(state: StateIn<"Baking">, event: EventOf<"switched">, now: number): Step {
  const { rollout, switching } = state.activity;
  if (switching?.id !== event.switchId) return ignored(state);
  const carried = amended(
    judged(state, rollout.candidate, "provisional", null),
    rollout.candidate,
    {
      carriedAllAt: now,
    },
  );
  const baking = doing(
    { ...carried, current: rollout.candidate },
    {
      ...state.activity,
      switching: null,
      runningSince: rollout.pause === null ? now : null,
    },
  );
  const record: HistoryRecord = {
    kind: "rollout.baking",
    actor: rollout.actor,
    reason: null,
    data: { ...switchReport(state, rollout, event.measured), bakeMs: rollout.bakeMs },
  };
  const told = answer(switching, rollout, event.measured);
  if (rollout.bakeMs > 0) return step(baking, told, [record]);
  const done = succeed(baking, rollout, { actor: rollout.actor, reason: null, now });
  return {
    state: done.state,
    effects: [...done.effects, ...told],
    history: [record, ...done.history],
  };
}

/** The bake is over: the candidate is stable. */
export function succeed(
  state: EndpointState,
  rollout: Rollout,
  by: { readonly actor: string; readonly reason: string | null; readonly now: number },
): Step {
  const stable = amended(judged(state, rollout.candidate, "stable", by.reason), rollout.candidate, {
    stableAt: by.now,
  });
  const revision = revisionOf(stable, rollout.candidate);
  const next = {
    ...ended(stable, rollout, { phase: "Succeeded", reason: by.reason, now: by.now }),
    current: rollout.candidate,
    alarms: [],
  };
  return step(
    next,
    [
      {
        do: "judge",
        sequence: revision?.version.sequence ?? 0,
        status: "stable",
        reason: `revision ${rollout.candidate} of ${state.identity.name} became stable`,
      },
      { do: "publish" },
    ],
    [
      {
        kind: "rollout.succeeded",
        actor: by.actor,
        reason: by.reason,
        data: { rollout: rollout.id, to: revisionFacts(next, rollout.candidate) },
      },
    ],
  );
}

/** A way forward could not be verified: back to what served before, or to nothing where nothing did. */
export function forwardFailed(
  state: StateIn<"Progressing"> | StateIn<"Baking">,
  event: EventOf<"switchFailed">,
  now: number,
): Step {
  const { rollout, switching } = state.activity;
  if (switching?.id !== event.switchId) return ignored(state);
  if (rollout.from === null || event.choice.targets.length === 0) {
    const next = {
      ...ended(judged(state, rollout.candidate, "rejected", event.error.message), rollout, {
        phase: "Rejected",
        reason: event.error.message,
        now,
      }),
      current: rollout.from,
    };
    return step(
      next,
      [{ do: "publish" }, ...settle(switching.operation, { ok: false, error: event.error })],
      [
        {
          kind: "rollout.rejected",
          actor: "lastgood",
          reason: event.error.message,
          data: { rollout: rollout.id, to: revisionFacts(state, rollout.candidate) },
        },
      ],
    );
  }
  return beginReturn(state, {
    id: `${rollout.id}:revert`,
    kind: "revert",
    operation: switching.operation,
    choice: event.choice,
    trigger: "health",
    actor: "lastgood",
    reason: event.error.message,
    keepStatus: false,
    failure: event.error.toBody(),
    now,
  });
}

/** set-weight in a canary. */
export function setWeight(state: StateIn<"Progressing">, event: EventOf<"setWeight">): Step {
  const { rollout } = state.activity;
  const weight = checkWeight(event.weight);
  notWhileSwitching(state);
  const switching = {
    id: `${rollout.id}:${state.changes}`,
    operation: event.operation,
    done: `${label(state, rollout.candidate)} carries ${weight} % of the traffic`,
  };
  return step(doing(state, { ...state.activity, weight, switching }), [
    { do: "switch", switchId: switching.id, verify: rollout.candidate },
  ]);
}

function notWhileSwitching(state: StateIn<"Progressing"> | StateIn<"Baking">): void {
  if (state.activity.switching !== null)
    refuse("rollout.phase", `${state.identity.name} is switching right now`, {
      hint: "it takes milliseconds: type the command again",
    });
}

/** promote in a canary: the steps by hand have one weight, so the next step is all traffic. */
export function promoteCanary(state: StateIn<"Progressing">, event: EventOf<"promote">): Step {
  const { rollout } = state.activity;
  notWhileSwitching(state);
  const switching = {
    id: `${rollout.id}:${state.changes}`,
    operation: event.operation,
    done: `${label(state, rollout.candidate)} carries all traffic`,
  };
  return step(
    doing(state, takeover(rollout, switching)),
    [{ do: "switch", switchId: switching.id, verify: rollout.candidate }],
    [
      {
        kind: "rollout.promoted",
        actor: event.actor,
        reason: event.reason,
        data: { rollout: rollout.id, to: revisionFacts(state, rollout.candidate) },
      },
    ],
  );
}

/** promote during the bake ends it. */
export function promoteBaking(
  state: StateIn<"Baking">,
  event: EventOf<"promote">,
  now: number,
): Step {
  notWhileSwitching(state);
  const { rollout } = state.activity;
  const done = succeed(state, rollout, { actor: event.actor, reason: event.reason, now });
  return {
    ...done,
    effects: [
      ...done.effects,
      ...settle(event.operation, {
        ok: true,
        did: "steered",
        done: `the bake of ${label(state, rollout.candidate)} is over: it is stable`,
      }),
    ],
  };
}

/** promote at rest: fine when there is nothing left to promote. */
export function promoteAtRest(state: StateIn<"Idle">, event: EventOf<"promote">): Step {
  const current = revisionOf(state, state.current);
  if (current?.status === "stable")
    return step(
      state,
      settle(event.operation, {
        ok: true,
        did: "steered",
        done: `${versionLabel(current.version)} is already stable`,
      }),
    );
  return refuse("rollout.none", `no rollout is under way at ${state.identity.name}`, {
    hint: "start one with `lastgood deploy`",
  });
}

/** pause: stops the clock, never protection; ends by itself after 24 h unless told otherwise. */
export function pause(
  state: StateIn<"Progressing"> | StateIn<"Baking">,
  event: EventOf<"pause">,
  now: number,
): Step {
  const forMs = event.forMs ?? 24 * 3_600_000;
  const rollout: Rollout = {
    ...state.activity.rollout,
    pause: { by: event.actor, why: event.reason, since: now, until: now + forMs },
  };
  return steered(state, rollout, event, {
    kind: "rollout.paused",
    done: "the rollout is paused",
    now,
  });
}

/** resume: the clock runs again. */
export function resume(
  state: StateIn<"Progressing"> | StateIn<"Baking">,
  event: EventOf<"resume">,
  now: number,
): Step {
  const rollout: Rollout = { ...state.activity.rollout, pause: null };
  return steered(state, rollout, event, {
    kind: "rollout.resumed",
    done: "the rollout goes on",
    now,
  });
}

function withClock(state: EndpointState, rollout: Rollout, now: number): Activity {
  const { activity } = state;
  if (activity.phase === "Progressing") return { ...activity, rollout };
  if (activity.phase !== "Baking") return activity;
  const stands = rollout.pause !== null || activity.switching !== null;
  return {
    ...activity,
    rollout,
    remainingMs: bakeLeft(activity, now) ?? rollout.bakeMs,
    runningSince: stands ? null : now,
  };
}

function steered(
  state: EndpointState,
  rollout: Rollout,
  event: { readonly operation: string; readonly actor: string; readonly reason: string | null },
  as: { readonly kind: string; readonly done: string; readonly now: number },
): Step {
  return step(
    doing(state, withClock(state, rollout, as.now)),
    settle(event.operation, { ok: true, did: "steered", done: as.done }),
    [
      {
        kind: as.kind,
        actor: event.actor,
        reason: event.reason,
        data: { rollout: rollout.id, until: rollout.pause?.until ?? null },
      },
    ],
  );
}

/** The clock went on: pauses end, bakes end. */
export function tick(state: EndpointState, now: number): Step {
  const rollout = rolloutOf(state);
  const { activity } = state;
  if (rollout === null || (activity.phase !== "Progressing" && activity.phase !== "Baking"))
    return ignored(state);
  if (rollout.pause !== null) {
    if (rollout.pause.until === null || now < rollout.pause.until) return ignored(state);
    const going: Rollout = { ...rollout, pause: null };
    return step(
      doing(state, withClock(state, going, now)),
      [],
      [
        {
          kind: "rollout.resumed",
          actor: "lastgood",
          reason: "the pause was over",
          data: { rollout: rollout.id },
        },
      ],
    );
  }
  if (activity.phase === "Baking" && activity.switching === null && bakeLeft(activity, now) === 0)
    return succeed(state, rollout, { actor: "lastgood", reason: null, now });
  return ignored(state);
}
