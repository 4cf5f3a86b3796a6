import {
  noArmCounts,
  noPairCounts,
  type ArmCounts,
  type PairCounts,
} from "../../core/analysis/index.ts";
import type { RedactedInputs } from "../../core/redaction/index.ts";

/*
 * What one worker counted: plain data, so that it crosses threads as it is.
 */

/** A loss that took requests with it; times are CLOCK_MONOTONIC, ms. */
export interface Incident {
  /** Admission of the one request that stands for it. */
  readonly from: number;
  readonly at: number;
  /** Which process died; null: the version could not be reached, or broke its answers off. */
  readonly process: string | null;
  /** The sticky key that it counts under, and as what; not counted before workers are merged. */
  readonly unit?: { readonly key: string; readonly outcome: number };
}

/** What became of one arm's requests in one window, in one worker. */
export interface ArmTally extends Omit<ArmCounts, "latency" | "outputs"> {
  readonly revision: number;
  /** By `latencySlot`. */
  readonly latency: Map<number, number>;
  readonly outputs: Map<string, number>;
  /** By feature and bin of the watch's reference set; empty until there is one. */
  inputs: number[][];
  /** Units whose inputs are among them. */
  sampled: number;
  /** What became of each sticky key: `OUTCOME` bits. Counted above only when workers are merged. */
  readonly keys: Map<string, number>;
  /** Losses that other workers may have seen too; those without a `unit` are among `errors`. */
  readonly incidents: Incident[];
}

/** One distinct error and how often it was seen. */
export interface ErrorTally {
  readonly revision: number;
  readonly message: string;
  count: number;
  requestId: string | null;
  /** Of the request with that id; null: not kept. */
  inputs: RedactedInputs | null;
}

/** A pair that stands for a loss, which other workers may have seen too. */
export interface PairIncident extends Incident {
  /** The revision that was lost. */
  readonly revision: number;
  readonly counted: PairVerdict;
}

/** What both versions made of one request that both answered. */
export interface PairSeen {
  readonly candidate: AnswerSeen;
  readonly stable: AnswerSeen;
}

/** An answer as it is compared. */
export interface AnswerSeen {
  /** Null where it had company: what that does to a copy is another thing than what it does to an original. */
  readonly run: Pick<LatencySlot, "rows" | "bucket"> | null;
  /** Null where it predicts nothing. */
  readonly label: string | null;
}

/** What a pair is counted as. */
export type PairVerdict = "onlyCandidateBad" | "onlyStableBad" | "bothBad" | "disagreed" | null;

/** What one worker counted in one window. */
export interface WindowTally {
  /** The route's interval: rises with each change of the split. */
  readonly interval: number;
  /** `floor(CLOCK_MONOTONIC / flushMs)` of its admissions, the same in every worker. */
  readonly tick: number;
  readonly arms: readonly ArmTally[];
  readonly pairs: Omit<PairCounts, "latency" | "outputs">;
  /** Of `pairs`, those whose answers are looked at. */
  readonly pairsSeen: PairSeen[];
  /** Of `pairs`. */
  readonly pairIncidents: PairIncident[];
  readonly errors: ErrorTally[];
}

/** Through which a worker has told all that it will ever tell. */
export const LAST_TICK = Number.MAX_SAFE_INTEGER;

/** Everything up to here is closed and told. */
export interface Through {
  readonly interval: number;
  readonly tick: number;
}

/** What a worker tells of an endpoint: windows in their order, and how far it has got. */
export interface EvidenceReport {
  readonly endpoint: string;
  readonly windows: readonly WindowTally[];
  readonly through: Through;
}

/** What became of a request, or of all requests of a key together. */
export const OUTCOME = {
  counted: 1,
  error: 2,
  invalid: 4,
  late: 8,
  rejected: 16,
  fallback: 32,
  fallbackFailed: 128,
  /** Answered by the version: its time and its output are known. */
  answered: 64,
} as const;

/**
 * Keys told apart in one window of a worker; further ones are left out. Counted by their requests they
 * would be other units than those of the smaller arm, which has room for all of its own.
 */
const MOST_KEYS = 10_000;
/** Distinct errors told of one window. */
const MOST_ERRORS = 20;
const MESSAGE_CHARACTERS = 500;

/** Room for the buckets of one batch size: they lie within ±1023. */
const SLOT_SPAN = 2_048;

/** Room for the rows of one number of others in flight, which is told up to `MOST_BESIDE`. */
const ROWS_SPAN = 2 ** 31;
const MOST_BESIDE = 1_023;

