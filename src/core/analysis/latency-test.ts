import { promotionBet, splitBet, type EProcess } from "../evidence/index.ts";
import type { Tolerance } from "../policy/index.ts";
import { bucketAt, sizeOf, slowerThan, tailsOf, type Histogram } from "./histogram.ts";
import { addLatencies, latencyBucket, latencyEdgeMs, type ArmCounts } from "./interval.ts";
import { addArms, clampCentre, ENOUGH_TO_FREEZE, NOTHING, type JudgedArms } from "./judged.ts";
import { advance, averageOf, MOST_DISPERSION, startRegression, startSafety } from "./process.ts";
import { addSpread, NO_SPREAD, spreadIndex, type Spread } from "./spread.ts";

/** The quantiles whose edges are compared when the policy names none. */
export const QUANTILES: readonly number[] = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999];

/** Where "slow" begins, for one quantile and one batch size; frozen before it is used. */
export interface LatencyEdge {
  /** Stable is slow above this bucket. */
  readonly stable: number;
  /** The candidate is slow above this one: later by what is tolerated. */
  readonly candidate: number;
  /** The share of stable's requests that was above, as known beforehand. */
  readonly centre: number;
}

/** How latency is tested; frozen. */
export interface LatencyTestPlan {
  readonly quantiles: readonly number[];
  /** A fraction, and at least so many ms. */
  readonly slower: number;
  readonly atLeastMs: number;
  /** By batch: one edge for each quantile. A batch that is not in it has not been seen enough. */
  readonly edges: Readonly<Record<string, readonly LatencyEdge[]>>;
  /** By batch: what stable did, of those without edges. */
  readonly gathered: ArmCounts["latency"];
  /** By quantile. */
  readonly dispersion: readonly number[];
  /** Whether what stable does in the watch can raise the dispersion. */
  readonly adaptive: boolean;
  readonly margin: Tolerance | null;
}

/** Where such a test stands. Plain JSON. */
export interface LatencyTestState {
  readonly edges: LatencyTestPlan["edges"];
  readonly gathered: ArmCounts["latency"];
  /** By quantile. */
  readonly compared: readonly EProcess[];
  readonly safe: readonly EProcess[];
  readonly spread: readonly Spread[];
}

/** The edges of one batch, from what stable did; null while that is not enough. */
function freezeEdges(
  histogram: Histogram,
  { quantiles, slower, atLeastMs }: Pick<LatencyTestPlan, "quantiles" | "slower" | "atLeastMs">,
): readonly LatencyEdge[] | null {
  const size = sizeOf(histogram);
  if (size < ENOUGH_TO_FREEZE) return null;
  return quantiles.map((quantile) => {
    const stable = bucketAt(histogram, 1 - quantile) ?? 0;
    const edge = latencyEdgeMs(stable);
    return {
      stable,
      candidate: latencyBucket(Math.max(edge * (1 + slower), edge + atLeastMs)),
      centre: clampCentre(slowerThan(histogram, stable).bad / size),
    };
  });
}

/** The edges of the batches that have been seen enough, and what was seen of the others. */
export function freezeBatches(
  latency: ArmCounts["latency"],
  plan: Pick<LatencyTestPlan, "quantiles" | "slower" | "atLeastMs">,
): Pick<LatencyTestPlan, "edges" | "gathered"> {
  const edges: Record<string, readonly LatencyEdge[]> = {};
  const gathered: Record<string, Histogram> = {};
  for (const [batch, histogram] of Object.entries(latency)) {
    const frozen = freezeEdges(histogram, plan);
    if (frozen === null) gathered[batch] = histogram;
    else edges[batch] = frozen;
  }
  return { edges, gathered };
}

/** The test before its first interval. */
export function startLatencyTest(plan: LatencyTestPlan, horizon: number): LatencyTestState {
  return {
    edges: plan.edges,
    gathered: plan.gathered,
    compared: plan.quantiles.map(() => startRegression(horizon)),
    safe: plan.margin === null ? [] : plan.quantiles.map(() => startSafety()),
    spread: plan.quantiles.map(() => NO_SPREAD),
  };
}

/**
 * The dispersion by quantile, from what is known before the interval it is used in. A pause of a whole
 * process makes many slow requests at once, in one arm. Where an edge is too rare to tell, its
 * neighbour towards the median tells.
 */
