import type { EndpointState } from "./state.ts";
import { settle, step, type EventOf, type Step } from "./step.ts";

/** A pin ends by itself after this time unless told otherwise, ms. */
const DEFAULT_PIN_MS = 4 * 3_600_000;

/** pin: no automatic rollback for a while, whatever the phase; what the evidence says is told all the same. */
export function pin(state: EndpointState, event: EventOf<"pin">, now: number): Step {
  const until = now + (event.forMs ?? DEFAULT_PIN_MS);
  const pinned = { by: event.actor, why: event.reason ?? "no reason given", since: now, until };
  return step(
    { ...state, pin: pinned },
    [
      { do: "publish" },
      ...settle(event.operation, {
        ok: true,
        did: "steered",
        done: `${state.identity.name} does not go back by itself until the pin ends`,
      }),
    ],
    [
      {
        kind: "endpoint.pinned",
        actor: event.actor,
        reason: event.reason,
        data: { until },
      },
    ],
  );
}

/** unpin: the endpoint may go back by itself again. */
export function unpin(state: EndpointState, event: EventOf<"unpin">): Step {
  const done = settle(event.operation, {
    ok: true,
    did: "steered",
    done: `${state.identity.name} ${state.pin === null ? "is not pinned" : "may go back by itself again"}`,
  });
  if (state.pin === null) return step(state, done);
  return step(
    { ...state, pin: null },
    [{ do: "publish" }, ...done],
    [{ kind: "endpoint.unpinned", actor: event.actor, reason: event.reason, data: {} }],
  );
}
