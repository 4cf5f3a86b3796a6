import { isAutomatic } from "./automatic.ts";
import { beginReturn } from "./back.ts";
import { failedAgain, failedFirst, isRetryDue, MOST_RETURN_WAIT_MS } from "./retry.ts";
import {
  isPinned,
  revisionOf,
  type EndpointState,
  type Return,
  type Rollout,
  type WantedReturn,
} from "./state.ts";
import { ignored, step, type EventOf, type StateIn, type Step } from "./step.ts";

/**
 * What stays wanted after every target of a way back failed its verification: one that the machine
 * decided, and one that was wanted before a person tried the same in vain. What a person asked for and
 * was told has failed is not done behind their back.
 */
export function wantedAfter(
  state: EndpointState,
  failed: { readonly back: Return; readonly rollout: Rollout | null; readonly why: string },
  now: number,
): WantedReturn | null {
  const { wanted } = state;
  const { back, rollout, why } = failed;
  if (wanted?.from === back.from) return { ...failedAgain(wanted, now, MOST_RETURN_WAIT_MS), why };
  if (rollout === null || back.kind === "reinstate" || !isAutomatic(back.trigger)) return null;
  const { id, from, trigger, reason, before } = back;
  return { ...failedFirst(now), id, from, rollout, trigger, reason, before, why };
}

/** Whether it is time to try a wanted way back again; not while a person has pinned the endpoint. */
export function isReturnDue(state: EndpointState, now: number): boolean {
  const { wanted, activity } = state;
  if (wanted === null || activity.phase !== "Idle" || isPinned(state, now)) return false;
  return isRetryDue(wanted, now);
}

/** The way back that stays wanted is tried again, where a target is proven now. */
export function retried(state: StateIn<"Idle">, event: EventOf<"retry">, now: number): Step {
  const { wanted } = state;
  if (wanted?.id !== event.wanted || !isReturnDue(state, now)) return ignored(state);
  if (event.choice.targets.length === 0)
    return step({ ...state, wanted: failedAgain(wanted, now, MOST_RETURN_WAIT_MS) });
  const begun = beginReturn(state, {
    id: event.rollbackId,
    kind: "rollback",
    operation: null,
    choice: event.choice,
    trigger: wanted.trigger,
    actor: "lastgood",
    reason: wanted.reason,
    keepStatus: false,
    failure: null,
    now,
    again: wanted,
  });
  return {
    ...begun,
    history: begun.history.map((record) => ({
      ...record,
      data: { ...record.data, again: wanted.id, tries: wanted.tries },
    })),
  };
}

/** A way back is wanted no more once something else serves, or a person made what serves stable. */
export function stillWanted(state: EndpointState): EndpointState {
  const { wanted, current } = state;
  if (wanted === null) return state;
  const isLeft = current !== wanted.from;
  return isLeft || revisionOf(state, wanted.from)?.status === "stable"
    ? { ...state, wanted: null }
    : state;
}
