import type { Signal } from "../../core/analysis/index.ts";
import type { Metric } from "../../core/policy/index.ts";
import type { StoreNouns } from "../../storage/store/index.ts";

/** A rollout under watch. */
export interface Watched {
  readonly endpoint: string;
  /** Names the evidence: what was given for it once is not given for it again. */
  readonly rollout: string;
  readonly candidate: number;
  /** Null where nothing served before. */
  readonly stable: number | null;
  readonly candidateVersion: string;
  readonly stableVersion: string | null;
  readonly metrics: readonly Metric[];
  /** ms since 1970: start of the watch. */
  readonly since: number;
  /** Splits so far, by rising time: when each began, ms since 1970. */
  readonly splits: readonly { readonly split: number; readonly from: number }[];
  /** Metrics of which the newest that is stored says that their source could not be read. */
  readonly broken: readonly string[];
}

/** Nouns of the transaction that stores what was given. */
export type ConfirmNouns = Pick<StoreNouns, "feedback" | "cursors">;

/** What sources saw since the last time, and how to remember that it was given. */
export interface Collected {
  /** By metric name; one that nothing is new of is left out, not even that its source is read again. */
  readonly signals: Readonly<Record<string, Signal>>;
  /**
   * To be called in the transaction that stores `signals`: both or neither. What was not confirmed
   * is given again by the next `collect`.
   * @throws `internal` when another `collect` of the same rollout was confirmed since.
   */
  confirm(nouns: ConfirmNouns): Promise<void>;
}

/** What one source saw beyond a cursor, and the cursor to go on from. */
export interface Seen {
  /** By metric name: without observations where it was read and has none, left out where it was not yet read. */
  readonly signals: Readonly<Record<string, Signal>>;
  /** JSON; it comes back once what was seen was confirmed. */
  readonly cursor: unknown;
  /** What the source itself has to store with it. */
  readonly confirm?: (nouns: ConfirmNouns) => Promise<void>;
}

/** One source of evidence other than the gateways' counts. A pure function of cursor and world. */
export interface SignalSource {
  /** Name of its cursor. */
  readonly name: string;
  /** Kinds of metrics it has something to say of. */
  readonly kinds: ReadonlySet<Metric["kind"]>;
  /** Says of what it cannot read why, as `broken`; never counts it as good or bad. */
  collect(watched: Watched, cursor: unknown, now: number): Promise<Seen>;
  /** Nobody watches the rollout any more. */
  forget?(rollout: string): void;
}

/** A signal of observations of both arms. */
export function signalOf(
  candidate: Signal["candidate"],
  stable: Signal["stable"] = { observations: 0, bad: 0 },
): Signal {
  return { candidate, stable, paired: null, broken: null };
}

/** The signal of a source that was read and has nothing new. */
export const NOTHING_NEW: Signal = signalOf({ observations: 0, bad: 0 });

/** The signal of a source that cannot be read. */
export function brokenSignal(why: string): Signal {
  const none = { observations: 0, bad: 0 };
  return { candidate: none, stable: none, paired: null, broken: why.slice(0, 300) };
}

/** True where the signal has something to say. */
export function saysSomething({ candidate, stable, paired, broken }: Signal): boolean {
  if (broken !== null || paired !== null) return true;
  return candidate.observations > 0 || stable.observations > 0;
}
