/** How histories are recorded: one JSON line for each event, with what it led to. */
import { LastgoodError } from "../../src/core/errors/index.ts";
import {
  armsOf,
  type Arm,
  type Effect,
  type EndpointEvent,
  type EndpointState,
  type HistoryRecord,
} from "../../src/core/rollout/index.ts";

/** First line of a recorded life: the endpoint as it begins. */
export interface Beginning {
  readonly release: string;
  readonly state: EndpointState;
}

/** What an event led to, as far as every later release has to agree. */
export interface Consequence {
  readonly phase: string;
  readonly current: number | null;
  readonly arms: readonly Arm[];
  readonly statuses: readonly string[];
  readonly changes: number;
  readonly history: readonly string[];
  readonly effects: readonly string[];
}

/** One line of a recorded life. */
export interface RecordedEvent {
  readonly now: number;
  /** Its errors as they travel. */
  readonly event: Readonly<Record<string, unknown>>;
  /** Code of the refusal; what an event led to otherwise. */
  readonly refused: string | null;
  readonly led: Consequence | null;
}

/** Last line of a recorded life: the state it ended in. */
export interface End {
  readonly end: EndpointState;
}

/** What is compared of a step. */
export function consequence(
  state: EndpointState,
  effects: readonly Effect[],
  history: readonly HistoryRecord[],
): Consequence {
  return {
    phase: state.activity.phase,
    current: state.current,
    arms: armsOf(state),
    statuses: state.revisions.map(({ revision, status }) => `${revision} ${status}`),
    changes: state.changes,
    history: history.map(({ kind }) => kind),
    effects: effects.map((effect) => effect.do),
  };
}

/** An event as a line has it. */
export function toRecord(event: EndpointEvent): RecordedEvent["event"] {
  return "error" in event ? { ...event, error: event.error.toBody() } : { ...event };
}

/** The event of a line. */
export function fromRecord(event: RecordedEvent["event"]): EndpointEvent {
  const { error } = event;
  const told =
    error === undefined
      ? event
      : {
          ...event,
          error: LastgoodError.fromBody(error as ReturnType<LastgoodError["toBody"]>),
        };
  // Written by the release that is named in the first line.
  return told as unknown as EndpointEvent;
}
