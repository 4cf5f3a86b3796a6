import type { Interval, Signal } from "./interval.ts";
import { addArms, addJudged, NOTHING, pairArms, takeWhole, type JudgedArms } from "./judged.ts";
import { NO_INPUT, type RateInput } from "./rate-test.ts";

/** What a signal has that one arm still waits for the other with; sums of losses can be fractions. */
interface WaitingSignal {
  readonly split: number;
  readonly arms: JudgedArms;
}

/** Splits, beside the one that is told of, whose other arm is still waited for. */
const MOST_WAITING = 100;

/** What of a signal is kept for its next interval. Plain JSON. */
export interface SignalRest {
  readonly waiting: readonly WaitingSignal[];
  /** The rest of the candidate's observations that is no whole one yet, for the limit. */
  readonly rest: JudgedArms["candidate"];
}

/** A metric's signal in an interval, where its source had one. */
export function signalOf(interval: Interval, name: string): Signal | null {
  return (Object.hasOwn(interval.signals, name) ? interval.signals[name] : undefined) ?? null;
}

/** What each arm did by itself. */
export function signalArms({ candidate, stable }: Signal): JudgedArms {
  return {
    candidate: { requests: candidate.observations, bad: candidate.bad },
    stable: { requests: stable.observations, bad: stable.bad },
  };
}

/** What both did with requests that both answered. */
function pairedArms({ paired }: Signal): JudgedArms {
  if (paired === null) return { candidate: NOTHING, stable: NOTHING };
  let arms = pairArms(paired);
  for (const [candidate, stable] of paired.losses)
    arms = addArms(arms, {
      candidate: { requests: 1, bad: candidate },
      stable: { requests: 1, bad: stable },
    });
  return arms;
}

/** All that a signal saw. */
export function signalSeen(signal: Signal): JudgedArms {
  return addArms(signalArms(signal), pairedArms(signal));
}

/** The signal of an interval as a test takes it: whole observations of both arms, under one split. */
export function signalInput(
  left: SignalRest,
  now: number,
  signal: Signal | null,
): { readonly input: RateInput } & SignalRest {
  const { rest } = left;
  if (signal === null || signal.broken !== null)
    return { input: NO_INPUT, waiting: left.waiting, rest };
  const split = signal.split ?? now;
  const before = left.waiting.find((one) => one.split === split) ?? null;
  const fresh = signalArms(signal);
  const own = takeWhole(addJudged(rest, signalSeen(signal).candidate));
  const candidate = own.taken.requests === 0 ? null : own.taken;
  const { paired } = signal;
  const arms = before === null ? fresh : addArms(before.arms, fresh);
  const [ours, theirs] = [takeWhole(arms.candidate), takeWhole(arms.stable)];
  const ready = ours.taken.requests > 0 && theirs.taken.requests > 0;
  return {
    input: {
      ...NO_INPUT,
      arms: ready ? [{ candidate: ours.taken, stable: theirs.taken }] : [],
      pairs: paired !== null && paired.pairs > 0 ? paired : null,
      losses: (paired?.losses ?? []).map(([loss, beside]) => ({ candidate: loss, stable: beside })),
      candidate,
    },
    waiting: [
      ...left.waiting.filter((one) => one !== before).slice(-MOST_WAITING),
      { split, arms: ready ? { candidate: ours.left, stable: theirs.left } : arms },
    ],
    rest: own.left,
  };
}
