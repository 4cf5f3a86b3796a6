import type { Trigger } from "../endpoint/index.ts";
import { LastgoodError } from "../errors/index.ts";
import type { Target } from "../target/index.ts";
import { versionLabel } from "../version/index.ts";
import { numbered } from "./back.ts";
import type { Effect, HistoryRecord, Outcome } from "./effect.ts";
import { reinstated } from "./reinstate.ts";
import {
  revisionOf,
  type EndPhase,
  type EndpointState,
  type Measured,
  type Return,
  type RollbackRecord,
  type WantedReturn,
} from "./state.ts";
import {
  amended,
  doing,
  ended,
  ignored,
  judged,
  label,
  logLinesOf,
  revisionFacts,
  settle,
  step,
  type EventOf,
  type StateIn,
  type Step,
} from "./step.ts";
import { wantedAfter } from "./wanted.ts";

function endPhaseOf(back: Return): EndPhase {
  return back.kind === "abort" ? "Aborted" : "RolledBack";
}

/** The statuses after the endpoint has left a revision: `failed` unless it is spared the verdict. */
export function judgedAfter(
  state: EndpointState,
  left: Pick<Return, "kind" | "from" | "keepStatus" | "reason" | "trigger">,
): EndpointState {
  if (left.kind === "abort") return judged(state, left.from, "aborted", left.reason);
  if (!left.keepStatus)
    return judged(state, left.from, "failed", left.reason ?? `rolled back (${left.trigger})`);
  return notCandidate(state, left.from, "aborted", left.reason);
}

/** Nothing stays a candidate once its rollout is over. */
export function notCandidate(
  state: EndpointState,
  number: number | null,
  became: "aborted" | "rejected",
  reason: string | null,
): EndpointState {
  const revision = revisionOf(state, number);
  if (revision?.status !== "candidate") return state;
  return judged(state, revision.revision, became, reason);
}

/**
 * What was never judged and now carries all traffic is `provisional`, or `stable` where its version
 * is; what failed and was named all the same stays `failed`.
 */
export function arrived(
  state: EndpointState,
  to: { readonly revision: number | null; readonly stable: boolean },
  now: number,
): EndpointState {
  const revision = revisionOf(state, to.revision);
  if (revision === undefined) return state;
  const carriedAllAt = revision.carriedAllAt ?? now;
  if (!["candidate", "aborted", "rejected"].includes(revision.status))
    return amended(state, revision.revision, { carriedAllAt });
  return amended(state, revision.revision, {
    status: to.stable ? "stable" : "provisional",
    reason: null,
    carriedAllAt,
    stableAt: to.stable ? now : null,
  });
}

/** What is kept of a way back that is verified. */
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

/** Everybody who waits for a way back is told; only who waits for a reverted deploy hears an error. */
export function returnedOutcomes(
  state: EndpointState,
  back: Return,
  record: RollbackRecord,
): readonly Effect[] {
  const outcome: Outcome = { ok: true, did: "returned", record, already: false };
  const attached = back.attached.flatMap((operation) => settle(operation, outcome));
  if (back.failure === null) return [...settle(back.operation, outcome), ...attached];
  const error = LastgoodError.fromBody({
    ...back.failure,
    message: `${back.failure.message}; ${state.identity.name} is back on ${label(state, record.to)}`,
  });
  return [...settle(back.operation, { ok: false, error }), ...attached];
}

/** The way back is verified: the endpoint rests on the target, what it left is judged. */
export function returned(
  state: StateIn<"RollingBack">,
  event: EventOf<"switched">,
  now: number,
): Step {
  const { back, rollout } = state.activity;
  if (back.switchId !== event.switchId) return ignored(state);
  if (back.kind === "reinstate") return reinstated(state, recordOf(back, event.measured, now), now);
  const to = { revision: back.to.revision, stable: back.to.version.status === "stable" };
  const resting = {
    ...ended(arrived(judgedAfter(state, back), to, now), rollout, {
      phase: endPhaseOf(back),
      reason: back.reason,
      now,
    }),
    current: back.to.revision,
    alarms: [],
  };
  const record = { ...recordOf(back, event.measured, now), changesAfter: resting.changes };
  const next: EndpointState = { ...resting, lastRollback: record };
  const left = { ...back, to: back.to.revision, spared: back.keepStatus || back.kind === "abort" };
  return step(
    next,
    [...verdictOn(state, left), { do: "publish" }, ...returnedOutcomes(next, back, record)],
    [completed(next, { back, record, ...logLinesOf(event) })],
  );
}