export function latencyDispersion(
  plan: Pick<LatencyTestPlan, "dispersion" | "adaptive">,
  { spread }: Pick<LatencyTestState, "spread">,
): readonly number[] {
  if (!plan.adaptive) return plan.dispersion;
  let nearer = 1;
  return spread.map((sums, at) => {
    const planned = plan.dispersion[at] ?? 1;
    const index = spreadIndex(sums);
    const seen = index === null ? nearer : Math.min(MOST_DISPERSION, Math.max(1, index));
    nearer = Math.max(planned, seen);
    return nearer;
  });
}

/** What one interval has at one edge, of one batch. */
interface Stratum {
  readonly arms: JudgedArms;
  readonly centre: number;
}

/** What both arms did in one interval. */
interface Arms {
  readonly candidate: ArmCounts;
  readonly stable: ArmCounts;
}

/** By quantile: the strata of an interval, one for each batch that has edges. */
export type Strata = readonly (readonly Stratum[])[];

/** What an interval has at the edges of a test, by quantile. */
export function strataOf(
  { edges }: Pick<LatencyTestState, "edges">,
  quantiles: readonly number[],
  arms: Arms,
): Strata {
  const strata: Stratum[][] = quantiles.map(() => []);
  for (const [batch, frozen] of Object.entries(edges)) {
    const ours = tailsOf(
      arms.candidate.latency[batch] ?? [],
      frozen.map(({ candidate }) => candidate),
    );
    const theirs = tailsOf(
      arms.stable.latency[batch] ?? [],
      frozen.map(({ stable }) => stable),
    );
    if (ours.size + theirs.size === 0) continue;
    frozen.forEach(({ centre }, at) => {
      strata[at]?.push({
        arms: {
          candidate: { requests: ours.size, bad: ours.tails[at] ?? 0 },
          stable: { requests: theirs.size, bad: theirs.tails[at] ?? 0 },
        },
        centre,
      });
    });
  }
  return strata;
}

/** All strata of one quantile. */
export function totalOf(strata: readonly Stratum[]): JudgedArms {
  let total: JudgedArms = { candidate: NOTHING, stable: NOTHING };
  for (const { arms } of strata) total = addArms(total, arms);
  return total;
}

/** Independent strata of one hypothesis: the product of their e-values is one. Null of none. */
function sumOf(
  strata: readonly Stratum[],
  incrementsOf: (stratum: Stratum) => readonly number[],
): readonly number[] | null {
  let sum: readonly number[] | null = null;
  for (const stratum of strata) {
    // A batch that one arm did not have says nothing.
    if (stratum.arms.candidate.requests === 0 || stratum.arms.stable.requests === 0) continue;
    const own = incrementsOf(stratum);
    sum = sum === null ? own : sum.map((before, bet) => before + (own[bet] ?? 0));
  }
  return sum;
}

const UNSHIFTED: Tolerance = { absolute: 0, relative: 1 };

function gather(
  plan: LatencyTestPlan,
  state: LatencyTestState,
  stable: ArmCounts,
): Pick<LatencyTestState, "edges" | "gathered"> {
  const known = { edges: state.edges, gathered: state.gathered };
  const fresh: Record<string, Histogram> = {};
  for (const [batch, histogram] of Object.entries(stable.latency))
    if (!Object.hasOwn(state.edges, batch)) fresh[batch] = histogram;
  if (Object.keys(fresh).length === 0) return known;
  const { edges, gathered } = freezeBatches(addLatencies(state.gathered, fresh), plan);
  return { edges: { ...state.edges, ...edges }, gathered };
}

/** The test after one more interval; null: an arm has nothing to compare. */
export function observeLatency(
  plan: LatencyTestPlan,
  state: LatencyTestState,
  arms: Arms | null,
  over: number,
): LatencyTestState {
  if (arms === null) return state;
  const { margin } = plan;
  const known = latencyDispersion(plan, state);
  const strata = strataOf(state, plan.quantiles, arms);
  const next = (process: EProcess, at: number, tolerance: Tolerance, bet: typeof splitBet) =>
    advance(
      process,
      sumOf(strata[at] ?? [], ({ arms: counts, centre }) => bet(counts, { ...tolerance, centre })),
      { dispersion: known[at] ?? 1, over },
    );
  return {
    ...gather(plan, state, arms.stable),
    compared: state.compared.map((process, at) => next(process, at, UNSHIFTED, splitBet)),
    safe: state.safe.map((process, at) =>
      margin === null ? process : next(process, at, margin, promotionBet),
    ),
    spread: state.spread.map((sums, at) => addSpread(sums, totalOf(strata[at] ?? []).stable)),
  };
}

/** ln of the evidence that the candidate is slower than tolerated. */
export function latencyLogE(state: LatencyTestState): number {
  return averageOf(state.compared);
}
