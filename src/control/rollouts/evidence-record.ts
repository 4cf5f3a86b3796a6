import * as z from "zod";

import {
  intervalSchema,
  noArmCounts,
  noPairCounts,
  signalSchema,
  type AnalysisPlan,
  type ArmCounts,
  type Interval,
  type Signal,
} from "../../core/analysis/index.ts";
import type { ErrorInputs } from "../../core/redaction/index.ts";
import { evidenceSchema, type Evidence } from "../../link/count/index.ts";
import type { EvidenceRecord, StoredEvidence } from "../../storage/store/index.ts";
import { SplitNumbers, splitNumbersSchema, type NumberedSplit } from "./split-numbers.ts";

/** Under which name the evidence about a revision at rest is stored: what a later rollout compares with. */
export function baselineId(endpoint: string, revision: number): string {
  return `baseline ${endpoint} ${revision}`;
}

const PLAN_SOURCE = "plan";
const SIGNALS_SOURCE = "signals";

const signalsSchema = z.object({
  from: z.number(),
  to: z.number(),
  signals: z.record(z.string(), signalSchema),
});

/**
 * What a gateway saw, as it is stored: its source and number make it one. Inputs are left out unless they
 * may be kept: a gateway that outlived a change of that may not have heard of it.
 */
export function gatewayRecord(
  evidence: Evidence,
  errorInputs: ErrorInputs = "none",
): EvidenceRecord {
  const { errors } = evidence;
  const isToKeep = errorInputs !== "none" || errors.every(({ inputs }) => inputs === null);
  return {
    watch: evidence.rollout,
    source: `gateway ${evidence.gateway} ${evidence.incarnation}`,
    sequence: evidence.sequence,
    endpoint: evidence.endpoint,
    at: evidence.to,
    body: isToKeep
      ? evidence
      : { ...evidence, errors: errors.map((error) => ({ ...error, inputs: null })) },
  };
}

/** How a watch is judged, frozen with its first record. */
export function planRecord(
  watch: { readonly id: string; readonly endpoint: string },
  plan: AnalysisPlan,
  at: number,
): EvidenceRecord {
  return {
    watch: watch.id,
    source: PLAN_SOURCE,
    sequence: 0,
    endpoint: watch.endpoint,
    at,
    body: plan,
  };
}

/** What other sources saw of both arms. */
export function signalsRecord(
  watch: { readonly id: string; readonly endpoint: string },
  seen: {
    readonly sequence: number;
    readonly from: number;
    readonly to: number;
    readonly signals: Readonly<Record<string, Signal>>;
  },
): EvidenceRecord {
  const { sequence, from, to, signals } = seen;
  return {
    watch: watch.id,
    source: SIGNALS_SOURCE,
    sequence,
    endpoint: watch.endpoint,
    at: to,
    body: { from, to, signals },
  };
}

/** The plan among the records of a watch, or null. */
export function planIn(records: readonly StoredEvidence[]): AnalysisPlan | null {
  const record = records.find(({ source }) => source === PLAN_SOURCE);
  // Written by this module alone, and never changed.
  return record === undefined ? null : (record.body as AnalysisPlan);
}

/** What a gateway said in a record, or null where the record is another source's. */
export function evidenceIn(record: StoredEvidence): Evidence | null {
  return record.source.startsWith("gateway ") ? evidenceSchema.parse(record.body) : null;
}

/** Number of the newest signals among the records, or -1. */
export function lastSignals(records: readonly StoredEvidence[]): number {
  return Math.max(
    -1,
    ...records.filter(({ source }) => source === SIGNALS_SOURCE).map(({ sequence }) => sequence),
  );
}

/** Who is compared. */
export interface Compared {
  readonly candidate: number;
  readonly stable: number | null;
}

/** Up to where a gateway told, in whichever incarnation. */
const toldSchema = z.object({
  gateway: z.string().max(1_000),
  /** ms since 1970. */
  to: z.number(),
  /** The incarnation ended with it, in order. */
  ended: z.boolean(),
});
type Told = z.infer<typeof toldSchema>;

