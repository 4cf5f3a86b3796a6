import { LastgoodError } from "../errors/index.ts";
import { waitingOperation } from "./advance.ts";
import { remember, verdictOn } from "./back.ts";
import type { Effect } from "./effect.ts";
import { revisionOf, rolloutOf, type EndpointState, type RollbackRecord } from "./state.ts";
import { ended, judged, revisionFacts, settle, step, type EventOf, type Step } from "./step.ts";

const REMEMBERED = 32;

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
    before: remember(state),
    changesAfter,
  };
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
  const record = recordOf(state, event, resting.changes);
  return step(
    { ...resting, lastRollback: record },
    [
      ...verdictOn(state, { ...event, spared: event.keepStatus }),
      { do: "publish" },
      ...waiterOutcome(state, record),
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
        },
      },
    ],
  );
}
