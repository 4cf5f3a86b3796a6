import * as z from "zod";

const count = z.number().int().nonnegative();

/** Bucket number and how many fell into it. */
const histogramSchema = z.array(z.tuple([z.number().int(), z.number().int().positive()]));

/**
 * What became of the requests that one arm was assigned within an interval. A request belongs to the
 * interval in which it was admitted; those past the deadline are errors and never count again.
 *
 * `requests`, and what is counted of them, are in units of what the split assigned: a request, or a
 * sticky key with all its requests of the interval.
 */
export const armCountsSchema = z.object({
  /** Ended, or past the deadline: what the split assigned, without `violations` and `aborted`. */
  requests: count,
  /** The version's failures: at most one per unit, and one per incident. */
  errors: count,
  /** Of `errors`: outputs that break the signature, hold NaN or infinity. */
  invalid: count,
  /** Of `errors`: past the deadline. */
  late: count,
  /** 4xx of the version itself although the contract was kept (`process`, `remote`). */
  rejected: count,
  /** Callers' mistakes by the contract: counted against nobody. */
  violations: count,
  /**
   * In no test: died with another request's incident; of a sticky key, failed again what it had failed
   * before; keys beyond those that are told apart.
   */
  aborted: count,
  /** Assigned, and let go by the gateway (too busy, switching, nobody waits): in no test but the split's. */
  shed: count.default(0),
  /** Answered by stable instead, of `errors`. */
  fallback: count,
  /** Of `errors`: tried on stable as well, which failed them too. */
  fallbackFailed: count,
  /**
   * The version's own time, in buckets of `latencyBucket`, by what it had to do at a time
   * (`latencyBatch`). A run that several requests share is one observation.
   */
  latency: z.record(z.string(), histogramSchema),
  /** Predicted class, or bin of a numeric prediction (`outputBinLabel`), of a unit's first row. */
  outputs: z.record(z.string().max(100), count),
  /**
   * Inputs by feature and bin of the watch's reference set, each unit's first row, of the first units
   * of each worker. Empty where none is watched.
   */
  inputs: z.array(z.array(count).max(100)).max(100).default([]),
});

/** What became of the requests that one arm was assigned within an interval. */
export type ArmCounts = z.infer<typeof armCountsSchema>;

/** Requests that both revisions were given. */
export const pairCountsSchema = z.object({
  pairs: count,
  /** Failed by the candidate, answered by stable. */
  onlyCandidateBad: count,
  /** Failed by stable, answered by the candidate. */
  onlyStableBad: count,
  /** Failed by both; a gateway that does not tell counts them among those that both answered. */
  bothBad: count.default(0),
  /** Both answered, differently (another class, or a number beyond the tolerance). */
  disagreed: count,
  /** No pairs: meant to be, and the other revision was too busy to be asked, or not there. */
  skipped: count.default(0),
  /**
   * Of pairs that both answered, or of a share of them that chance chose: both versions' own times, where
   * both had as much to do and no company, by that (`latencyBatch`): bucket of the candidate's, of stable's, how many.
   */
  latency: z
    .record(z.string(), z.array(z.tuple([z.number().int(), z.number().int(), count])))
    .default({}),
  /** Of the same: what the candidate predicted, as `outputs` of an arm has it, what stable did, how many. */
  outputs: z.array(z.tuple([z.string().max(100), z.string().max(100), count])).default([]),
});

/** Requests that both revisions were given. */
export type PairCounts = z.infer<typeof pairCountsSchema>;

const lossSchema = z.number().min(0).max(1);

/** The counts of both arms. */
export interface Arms {
  readonly candidate: ArmCounts;
  readonly stable: ArmCounts;
}

/** What an interval compares: the arms, or pairs that stand for them. */
export interface Compared {
  /** Both with at least one request, several intervals merged if needed; null: nothing to compare. */
  readonly arms: Arms | null;
  readonly pairs: PairCounts | null;
}

/** Pairs whose answers are looked at in each interval of a gateway, about: of more, chance chooses. */
export const MOST_PAIRS_SEEN = 100;

/** What is known of the answers of both revisions to the same requests. */
const pairedSignalSchema = z.object({
  /** Those that were right or wrong. */
  pairs: count,
  onlyCandidateBad: count,
  onlyStableBad: count,
  bothBad: count.default(0),
  /** Of further ones: how bad the candidate's answer was, and stable's. */
  losses: z.array(z.tuple([lossSchema, lossSchema])).default([]),
});

const signalArmSchema = z.object({
  observations: z.number().nonnegative(),
  /** At most `observations`; fractions where a loss in [0, 1] is summed. */
  bad: z.number().nonnegative(),
});

