import { LastgoodError } from "../errors/index.ts";
import { arrived, judgedAfter, notCandidate, returnedOutcomes, verdictOn } from "./arrive.ts";
import { isAutomatic, wentBack } from "./automatic.ts";
import { remember } from "./back.ts";
import type { Effect } from "./effect.ts";
import {
  revisionOf,
  rolloutOf,
  waitingOperations,
  type BeforeReturn,
  type EndpointState,
  type RollbackRecord,
} from "./state.ts";
import { ended, logLinesOf, revisionFacts, settle, step, type EventOf, type Step } from "./step.ts";

/** More than a gateway does alone: it refuses every route that does not acknowledge all of it. */
const REMEMBERED = 256;

/** A way back that the gateway went as well has arrived; everything else was overtaken. */
function waiterOutcomes(state: EndpointState, record: RollbackRecord): readonly Effect[] {
  const { activity } = state;
  if (activity.phase === "RollingBack" && activity.back.to.revision === record.to)
    return returnedOutcomes(state, activity.back, record);
  const error = new LastgoodError(
    "rollout.superseded",
    "the gateway was rolled back on its own meanwhile",
  );
  return waitingOperations(activity).flatMap((operation) =>
    settle(operation, { ok: false, error }),
  );
}

/** The same way, gone a moment before by the other plane or another gateway; null: it is a new one. */
function goneBefore(state: EndpointState, event: EventOf<"overridden">): RollbackRecord | null {
  const last = state.lastRollback;
  const again =
    last !== null &&
    last.kind !== "reinstate" &&
    last.from === event.from &&
    last.to === event.to &&
    last.changesAfter === state.changes;
  return again ? last : null;
}

/** The same way gone twice is taken back to where the first began. */
function rememberOnce(state: EndpointState, event: EventOf<"overridden">): BeforeReturn {
  return goneBefore(state, event)?.before ?? remember(state);
}

/** Whether nobody asked for it, and it is not counted yet: a way back that both planes decided is one. */
function countsAnew(state: EndpointState, event: EventOf<"overridden">): boolean {
  if (!isAutomatic(event.trigger) || event.from === event.to) return false;
  const { activity, wanted } = state;
  const back = activity.phase === "RollingBack" ? activity.back : null;
  const known = [
    ...(back?.from === event.from && back.kind !== "reinstate" ? [back.trigger] : []),
    ...(wanted?.from === event.from ? [wanted.trigger] : []),
    goneBefore(state, event)?.trigger ?? "manual",
  ];
  return !known.some(isAutomatic);
}

function recordOf(
  state: EndpointState,
  event: EventOf<"overridden">,
  changesAfter: number,
): RollbackRecord {
  return {
    id: event.id,
    kind: "rollback",
    from: event.from,
    to: event.to,
    why: "chosen by the gateway from the targets of its route",
    warm: true,
    passedOver: [],
    trigger: event.trigger,
    actor: event.actor,
    reason: event.reason,
    at: event.at,
    via: "gateway",
    measured: event.measured,
    before: rememberOnce(state, event),
    changesAfter,
  };
}

/** Another way back that was decided before counts as gone: the gateway went on from where it led. */
function caughtUp(state: EndpointState, event: EventOf<"overridden">, now: number): EndpointState {
  const { activity } = state;
  if (activity.phase !== "RollingBack") return state;
  const { back, rollout } = activity;
  if (back.kind === "reinstate" || back.from === event.from) return state;
  const to = { revision: back.to.revision, stable: back.to.version.status === "stable" };
  const left = arrived(judgedAfter(state, back), to, now);
  return {
    ...ended(left, rollout, { phase: "RolledBack", reason: back.reason, now }),
    current: event.from,
  };
}

function judgedByGateway(state: EndpointState, event: EventOf<"overridden">): EndpointState {
  const overtaken = "a gateway went back on its own meanwhile";
  const left = event.from === event.to ? state : judgedAfter(state, { ...event, kind: "rollback" });
  const to = state.activity.phase === "RollingBack" ? state.activity.back.to.revision : null;
  const candidate = rolloutOf(state)?.candidate ?? null;
  return [candidate, to]
    .filter((number) => number !== event.to)
    .reduce((each, number) => notCandidate(each, number, "aborted", overtaken), left);
}

/**
 * Takes in what a gateway did on its own: it has happened, so it wins over whatever was under way,
 * and becomes history once, however often it is told.
 */
export function overridden(state: EndpointState, event: EventOf<"overridden">, now: number): Step {
  if (state.acknowledged.includes(event.id)) return step(state, [{ do: "publish" }]);
  const acknowledged = [...state.acknowledged, event.id].slice(-REMEMBERED);
  const to = revisionOf(state, event.to);
  const from = revisionOf(state, event.from);
  if (to === undefined || from === undefined)
    return step({ ...state, acknowledged }, [
      { do: "publish" },
      {
        do: "alarm",
        code: "override.unknown",
        message: `a gateway went from revision ${event.from} to ${event.to} of ${state.identity.name}, which the store does not know`,
      },
    ]);
  const base = caughtUp(state, event, now);
  const left = arrived(judgedByGateway(base, event), { revision: event.to, stable: false }, now);
  const resting: EndpointState = {
    ...ended(left, rolloutOf(base), { phase: "RolledBack", reason: event.reason, now }),
    current: event.to,
    acknowledged,
    alarms: [],
  };
  const record = recordOf(base, event, resting.changes);
  const counted = countsAnew(state, event) ? wentBack(resting, now, event.at) : resting;
  return step(
    { ...counted, lastRollback: record },
    [
      ...verdictOn(base, { ...event, spared: event.keepStatus || event.from === event.to }),
      { do: "publish" },
      ...waiterOutcomes(state, record),
    ],
    [
      {
        kind: "rollback.completed",
        actor: event.actor,
        reason: event.reason,
        key: event.id,
        data: {
          rollback: event.id,
          trigger: event.trigger,
          via: "gateway",
          at: event.at,
          from: revisionFacts(state, event.from),
          to: revisionFacts(state, event.to),
          ...event.measured,
          ...logLinesOf(event),
        },
      },
    ],
  );
}
