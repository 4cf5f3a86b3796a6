import type { Revision } from "../endpoint/index.ts";
import { rollbackNow } from "./back.ts";
import type { Effect, HistoryRecord } from "./effect.ts";
import { rolloutOf, type EndpointState } from "./state.ts";
import {
  judged,
  label,
  refuse,
  revisionFacts,
  settle,
  step,
  type EventOf,
  type Step,
} from "./step.ts";

function judgedRevisions(state: EndpointState, event: EventOf<"mark">): readonly Revision[] {
  return state.revisions.filter((revision) => {
    if (revision.version.sequence !== event.sequence) return false;
    return event.status === "failed"
      ? revision.status === "stable" || revision.status === "provisional"
      : revision.status === "failed";
  });
}

function candidateIsMeant(state: EndpointState, event: EventOf<"mark">): boolean {
  const rollout = rolloutOf(state);
  const candidate = state.revisions.find((revision) => revision.revision === rollout?.candidate);
  return event.status === "failed" && candidate?.version.sequence === event.sequence;
}

/** A person's verdict while nothing of it is being rolled out: it changes what a rollback may take. */
export function markAtRest(state: EndpointState, event: EventOf<"mark">): Step {
  const meant = judgedRevisions(state, event);
  if (meant.length === 0)
    return step(state, settle(event.operation, { ok: true, did: "steered", done: "" }));
  const became =
    event.status === "failed" ? "failed" : event.status === "stable" ? "stable" : "provisional";
  const next = meant.reduce(
    (judgedState, revision) => judged(judgedState, revision.revision, became, event.reason),
    state,
  );
  const name = state.identity.name;
  const serving =
    event.status === "failed" && meant.some((revision) => revision.revision === state.current);
  const message = serving
    ? `${label(state, state.current)} serves ${name} and was marked failed: no traffic moved; type \`lastgood rollback ${name}\``
    : `revision ${meant.map((revision) => revision.revision).join(", ")} of ${name} is ${became} now`;
  const effects: Effect[] = [{ do: "publish" }];
  if (serving) effects.push({ do: "alarm", code: "revision.failed.serving", message });
  const history: HistoryRecord[] = meant.map((revision) => ({
    kind: "revision.marked",
    actor: event.actor,
    reason: event.reason,
    data: { ...revisionFacts(state, revision.revision), status: became, was: revision.status },
  }));
  return step(
    serving ? { ...next, alarms: [...next.alarms, message] } : next,
    [...effects, ...settle(event.operation, { ok: true, did: "steered", done: message })],
    history,
  );
}

/** A person's verdict during a rollout: on the candidate `failed` is a rollback. */
export function markDuring(state: EndpointState, event: EventOf<"mark">, now: number): Step {
  if (!candidateIsMeant(state, event)) return markAtRest(state, event);
  if (state.activity.phase === "Preparing")
    return refuse(
      "rollout.phase",
      `${label(state, state.activity.rollout.candidate)} is being prepared at ${state.identity.name}`,
      { hint: "end its rollout first: `lastgood rollout abort`" },
    );
  return rollbackNow(
    state,
    {
      type: "rollback",
      operation: event.operation,
      actor: event.actor,
      reason: event.reason,
      rollbackId: event.rollbackId,
      trigger: "manual",
      choice: event.choice,
      named: false,
      again: false,
      keepStatus: false,
    },
    now,
  );
}