/** What a source other than the gateway saw of both arms within an interval. */
export const signalSchema = z.object({
  candidate: signalArmSchema,
  stable: signalArmSchema,
  /** Both revisions answered the same request; such ones are not among those of the arms. */
  paired: pairedSignalSchema.nullable().default(null),
  /** Why the source could not be read, or null. */
  broken: z.string().nullable().default(null),
  /** Under which the requests were admitted that it tells of; absent: the interval's. */
  split: z.number().int().optional(),
  /** Of checks: why the last one of the arm that failed did, in words. */
  failure: z
    .object({ candidate: z.string().max(300).nullable(), stable: z.string().max(300).nullable() })
    .optional(),
});

/** What a source other than the gateway saw of both arms within an interval. */
export type Signal = z.infer<typeof signalSchema>;

/** Everything that is known of one interval of a rollout; stored, so that verdicts can be recomputed. */
export const intervalSchema = z.object({
  /** ms since 1970: its first admission could have been then, its last before `to`. */
  from: z.number(),
  to: z.number(),
  /** One split as one gateway process had it, told from all others of the watch: constant within an interval. */
  split: z.number().int(),
  /** The chance by which the gateway gave each request to the candidate; null where it had no say (sticky keys). */
  candidateShare: z.number().min(0).max(1).nullable(),
  candidate: armCountsSchema,
  /** All zero where no stable revision had traffic. */
  stable: armCountsSchema,
  pairs: pairCountsSchema,
  /** By metric name, of requests that were admitted under this split. */
  signals: z.record(z.string(), signalSchema),
  /** Records that were lost on their way here. */
  gaps: count,
});

/** Everything that is known of one interval of a rollout. */
export type Interval = z.infer<typeof intervalSchema>;

/** Width of a latency bucket: neighbours differ by about 2 %, so a time is known to 1 %. */
const LATENCY_GAMMA = 1.02;

/** The bucket of a duration: its upper edge is `latencyEdgeMs`. Durations up to 1 µs share one. */
export function latencyBucket(ms: number): number {
  return Math.ceil(Math.log(Math.max(ms, 1e-3)) / Math.log(LATENCY_GAMMA));
}

/** Upper edge of a bucket, ms. */
export function latencyEdgeMs(bucket: number): number {
  return LATENCY_GAMMA ** bucket;
}

/** Batches whose rows differ by less than this share of them are of one size. */
const BATCH_BITS = 4;

/**
 * How many rows were run together, rounded down by 1/16 at the most; up to 31 exactly. The busier arm
 * has the larger batches: what is one size must not differ by as much as a tolerated slowdown.
 */
export function batchRows(rows: number): number {
  const whole = Math.max(1, rows);
  const shift = Math.max(0, 31 - Math.clz32(whole) - BATCH_BITS);
  return (whole >>> shift) << shift;
}

/**
 * Names what a version had to do at a time: rows that it ran together and, at a server that takes several
 * requests at a time, how many others it had in flight: `8`, or `1+3`. Only times of one name are compared.
 * A last `+` says that more came, in the arm that may have more of them: stable has no such names.
 */
export function latencyBatch({
  rows,
  beside,
  moreCame,
}: {
  readonly rows: number;
  readonly beside: number;
  readonly moreCame: boolean;
}): string {
  const crowd = beside > 0 ? `+${batchRows(beside)}` : "";
  return `${batchRows(rows)}${crowd}${moreCame ? "+" : ""}`;
}

/** Whether others were in flight beside the times of this name. */
export function hasCompany(batch: string): boolean {
  return batch.includes("+");
}

/** Bins of numeric predictions: neighbours differ by a quarter, what is below a billionth is 0. */
const BIN_GAMMA = 1.25;
const SMALLEST_BIN = Math.floor(Math.log(1e-9) / Math.log(BIN_GAMMA));

/** The bin of a numeric prediction, a whole number: below 0 for negative ones, 0 for 0. */
export function outputBin(value: number): number {
  if (!Number.isFinite(value)) return 0;
  const size = Math.floor(Math.log(Math.abs(value)) / Math.log(BIN_GAMMA)) - SMALLEST_BIN;
  if (size <= 0) return 0;
  return value < 0 ? 0 - size : size;
}

/** How a bin is named in `outputs`: `~` and the end of it that is nearer to 0. */
export function outputBinLabel(bin: number): string {
  if (bin === 0) return "~0";
  const edge = BIN_GAMMA ** (Math.abs(bin) + SMALLEST_BIN);
  return `~${bin < 0 ? "-" : ""}${Number(edge.toPrecision(3))}`;
}

const BIN_LABEL = /^~(-?\d[\d.e+-]*)$/;

/** The number that a bin is named by, or null where the label is no bin's. */
export function binValue(label: string): number | null {
  const found = BIN_LABEL.exec(label);
  const value = Number(found?.[1] ?? Number.NaN);
  return Number.isFinite(value) ? value : null;
}

/** An arm that did nothing. */
export function noArmCounts(): ArmCounts {
  return {
    requests: 0,
    errors: 0,
    invalid: 0,
    late: 0,
    rejected: 0,
    violations: 0,
    aborted: 0,
    shed: 0,
    fallback: 0,
    fallbackFailed: 0,
    latency: {},
    outputs: {},
    inputs: [],
  };
}