function completed(
  state: EndpointState,
  {
    back,
    record,
    ...kept
  }: {
    readonly back: Return;
    readonly record: RollbackRecord;
    readonly logLines?: readonly string[];
  },
): HistoryRecord {
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
      ...kept,
    },
  };
}

/** Targets without those that were judged bad since they were chosen. */
function stillTrusted(state: EndpointState, targets: readonly Target[]): readonly Target[] {
  return targets.filter((target) => {
    const revision = revisionOf(state, target.revision);
    return revision === undefined || ["stable", "provisional"].includes(revision.status);
  });
}

/** A target failed its verification: the next one, each once; after the last the endpoint stays. */
export function returnFailed(
  state: StateIn<"RollingBack">,
  event: EventOf<"switchFailed">,
  now: number,
): Step {
  const { back } = state.activity;
  if (back.switchId !== event.switchId) return ignored(state);
  const why = event.error.message;
  const tried = [...back.tried, `${versionLabel(back.to.version)}: ${why}`];
  const [following, ...remaining] = stillTrusted(state, back.remaining);
  if (following === undefined || back.kind === "reinstate")
    return stayed(state, { tried, why, kept: logLinesOf(event) }, now);
  // What was warm when the way back began may have made room for the target that failed.
  const { revision } = following;
  const warm = event.choice.targets.some((each) => each.warm && each.revision === revision);
  const left = notCandidate(state, back.to.revision, "rejected", why);
  const { state: numberedState, target } = numbered(left, { ...following, warm }, now);
  const switchId = `${back.id}:${tried.length}`;
  const next = doing(numberedState, {
    ...state.activity,
    back: { ...back, to: target, tried, remaining, switchId },
  });
  return step(next, [{ do: "switch", switchId, verify: target.revision ?? 0 }]);
}

function alarmOf(message: string, wanted: WantedReturn | null): Effect {
  const next = wanted === null ? "" : "; it is tried again by itself until a target answers";
  return { do: "alarm", code: "rollback.no-target-left", message: `${message}${next}` };
}

/** Every target failed: the route ends on the revision it left. */
function stayed(
  state: StateIn<"RollingBack">,
  failed: {
    readonly tried: readonly string[];
    readonly why: string;
    readonly kept: ReturnType<typeof logLinesOf>;
  },
  now: number,
): Step {
  const { back, rollout } = state.activity;
  const { tried } = failed;
  const stays = label(state, back.from);
  const message = `every target failed its verification (${tried.join("; ")}); ${state.identity.name} stays on ${stays}`;
  const wanted = wantedAfter(state, { back, rollout, why: message }, now);
  const left = notCandidate(state, back.to.revision, "rejected", failed.why);
  const onIt = arrived(left, { revision: back.from, stable: false }, now);
  const resting = ended(onIt, rollout, { phase: "NoTarget", reason: message, now });
  // A reinstate that failed has changed nothing, so it may be asked for again.
  const lastRollback =
    back.kind === "reinstate" && state.lastRollback !== null
      ? { ...state.lastRollback, changesAfter: resting.changes }
      : state.lastRollback;
  const error = new LastgoodError("rollback.no-target-left", message, {
    hint: `\`lastgood doctor\` says what is wrong with each; then \`lastgood deploy ${state.identity.model}@<version> --replace\``,
    passedOver: back.passedOver,
  });
  // What stays wanted is an alarm for as long as it does, and raised once.
  const isNews = wanted === null || wanted.tries === 1;
  const alarms = wanted === null ? [...state.alarms, message] : state.alarms;
  return step(
    { ...resting, current: back.from, lastRollback, alarms, wanted },
    [
      { do: "publish" },
      ...(isNews ? [alarmOf(message, wanted)] : []),
      ...[back.operation, ...back.attached].flatMap((operation) =>
        settle(operation, { ok: false, error }),
      ),
    ],
    [
      {
        kind: "rollback.failed",
        actor: back.actor,
        reason: back.reason,
        data: {
          rollback: back.id,
          tried,
          from: revisionFacts(state, back.from),
          nextAt: wanted?.nextAt ?? null,
          ...failed.kept,
        },
      },
    ],
  );
}