/** Where a reader stopped: the newest split, and by source the number that is to come. */
export const readerStateSchema = z.object({
  split: z.number().int(),
  expected: z.array(z.tuple([z.string().max(1_000), z.number().int()])).max(1_000),
  told: z.array(toldSchema).max(1_000).default([]),
  /** How long an interval is, by the plan; null before it was read, ms. */
  flushMs: z.number().positive().nullable().default(null),
  /** When the newest split began, ms since 1970; null where that was not noted. */
  since: z.number().nullable().default(null),
  splits: splitNumbersSchema.default([]),
});

const paceSchema = z.object({ analysis: z.object({ flushMs: z.number().positive() }) });

/** Where a reader stopped. */
export type ReaderState = z.infer<typeof readerStateSchema>;

/**
 * Turns the records of one watch, in their order, into the intervals that are judged. A hole in a
 * source's numbers is a gap. So is the time from the last record of a gateway that did not end in order
 * to the first one of its next incarnation: of none of these intervals anybody knows what it saw.
 */
export class IntervalReader {
  readonly #compared: Compared;
  readonly #expected: Map<string, number>;
  readonly #told: Map<string, Told>;
  #flushMs: number | null;
  readonly #splits: SplitNumbers;

  /** `state`: where another reader of the same watch stopped. */
  constructor(compared: Compared, state?: ReaderState) {
    this.#compared = compared;
    this.#expected = new Map(state?.expected);
    this.#told = new Map(state?.told.map((told) => [told.gateway, told]));
    this.#flushMs = state?.flushMs ?? null;
    this.#splits = new SplitNumbers(
      state && {
        newest: { split: state.split, from: state.since ?? -Infinity },
        bySource: state.splits,
      },
    );
  }

  /** To go on from here with another reader. */
  get state(): ReaderState {
    const { newest, bySource } = this.#splits;
    return {
      split: newest.split,
      since: Number.isFinite(newest.from) ? newest.from : null,
      splits: bySource,
      expected: [...this.#expected],
      told: [...this.#told.values()],
      flushMs: this.#flushMs,
    };
  }

  /** The splits that were read, by rising time. */
  get splits(): readonly NumberedSplit[] {
    return this.#splits.all;
  }

  /** The interval of the next record, or null where it is none. */
  next(record: StoredEvidence): Interval | null {
    if (record.source === PLAN_SOURCE) {
      this.#flushMs = paceSchema.safeParse(record.body).data?.analysis.flushMs ?? null;
      return null;
    }
    if (record.source === SIGNALS_SOURCE) return this.#ofSignals(record);
    const evidence = evidenceSchema.parse(record.body);
    const missing = this.#missing(record.source, evidence);
    return {
      from: evidence.from,
      to: evidence.to,
      split: this.#splits.of(record.source, evidence.split, evidence.from),
      candidateShare: evidence.candidateShare,
      candidate: this.#arm(evidence, this.#compared.candidate),
      stable: this.#arm(evidence, this.#compared.stable),
      pairs: evidence.pairs,
      signals: {},
      gaps: missing + evidence.lost,
    };
  }

  /** Intervals that are missing before a record. */
  #missing(source: string, { gateway, sequence, from, to, ends }: Evidence): number {
    const expected = this.#expected.get(source);
    const told = this.#told.get(gateway);
    this.#expected.set(source, sequence + 1);
    if (told === undefined || to >= told.to)
      this.#told.set(gateway, { gateway, to, ended: ends ?? false });
    if (expected !== undefined) return Math.max(0, sequence - expected);
    // One whose first record this is not told of another watch meanwhile.
    if (told === undefined || told.ended || sequence > 0) return 0;
    const hole = Math.max(0, from - told.to);
    return Math.ceil(hole / (this.#flushMs ?? Math.max(1, hole)));
  }

  #arm(evidence: Evidence, revision: number | null): ArmCounts {
    return evidence.arms.find((arm) => arm.revision === revision)?.counts ?? noArmCounts();
  }

  #ofSignals(record: StoredEvidence): Interval {
    const { from, to, signals } = signalsSchema.parse(record.body);
    return intervalSchema.parse({
      from,
      to,
      split: this.#splits.newest.split,
      candidateShare: null,
      candidate: noArmCounts(),
      stable: noArmCounts(),
      pairs: noPairCounts(),
      signals,
      gaps: 0,
    });
  }
}