/** No pairs. */
export function noPairCounts(): PairCounts {
  return {
    pairs: 0,
    onlyCandidateBad: 0,
    onlyStableBad: 0,
    bothBad: 0,
    disagreed: 0,
    skipped: 0,
    latency: {},
    outputs: [],
  };
}

type Histogram = ArmCounts["latency"][string];

/** By rising bucket, as most histograms are already. */
export function rising(histogram: Histogram): Histogram {
  let last = -Infinity;
  for (const [bucket] of histogram) {
    if (bucket <= last) return histogram.toSorted(([a], [b]) => a - b);
    last = bucket;
  }
  return histogram;
}

/** Both histograms together, by rising bucket. */
export function addHistograms(one: Histogram, other: Histogram): Histogram {
  const [left, right] = [rising(one), rising(other)];
  if (left.length === 0) return right;
  if (right.length === 0) return left;
  const sums: Histogram = [];
  let at = 0;
  for (const pair of left) {
    for (let next = right[at]; next !== undefined && next[0] < pair[0]; next = right[at]) {
      sums.push(next);
      at += 1;
    }
    const same = right[at];
    if (same?.[0] === pair[0]) {
      sums.push([pair[0], pair[1] + same[1]]);
      at += 1;
    } else sums.push(pair);
  }
  return [...sums, ...right.slice(at)];
}

/** Merged by key; keys come from models, so `constructor` is one like any other. */
function merged<Value>(
  one: Readonly<Record<string, Value>>,
  other: Readonly<Record<string, Value>>,
  add: (a: Value, b: Value) => Value,
): Record<string, Value> {
  const sums = new Map(Object.entries(one));
  for (const [key, value] of Object.entries(other)) {
    const before = sums.get(key);
    sums.set(key, before === undefined ? value : add(before, value));
  }
  return Object.fromEntries(sums);
}

/** Latencies of both, by batch. */
export function addLatencies(
  one: ArmCounts["latency"],
  other: ArmCounts["latency"],
): ArmCounts["latency"] {
  return merged(one, other, addHistograms);
}

/** Outputs of both, by class or bin. */
export function addOutputs(
  one: ArmCounts["outputs"],
  other: ArmCounts["outputs"],
): ArmCounts["outputs"] {
  return merged(one, other, (a, b) => a + b);
}

/** Inputs of both, by feature and bin. */
export function addInputs(one: ArmCounts["inputs"], other: ArmCounts["inputs"]): number[][] {
  const [longer, shorter] = one.length >= other.length ? [one, other] : [other, one];
  return longer.map((bins, feature) => {
    const more = shorter[feature] ?? [];
    return Array.from(
      { length: Math.max(bins.length, more.length) },
      (_, bin) => (bins[bin] ?? 0) + (more[bin] ?? 0),
    );
  });
}

/** Both counts together. */
export function addArmCounts(one: ArmCounts, other: ArmCounts): ArmCounts {
  return {
    requests: one.requests + other.requests,
    errors: one.errors + other.errors,
    invalid: one.invalid + other.invalid,
    late: one.late + other.late,
    rejected: one.rejected + other.rejected,
    violations: one.violations + other.violations,
    aborted: one.aborted + other.aborted,
    shed: one.shed + other.shed,
    fallback: one.fallback + other.fallback,
    fallbackFailed: one.fallbackFailed + other.fallbackFailed,
    latency: addLatencies(one.latency, other.latency),
    outputs: addOutputs(one.outputs, other.outputs),
    inputs: addInputs(one.inputs, other.inputs),
  };
}

/** Both counts together. */
export function addPairCounts(one: PairCounts, other: PairCounts): PairCounts {
  return {
    pairs: one.pairs + other.pairs,
    onlyCandidateBad: one.onlyCandidateBad + other.onlyCandidateBad,
    onlyStableBad: one.onlyStableBad + other.onlyStableBad,
    bothBad: one.bothBad + other.bothBad,
    disagreed: one.disagreed + other.disagreed,
    skipped: one.skipped + other.skipped,
    latency: merged(one.latency, other.latency, addJoint),
    outputs: addJoint(one.outputs, other.outputs),
  };
}

/** How often two things came together. */
type Joint<T> = [candidate: T, stable: T, times: number][];

/** Both together, in the order in which they first came. */
export function addJoint<T extends string | number>(one: Joint<T>, other: Joint<T>): Joint<T> {
  const sums = new Map<T, Map<T, number>>();
  for (const [candidate, stable, times] of [...one, ...other]) {
    const row = sums.get(candidate) ?? new Map<T, number>();
    sums.set(candidate, row);
    row.set(stable, (row.get(stable) ?? 0) + times);
  }
  return [...sums].flatMap(([candidate, row]) =>
    [...row].map(([stable, times]): Joint<T>[number] => [candidate, stable, times]),
  );
}
