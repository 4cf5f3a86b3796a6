import type { Revision, Trigger } from "../endpoint/index.ts";
import { LastgoodError, type ErrorBody } from "../errors/index.ts";
import type { Target, TargetChoice } from "../target/index.ts";
import type { Effect } from "./effect.ts";
import {
  leavingRevision,
  rolloutOf,
  waitingOperations,
  type BeforeReturn,
  type EndpointState,
  type Return,
  type RollbackRecord,
  type WantedReturn,
} from "./state.ts";
import {
  doing,
  ended,
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
  /** Set where an earlier try led nowhere: its rollout is what ends now. */
  readonly again?: WantedReturn;
}

/** The target with a revision number, which a version this endpoint never served gets now. */
export function numbered(
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
  if (first.revision === leaving.revision) return alreadyThere(state, leaving.revision);
  const { state: numberedState, target } = numbered(state, first, begin.now);
  const back: Return = {
    id: begin.id,
    operation: begin.operation,
    attached: [],
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
    before: begin.again?.before ?? remember(state),
  };
  const rollout = begin.again?.rollout ?? rolloutOf(state);
  const next = doing(numberedState, { phase: "RollingBack", rollout, back });
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

function alreadyThere(state: EndpointState, leaving: number): never {
  return refuse(
    "target.none",
    `${label(state, leaving)} is what a rollback of ${state.identity.name} would leave, so it cannot go there`,
    { hint: "`lastgood status` shows what serves and what a rollback would go to" },
  );
}

/** Where a rollback is asked to go: to the target, to what serves by its name, or to another by its name. */
export interface Asked {
  readonly toward: "target" | "current" | "elsewhere";
  readonly again: boolean;
}

/** The rollback done a moment ago that one asked for now is the same as, or null. */
function typedTwice(state: EndpointState, asked: Asked, now: number): RollbackRecord | null {
  const last = state.lastRollback;
  if (last === null || last.kind === "reinstate" || last.to !== state.current) return null;
  if (asked.toward !== "target") return asked.toward === "current" ? last : null;
  // A clock that was set back is no reason to do nothing for as long.
  return !asked.again && Math.abs(now - last.at) < TYPED_TWICE_MS ? last : null;
}

/**
 * What a rollback asked for now leaves: where it would join one that is under way, or be one that was
 * done already, also what that one leaves or left. Empty while nothing serves. `now` is ms since 1970.
 */
export function revisionsLeft(
  state: EndpointState,
  asked: Asked,
  now: number,
): readonly Revision[] {
  const { activity } = state;
  const left = (number: number | undefined): readonly Revision[] =>
    state.revisions.filter((each) => each.revision === number);
  if (activity.phase === "RollingBack") return left(activity.back.from);
  const done = activity.phase === "Idle" ? typedTwice(state, asked, now) : null;
  return [...left(leavingRevision(state)?.revision), ...left(done?.from)];
}

/** rollback of an endpoint at rest, to the target or to a named version. */
export function rollbackAtRest(
  state: StateIn<"Idle">,
  event: EventOf<"rollback">,
  now: number,
): Step {
  const { named, choice, again } = event;
  const isThere = choice.targets[0]?.revision === state.current;
  const toward = named ? (isThere ? "current" : "elsewhere") : "target";
  const record = typedTwice(state, { toward, again }, now);
  if (record !== null)
    return step(
      state,
      settle(event.operation, { ok: true, did: "returned", record, already: true }),
    );
  return rollbackNow(state, event, now);
}

/** rollback of a rollout under way. */
export function rollbackNow(state: EndpointState, event: EventOf<"rollback">, now: number): Step {
  const superseded = supersededSwitch(
    state,
    new LastgoodError("rollout.rolled-back", "the rollout was rolled back before it got there"),
  );
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
export function supersededSwitch(state: EndpointState, error: LastgoodError): readonly Effect[] {
  return waitingOperations(state.activity).flatMap((operation) =>
    settle(operation, { ok: false, error }),
  );
}

/** What joins a way back that is under way. */
export interface Joining {
  readonly operation: string;
  readonly actor: string;
  readonly reason: string | null;
  /** The version it was meant for; null: wherever the rollback goes. */
  readonly sequence: number | null;
  readonly keepStatus: boolean;
}

/**
 * rollback, or a verdict on what is being left, while the endpoint is on its way back: waits for the
 * same way. Where that one would not judge what it leaves (abort, `--keep-status`), it does now.
 */
export function attach(state: StateIn<"RollingBack">, joining: Joining): Step {
  const { back } = state.activity;
  const elsewhere = joining.sequence !== null && joining.sequence !== back.to.version.sequence;
  if (back.kind === "reinstate" || elsewhere) return onTheWayBack(state);
  const judges = back.keepStatus && !joining.keepStatus;
  const attached: Return = {
    ...back,
    attached: [...back.attached, joining.operation],
    ...(judges ? { kind: "rollback", keepStatus: false, reason: joining.reason } : {}),
  };
  return step(
    { ...state, activity: { ...state.activity, back: attached } },
    [],
    judges
      ? [
          {
            kind: "rollback.attached",
            actor: joining.actor,
            reason: joining.reason,
            data: { rollback: back.id, from: revisionFacts(state, back.from) },
          },
        ]
      : [],
  );
}

/** @throws `rollout.phase` always: what is asked for has to wait until the endpoint is back. */
export function onTheWayBack(state: StateIn<"RollingBack">): never {
  const { back } = state.activity;
  return refuse(
    "rollout.phase",
    `${state.identity.name} is on its way back to ${label(state, back.to.revision)}`,
    { hint: "`lastgood status` says when it is there" },
  );
}

/** abort: a person ends an unfinished rollout; the candidate is not judged. */
export function abort(
  state: StateIn<"Progressing"> | StateIn<"Baking">,
  event: EventOf<"abort">,
  now: number,
): Step {
  const superseded = supersededSwitch(
    state,
    new LastgoodError("rollout.superseded", `the rollout was aborted by ${event.actor}`),
  );
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

/** What the endpoint is doing and how its revisions stand, for a later reinstate. */
export function remember(state: EndpointState): BeforeReturn {
  if (state.activity.phase === "RollingBack") return state.activity.back.before;
  return {
    activity: state.activity,
    current: state.current,
    statuses: state.revisions.map(({ revision, status, reason }) => ({ revision, status, reason })),
  };
}
