import { LastgoodError } from "../errors/index.ts";
import type { Effect, Outcome } from "./effect.ts";
import type { EndpointEvent } from "./event.ts";
import {
  rolloutOf,
  waitingOperations,
  type Applied,
  type CameTo,
  type EndpointState,
} from "./state.ts";
import { settle, step, type Step } from "./step.ts";

/** More than people type while one of their calls is being repeated. */
const REMEMBERED = 32;

/** What an outcome leaves in the state: the rollout by its id, no state within the state. */
function cameTo(outcome: Outcome): CameTo {
  if (!outcome.ok) return { ok: false, error: outcome.error.toBody() };
  switch (outcome.did) {
    case "steered":
      return outcome;
    case "deployed":
    case "unchanged":
      return { ...outcome, rollout: outcome.rollout?.id ?? null };
    case "returned": {
      const { id, kind, from, to, why, warm, passedOver, ...rest } = outcome.record;
      const { trigger, actor, reason, at, via, measured } = rest;
      const by = { trigger, actor, reason, at, via, measured };
      return { ...outcome, record: { id, kind, from, to, why, warm, passedOver, ...by } };
    }
  }
}

/** The outcome as whoever repeats the command is told it. */
function toldAgain(state: EndpointState, came: CameTo): Outcome {
  if (!came.ok) return { ok: false, error: LastgoodError.fromBody(came.error) };
  if (came.did === "steered" || came.did === "returned") return came;
  const known = [rolloutOf(state), state.lastRollout?.rollout ?? null];
  return { ...came, rollout: known.find((each) => each?.id === came.rollout) ?? null };
}

/**
 * A command that was taken before, told again because its answer did not arrive: whoever repeats it
 * waits for what is under way by it, or is told what it came to. Null: it was never taken.
 */
export function repeated(state: EndpointState, operation: string): Step | null {
  if (waitingOperations(state.activity).includes(operation)) return step(state);
  // What a gateway did alone is known by the key that the operation begins with.
  const names = [operation, operation.split(" ", 1)[0]];
  const known = state.applied?.find((each) => names.includes(each.operation));
  return known === undefined ? null : step(state, settle(operation, toldAgain(state, known.came)));
}

/** What a gateway did of a command that came to it instead. */
function doneAlone(state: EndpointState, event: EndpointEvent, taken: Step): readonly Applied[] {
  if (event.type !== "overridden" || event.key === undefined || taken.state === state) return [];
  const record = taken.state.lastRollback;
  if (record?.id !== event.id) return [];
  const came = cameTo({ ok: true, did: "returned", record, already: false });
  return [{ operation: event.key, came }];
}

/**
 * The step, with every command remembered that it brought to its end: stored with what the command
 * changed, so that no crash comes between. One that changed nothing may be heard again.
 */
export function remembering(state: EndpointState, event: EndpointEvent, taken: Step): Step {
  const asked = "operation" in event ? event.operation : null;
  const ended = taken.effects
    .filter((effect): effect is Extract<Effect, { do: "settle" }> => effect.do === "settle")
    .filter(({ operation }) => operation !== asked || taken.state !== state)
    .map(({ operation, outcome }): Applied => ({ operation, came: cameTo(outcome) }));
  const over = [...ended, ...doneAlone(state, event, taken)];
  if (over.length === 0) return taken;
  const applied = [...(state.applied ?? []), ...over].slice(-REMEMBERED);
  return { ...taken, state: { ...taken.state, applied } };
}
