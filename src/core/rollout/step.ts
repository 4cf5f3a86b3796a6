import type { Revision, RevisionStatus } from "../endpoint/index.ts";
import { LastgoodError, type ErrorCode, type ErrorParticulars } from "../errors/index.ts";
import { versionLabel } from "../version/index.ts";
import type { Effect, HistoryRecord, Transition } from "./effect.ts";
import type { EndpointEvent, EventType } from "./event.ts";
import {
  revisionOf,
  type Activity,
  type EndPhase,
  type EndpointState,
  type Phase,
  type Rollout,
} from "./state.ts";

/** An endpoint known to be in one phase. */
export type StateIn<P extends Phase> = EndpointState & {
  readonly activity: Extract<Activity, { phase: P }>;
};

/** An event of one type. */
export type EventOf<E extends EventType> = Extract<EndpointEvent, { type: E }>;

/** What every handler of the table gives. */
export type Step = Transition<EndpointState>;

/** A step without history. */
export function step(
  state: EndpointState,
  effects: readonly Effect[] = [],
  history: readonly HistoryRecord[] = [],
): Step {
  return { state, effects, history };
}

/** Nothing happens: the event is late or meant for something that is over. */
export function ignored(state: EndpointState): Step {
  return step(state);
}

/** @throws LastgoodError always; the state stays as it is. */
export function refuse(code: ErrorCode, message: string, particulars?: ErrorParticulars): never {
  throw new LastgoodError(code, message, particulars);
}

/** The state with one revision judged. */
export function judged(
  state: EndpointState,
  number: number,
  status: RevisionStatus,
  reason: string | null,
): EndpointState {
  return {
    ...state,
    changes: state.changes + 1,
    revisions: state.revisions.map((revision) =>
      revision.revision === number ? { ...revision, status, reason } : revision,
    ),
  };
}

/** The state with some fields of one revision replaced. */
export function amended(
  state: EndpointState,
  number: number,
  fields: Partial<Revision>,
): EndpointState {
  return {
    ...state,
    revisions: state.revisions.map((revision) =>
      revision.revision === number ? { ...revision, ...fields } : revision,
    ),
  };
}

/** The state in another activity. */
export function doing(state: EndpointState, activity: Activity): EndpointState {
  return { ...state, activity, changes: state.changes + 1 };
}

/** The state at rest, with the rollout that was under way put away as ended. */
export function ended(
  state: EndpointState,
  rollout: Rollout | null,
  end: { readonly phase: EndPhase; readonly reason: string | null; readonly now: number },
): EndpointState {
  return {
    ...doing(state, { phase: "Idle" }),
    lastRollout:
      rollout === null
        ? state.lastRollout
        : { rollout, phase: end.phase, endedAt: end.now, reason: end.reason },
  };
}

/** How people name a revision of the endpoint: `v1.1`. */
export function label(state: EndpointState, number: number | null): string {
  const revision = revisionOf(state, number);
  return revision === undefined ? "nothing" : versionLabel(revision.version);
}

/** Tells whoever waits, if anybody does. */
export function settle(
  operation: string | null,
  outcome: Extract<Effect, { do: "settle" }>["outcome"],
): readonly Effect[] {
  return operation === null ? [] : [{ do: "settle", operation, outcome }];
}

/** The facts every history entry about a revision carries. */
export function revisionFacts(
  state: EndpointState,
  number: number | null,
): Readonly<Record<string, unknown>> | null {
  const revision = revisionOf(state, number);
  return revision === undefined
    ? null
    : {
        version: versionLabel(revision.version),
        revision: revision.revision,
        digest: revision.digest,
      };
}

/** What the history of a rollback keeps of the log of what was left; nothing where nothing was read. */
export function logLinesOf({ logLines }: { readonly logLines?: readonly string[] }): {
  readonly logLines?: readonly string[];
} {
  return logLines === undefined ? {} : { logLines };
}
