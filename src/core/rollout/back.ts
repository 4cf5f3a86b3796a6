import type { Revision, Trigger } from "../endpoint/index.ts";
import { LastgoodError, type ErrorBody } from "../errors/index.ts";
import type { Target, TargetChoice } from "../target/index.ts";
import { versionLabel } from "../version/index.ts";
import type { Effect, HistoryRecord } from "./effect.ts";
import {
  leavingRevision,
  revisionOf,
  rolloutOf,
  type Activity,
  type BeforeReturn,
  type EndPhase,
  type EndpointState,
  type Measured,
  type Return,
  type RollbackRecord,
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

/** A rollback typed again within this time, without a version, is the same one, ms. */
export const TYPED_TWICE_MS = 600_000;

/** What starts a way back. */
export interface BeginReturn {
  readonly id: string;
  readonly kind: Return["kind"];
  readonly operation: string | null;
  readonly choice: TargetChoice;
  readonly trigger: Trigger;
  readonly actor: string;
  readonly reason: string | null;
  readonly keepStatus: boolean;
  readonly failure: ErrorBody | null;
  readonly now: number;
}

/** The target with a revision number, which a version this endpoint never served gets now. */
function numbered(
  state: EndpointState,
  target: Target,
  now: number,
): { readonly state: EndpointState; readonly target: Target } {
  if (target.revision !== null) return { state, target };
  const number = Math.max(0, ...state.revisions.map((revision) => revision.revision)) + 1;
  const revision: Revision = {
    revision: number,
    version: {
      model: state.identity.model,
      name: target.version.name,
      sequence: target.version.sequence,
    },
    digest: target.version.digest,
    runtime: target.version.runtime,
    signature: target.version.signature,
    changedVersion: true,
    status: "candidate",
    reason: null,
    createdAt: now,
    carriedAllAt: null,
    stableAt: null,
  };
  return {
    state: { ...state, revisions: [...state.revisions, revision] },
    target: { ...target, revision: number },
  };
}

/** Puts the endpoint on its way back to the first target of the choice. @throws `target.none`. */
export function beginReturn(state: EndpointState, begin: BeginReturn): Step {
  const leaving = leavingRevision(state);
  const [first, ...remaining] = begin.choice.targets;
  if (leaving === undefined || first === undefined) return noTarget(state, begin.choice);
  const { state: numberedState, target } = numbered(state, first, begin.now);
  const back: Return = {
    id: begin.id,
    operation: begin.operation,
    kind: begin.kind,
    from: leaving.revision,
    to: target,
    tried: [],
    remaining,
    passedOver: begin.choice.passedOver,
    trigger: begin.trigger,
    actor: begin.actor,
    reason: begin.reason,
    startedAt: begin.now,
    keepStatus: begin.keepStatus,
    switchId: `${begin.id}:0`,
    failure: begin.failure,
    before: remember(state),
  };
  const next = doing(numberedState, { phase: "RollingBack", rollout: rolloutOf(state), back });
  return step(
    next,
    [{ do: "switch", switchId: back.switchId, verify: target.revision ?? 0 }],
    [
      {
        kind: "rollback.started",
        actor: begin.actor,
        reason: begin.reason,
        data: {
          rollback: begin.id,
          kind: begin.kind,
          trigger: begin.trigger,
          from: revisionFacts(next, leaving.revision),
          to: revisionFacts(next, target.revision),
        },
      },
    ],
  );
}

function noTarget(state: EndpointState, choice: TargetChoice): never {
  const leaving = leavingRevision(state);
  const serving = label(state, leaving?.revision ?? null);
  return refuse(
    "target.none",
    leaving === undefined
      ? `${state.identity.name} serves nothing yet, so there is nothing to go back from`
      : `${state.identity.name} has no proven version to go back to; ${serving} keeps serving`,
    {
      hint: `fix it forward: \`lastgood deploy ${state.identity.model}@<version> --to ${state.identity.name} --replace\``,
      passedOver: choice.passedOver,
    },
  );
}

/** Whether a rollback typed now is the one that was done a moment ago. */
function typedTwice(
  state: EndpointState,
  event: EventOf<"rollback">,
  now: number,
): RollbackRecord | null {
  const last = state.lastRollback;
  if (last === null || event.named || event.again || last.kind === "reinstate") return null;
  const fresh = now - last.at < TYPED_TWICE_MS && last.to === state.current;
  return fresh ? last : null;
}

/** rollback of an endpoint at rest, to the target or to a named version. */
export function rollbackAtRest(
  state: StateIn<"Idle">,
  event: EventOf<"rollback">,
  now: number,
): Step {
  const record = typedTwice(state, event, now);
  if (record !== null)
    return step(
      state,
      settle(event.operation, { ok: true, did: "returned", record, already: true }),
    );
  return rollbackNow(state, event, now);
}

/** rollback of a rollout under way. */
export function rollbackNow(state: EndpointState, event: EventOf<"rollback">, now: number): Step {
  const superseded = supersededSwitch(state);
  const begun = beginReturn(state, {
    id: event.rollbackId,
    kind: "rollback",
    operation: event.operation,
    choice: event.choice,
    trigger: event.trigger,
    actor: event.actor,
    reason: event.reason,
    keepStatus: event.keepStatus,
    failure: null,
    now,
  });
  return { ...begun, effects: [...superseded, ...begun.effects] };
}

/** Whoever waits for a switch that is being overtaken is told so. */
function supersededSwitch(state: EndpointState): readonly Effect[] {
  const { activity } = state;
  if (activity.phase !== "Progressing" && activity.phase !== "Baking") return [];
  return settle(activity.switching?.operation ?? null, {
    ok: false,
    error: new LastgoodError(
      "rollout.rolled-back",
      "the rollout was rolled back before it got there",
    ),
  });
}

/** abort: a person ends an unfinished rollout; the candidate is not judged. */
export function abort(
  state: StateIn<"Progressing"> | StateIn<"Baking">,
  event: EventOf<"abort">,
  now: number,
): Step {
  const superseded = supersededSwitch(state);
  const begun = beginReturn(state, {
    id: event.rollbackId,
    kind: "abort",
    operation: event.operation,
    choice: event.choice,
    trigger: "manual",
    actor: event.actor,
    reason: event.reason,
    keepStatus: true,
    failure: null,
    now,
  });
  return { ...begun, effects: [...superseded, ...begun.effects] };
}

/** abort before the candidate had any traffic. */
export function abortPreparing(
  state: StateIn<"Preparing">,
  event: EventOf<"abort">,
  now: number,
): Step {
  const { rollout, operation } = state.activity;
  const next = ended(judged(state, rollout.candidate, "aborted", event.reason), rollout, {
    phase: "Aborted",
    reason: event.reason,
    now,
  });
  return step(
    next,
    [
      { do: "publish" },
      ...settle(operation, {
        ok: false,
        error: new LastgoodError("rollout.superseded", `the rollout was aborted by ${event.actor}`),
      }),
      ...settle(event.operation, {
        ok: true,
        did: "steered",
        done: `the rollout to ${label(state, rollout.candidate)} is aborted; it never had traffic`,
      }),
    ],
    [
      {
        kind: "rollout.aborted",
        actor: event.actor,
        reason: event.reason,
        data: { rollout: rollout.id, to: revisionFacts(state, rollout.candidate) },
      },
    ],
  );
}

/** reinstate: takes the last rollback back, as long as nothing came later. */
export function reinstate(state: StateIn<"Idle">, event: EventOf<"reinstate">, now: number): Step {
  const last = state.lastRollback;
  if (last === null || (event.rollback !== null && event.rollback !== last.id))
    return refuse(
      "rollback.not-found",
      `${state.identity.name} has no such rollback to take back`,
      {
        hint: "`lastgood history` lists them; only the last one can be taken back",
      },
    );
  if (last.kind === "reinstate" || last.changesAfter !== state.changes)
    return refuse("reinstate.refused", `${state.identity.name} was changed after that rollback`, {
      hint: `deploy the version again: \`lastgood deploy ${state.identity.model}@${label(state, last.from)} --to ${state.identity.name} --force\``,
    });
  if ("unproven" in event.target)
    return refuse(
      "target.unproven",
      `${label(state, last.from)} could not be proven: ${event.target.unproven}`,
    );
  const begun = beginReturn(state, {
    id: event.rollbackId,
    kind: "reinstate",
    operation: event.operation,
    choice: { targets: [event.target], passedOver: [] },
    trigger: "manual",
    actor: event.actor,
    reason: event.reason,
    keepStatus: true,
    failure: null,
    now,
  });
  return begun;
}

function endPhaseOf(back: Return): EndPhase {
  return back.kind === "abort" ? "Aborted" : "RolledBack";
}

/** The statuses after a way back has been verified. */
function judgedAfter(state: EndpointState, back: Return): EndpointState {
  const left = revisionOf(state, back.from);
  if (left === undefined || back.kind === "reinstate") return state;
  if (back.kind === "abort") return judged(state, back.from, "aborted", back.reason);
  if (!back.keepStatus)
    return judged(state, back.from, "failed", back.reason ?? `rolled back (${back.trigger})`);
  return left.status === "candidate" || left.status === "provisional"
    ? judged(state, back.from, "aborted", back.reason)
    : state;
}

/** A target that this endpoint never served is now one of its revisions, with a status of its own. */
function arrived(state: EndpointState, back: Return, now: number): EndpointState {
  const to = revisionOf(state, back.to.revision);
  if (to === undefined || to.status !== "candidate") return state;
  const stable = back.to.version.status === "stable";
  return amended(state, to.revision, {
    status: stable ? "stable" : "provisional",
    carriedAllAt: now,
    stableAt: stable ? now : null,
  });
}

function recordOf(back: Return, measured: Measured, now: number): RollbackRecord {
  return {
    id: back.id,
    kind: back.kind,
    from: back.from,
    to: back.to.revision ?? 0,
    why: back.to.why,
    warm: back.to.warm,
    passedOver: back.passedOver,
    trigger: back.trigger,
    actor: back.actor,
    reason: back.reason,
    at: now,
    via: "api",
    measured,
    before: back.before,
    changesAfter: 0,
  };
}

/** What the registry is told of the version that was left: it failed, where the revision changed it. */
export function verdictOn(
  state: EndpointState,
  left: {
    readonly from: number;
    readonly to: number | null;
    readonly spared: boolean;
    readonly reason: string | null;
    readonly trigger: Trigger;
  },
): readonly Effect[] {
  const from = revisionOf(state, left.from);
  const to = revisionOf(state, left.to);
  if (from === undefined || left.spared || !from.changedVersion) return [];
  if (from.version.sequence === to?.version.sequence) return [];
  return [
    {
      do: "judge",
      sequence: from.version.sequence,
      status: "failed",
      reason: left.reason ?? `rolled back at ${state.identity.name} (${left.trigger})`,
    },
  ];
}

/** What the endpoint is doing and how its revisions stand, for a later reinstate. */
export function remember(state: EndpointState): BeforeReturn {
  if (state.activity.phase === "RollingBack") return state.activity.back.before;
  return {
    activity: state.activity,
    current: state.current,
    statuses: state.revisions.map(({ revision, status, reason }) => ({ revision, status, reason })),
  };
}

function leftBy(back: Return): Parameters<typeof verdictOn>[1] {
  return { ...back, to: back.to.revision, spared: back.keepStatus || back.kind === "abort" };
}

function outcomeOf(state: EndpointState, back: Return, record: RollbackRecord): readonly Effect[] {
  if (back.failure === null)
    return settle(back.operation, { ok: true, did: "returned", record, already: false });
  const error = LastgoodError.fromBody({
    ...back.failure,
    message: `${back.failure.message}; ${state.identity.name} is back on ${label(state, back.to.revision)}`,
  });
  return settle(back.operation, { ok: false, error });
}

/** The way back is verified: the endpoint rests on the target, what it left is judged. */
export function returned(
  state: StateIn<"RollingBack">,
  event: EventOf<"switched">,
  now: number,
): Step {
  const { back, rollout } = state.activity;
  if (back.switchId !== event.switchId) return ignored(state);
  if (back.kind === "reinstate") return reinstated(state, event.measured, now);
  const resting = {
    ...ended(arrived(judgedAfter(state, back), back, now), rollout, {
      phase: endPhaseOf(back),
      reason: back.reason,
      now,
    }),
    current: back.to.revision,
    alarms: [],
  };
  const record = { ...recordOf(back, event.measured, now), changesAfter: resting.changes };
  const next: EndpointState = { ...resting, lastRollback: record };
  return step(
    next,
    [...verdictOn(state, leftBy(back)), { do: "publish" }, ...outcomeOf(next, back, record)],
    [completed(next, back, record)],
  );
}

function completed(state: EndpointState, back: Return, record: RollbackRecord): HistoryRecord {
  return {
    kind: back.kind === "abort" ? "rollout.aborted" : "rollback.completed",
    actor: back.actor,
    reason: back.reason,
    data: {
      rollback: back.id,
      trigger: back.trigger,
      via: record.via,
      from: revisionFacts(state, back.from),
      to: revisionFacts(state, back.to.revision),
      why: back.to.why,
      passedOver: back.passedOver,
      warm: back.to.warm,
      tried: back.tried,
      ...record.measured,
    },
  };
}

/** What the endpoint was doing before the rollback, with its clock set going again. */
function resumed(activity: Activity, now: number): Activity {
  if (activity.phase === "Progressing") return { ...activity, switching: null };
  if (activity.phase !== "Baking") return { phase: "Idle" };
  const paused = activity.rollout.pause !== null;
  return { ...activity, switching: null, runningSince: paused ? null : now };
}

function reinstated(state: StateIn<"RollingBack">, measured: Measured, now: number): Step {
  const { back } = state.activity;
  const undone = state.lastRollback;
  if (undone === null) return ignored(state);
  const statuses = new Map(undone.before.statuses.map((entry) => [entry.revision, entry]));
  const restored: EndpointState = {
    ...state,
    current: undone.before.current,
    revisions: state.revisions.map((revision) => {
      const entry = statuses.get(revision.revision);
      return entry === undefined
        ? revision
        : { ...revision, status: entry.status, reason: entry.reason };
    }),
  };
  const activity = resumed(undone.before.activity, now);
  const rollout = activity.phase === "Idle" ? null : activity.rollout;
  const next = doing(
    { ...restored, lastRollout: rollout === null ? restored.lastRollout : null },
    activity,
  );
  const record = { ...recordOf(back, measured, now), changesAfter: next.changes };
  const left = revisionOf(next, undone.from);
  const verdict: readonly Effect[] =
    left === undefined || !left.changedVersion
      ? []
      : [
          {
            do: "judge",
            sequence: left.version.sequence,
            status: left.status === "stable" ? "stable" : "pending",
            reason: back.reason,
          },
        ];
  return step(
    { ...next, lastRollback: record },
    [
      ...verdict,
      { do: "publish" },
      ...settle(back.operation, { ok: true, did: "returned", record, already: false }),
    ],
    [
      {
        kind: "rollback.reinstated",
        actor: back.actor,
        reason: back.reason,
        data: {
          rollback: undone.id,
          from: revisionFacts(state, back.from),
          to: revisionFacts(state, back.to.revision),
          ...measured,
        },
      },
    ],
  );
}

/** A target failed its verification: the next one, each once; after the last the endpoint stays. */
export function returnFailed(
  state: StateIn<"RollingBack">,
  event: EventOf<"switchFailed">,
  now: number,
): Step {
  const { back, rollout } = state.activity;
  if (back.switchId !== event.switchId) return ignored(state);
  const tried = [...back.tried, `${versionLabel(back.to.version)}: ${event.error.message}`];
  const [following, ...remaining] = back.remaining;
  if (following !== undefined && back.kind !== "reinstate") {
    const { state: numberedState, target } = numbered(state, following, now);
    const switchId = `${back.id}:${tried.length}`;
    const next = doing(numberedState, {
      ...state.activity,
      back: { ...back, to: target, tried, remaining, switchId },
    });
    return step(next, [{ do: "switch", switchId, verify: target.revision ?? 0 }]);
  }
  const stays = label(state, back.from);
  const message = `every target failed its verification (${tried.join("; ")}); ${state.identity.name} stays on ${stays}`;
  const next: EndpointState = {
    ...ended(state, rollout, { phase: "NoTarget", reason: message, now }),
    current: back.from,
    alarms: [...state.alarms, message],
  };
  return step(
    next,
    [
      { do: "publish" },
      { do: "alarm", code: "rollback.no-target-left", message },
      ...settle(back.operation, {
        ok: false,
        error: new LastgoodError("rollback.no-target-left", message, {
          hint: `\`lastgood doctor\` says what is wrong with each; then \`lastgood deploy ${state.identity.model}@<version> --replace\``,
          passedOver: back.passedOver,
        }),
      }),
    ],
    [
      {
        kind: "rollback.failed",
        actor: back.actor,
        reason: back.reason,
        data: { rollback: back.id, tried, from: revisionFacts(state, back.from) },
      },
    ],
  );
}