/** What one run took, and had to do. */
export interface LatencySlot {
  readonly rows: number;
  /** Other requests in flight, as `runOf` counts them; 0 at what runs one frame at a time. */
  readonly beside: number;
  /** More of them came, and its time is compared with none that may have had fewer. */
  readonly moreCame: boolean;
  /** Of `latencyBucket`. */
  readonly bucket: number;
}

/** All of it in one number: a whole one that a double holds exactly. */
export function latencySlot({ rows, beside, moreCame, bucket }: LatencySlot): number {
  const crowd = 2 * Math.min(beside, MOST_BESIDE) + Number(moreCame);
  return (crowd * ROWS_SPAN + rows) * SLOT_SPAN + bucket + SLOT_SPAN / 2;
}

/** What `latencySlot` was made of. */
export function slotParts(slot: number): LatencySlot {
  const work = Math.floor(slot / SLOT_SPAN);
  const crowd = Math.floor(work / ROWS_SPAN);
  return {
    rows: work - crowd * ROWS_SPAN,
    beside: Math.floor(crowd / 2),
    moreCame: crowd % 2 === 1,
    bucket: slot - work * SLOT_SPAN - SLOT_SPAN / 2,
  };
}

/** An arm that did nothing. */
export function newArm(revision: number): ArmTally {
  return {
    ...noArmCounts(),
    revision,
    latency: new Map(),
    outputs: new Map(),
    inputs: [],
    sampled: 0,
    keys: new Map(),
    incidents: [],
  };
}

/** A window in which nothing happened. */
export function newWindow(
  interval: number,
  tick: number,
  revisions: readonly number[],
): WindowTally {
  return {
    interval,
    tick,
    arms: revisions.map(newArm),
    pairs: noPairCounts(),
    pairsSeen: [],
    pairIncidents: [],
    errors: [],
  };
}

/** True where nothing was counted. */
export function isEmpty({ arms, pairs }: WindowTally): boolean {
  return (
    pairs.pairs === 0 &&
    arms.every(
      (arm) =>
        arm.requests + arm.violations + arm.aborted + arm.shed === 0 &&
        arm.keys.size + arm.incidents.length === 0,
    )
  );
}

/** Counts one unit. */
export function addUnit(arm: ArmTally, outcome: number): void {
  arm.requests += outcome & OUTCOME.counted;
  // The usual outcome has none of the other bits that are counted.
  if ((outcome & ~(OUTCOME.counted | OUTCOME.answered)) === 0) return;
  if ((outcome & OUTCOME.error) !== 0) arm.errors += 1;
  if ((outcome & OUTCOME.invalid) !== 0) arm.invalid += 1;
  if ((outcome & OUTCOME.late) !== 0) arm.late += 1;
  if ((outcome & OUTCOME.rejected) !== 0) arm.rejected += 1;
  if ((outcome & OUTCOME.fallback) !== 0) arm.fallback += 1;
  if ((outcome & OUTCOME.fallbackFailed) !== 0) arm.fallbackFailed += 1;
}

/**
 * Counts what became of a request: as a unit, or as part of what became of its key.
 * @returns whether its unit had not been answered before.
 */
export function addRequest(arm: ArmTally, outcome: number, key: string | null): boolean {
  if (key !== null) {
    const known = arm.keys.get(key);
    if (known === undefined && arm.keys.size >= MOST_KEYS) {
      arm.aborted += 1;
      return false;
    }
    arm.keys.set(key, (known ?? 0) | outcome);
    return ((known ?? 0) & OUTCOME.answered) === 0;
  }
  addUnit(arm, outcome);
  return true;
}

/** One more of a label in a histogram. */
export function bump<K>(histogram: Map<K, number>, at: K, by = 1): void {
  histogram.set(at, (histogram.get(at) ?? 0) + by);
}

/** Counts one pair; `by` -1 takes it back. */
export function addPair(pairs: WindowTally["pairs"], verdict: PairVerdict, by = 1): void {
  pairs.pairs += by;
  if (verdict !== null) pairs[verdict] += by;
}

/**
 * Notes an error and gives it as it is noted now; null: of distinct ones beyond the first few only the
 * counts of the arm tell.
 */
export function addError(errors: ErrorTally[], told: Readonly<ErrorTally>): ErrorTally | null {
  const message = told.message.slice(0, MESSAGE_CHARACTERS);
  const known = errors.find((each) => each.message === message && each.revision === told.revision);
  if (known === undefined) {
    if (errors.length >= MOST_ERRORS) return null;
    const error = { ...told, message };
    errors.push(error);
    return error;
  }
  known.count += told.count;
  if (known.inputs === null && told.inputs !== null) {
    known.inputs = told.inputs;
    known.requestId = told.requestId;
  }
  return known;
}
