import { LastgoodError } from "../errors/index.ts";
import type { Effect } from "./effect.ts";
import { waitingOperation } from "./forward.ts";
import {
  revisionOf,
  rolloutOf,
  type BeforeReturn,
  type EndpointState,
  type RollbackRecord,
} from "./state.ts";
import { ended, judged, revisionFacts, settle, step, type EventOf, type Step } from "./step.ts";

const REMEMBERED = 32;

function before(state: EndpointState): BeforeReturn {
  if (state.activity.phase === "RollingBack") return state.activity.back.before;
  return {
    activity: state.activity,
    current: state.current,
    statuses: state.revisions.map(({ revision, status, reason }) => ({ revision, status, reason })),
  };
}

function waiterOutcome(state: EndpointState, record: RollbackRecord): readonly Effect[] {
  const operation = waitingOperation(state.activity);
  const wanted =
    state.activity.phase === "RollingBack" && state.activity.back.to.revision === record.to;
  if (wanted) return settle(operation, { ok: true, did: "returned", record, already: false });
  return settle(operation, {
    ok: false,
    error: new LastgoodError(
      "rollout.superseded",
      "the gateway was rolled back on its own meanwhile",
    ),
  });
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
  const left = event.keepStatus
    ? state
    : judged(state, event.from, "failed", event.reason ?? `rolled back (${event.trigger})`);
  const resting: EndpointState = {
    ...ended(left, rolloutOf(state), { phase: "RolledBack", reason: event.reason, now }),
    current: event.to,
    acknowledged,
    alarms: [],
  };
  const record: RollbackRecord = {
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
    before: before(state),
    changesAfter: resting.changes,
  };
  const changed = from.changedVersion && from.version.sequence !== to.version.sequence;
  const verdict: readonly Effect[] =
    event.keepStatus || !changed
      ? []
      : [
          {
            do: "judge",
            sequence: from.version.sequence,
            status: "failed",
            reason: event.reason ?? `rolled back at ${state.identity.name} (${event.trigger})`,
          },
        ];
  return step(
    { ...resting, lastRollback: record },
    [...verdict, { do: "publish" }, ...waiterOutcome(state, record)],
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
        },
      },
    ],
  );
}
