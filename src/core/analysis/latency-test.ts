import {
  limitWithoutBaseline,
  logE,
  meanBet,
  pairedBet,
  pairedPromotionBet,
  promotionBet,
  splitBet,
  type EProcess,
  type PairCounts as JudgedPairs,
} from "../evidence/index.ts";
import type { Tolerance } from "../policy/index.ts";
import { bucketAt, sizeOf, slowerThan, tailsOf, type Histogram } from "./histogram.ts";
import {
  addLatencies,
  hasCompany,
  latencyBucket,
  latencyEdgeMs,
  rising,
  type ArmCounts,
  type Arms,
  type Compared,
  type PairCounts,
} from "./interval.ts";
import {
  addArms,
  clampCentre,
  ENOUGH_TO_FREEZE,
  NOTHING,
  pairArms,
  type JudgedArms,
} from "./judged.ts";
import {
  advance,
  averageLogE,
  averageOf,
  MOST_DISPERSION,
  startRegression,
  startSafety,
  sumIncrements,
} from "./process.ts";
import { addSpread, NO_SPREAD, spreadIndex, type Spread } from "./spread.ts";

const UNSHIFTED: Tolerance = { absolute: 0, relative: 1 };

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
  /** What that share may have been at most; absent where it guards nothing (`guardedEdges`). */
  readonly before?: number;
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
  /** By quantile: slower than stable was before; empty where that guards nothing. */
  readonly before: readonly EProcess[];
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

/**
 * Edges that only a candidate crosses that is slower than stable was before, too. What answers copies alone
 * is nearly idle, and may be quicker for that: its connections, its share of the processor.
 */
export function guardedEdges(
  edges: LatencyTestPlan["edges"],
  latency: ArmCounts["latency"],
  alpha: number,
): LatencyTestPlan["edges"] {
  const guarded = Object.entries(edges).map(([batch, frozen]) => {
    const histogram = latency[batch] ?? [];
    const requests = sizeOf(histogram);
    const own = frozen.map((edge): LatencyEdge => {
      const { bad } = slowerThan(histogram, edge.stable);
      const most = limitWithoutBaseline({ requests, bad }, { objective: 0, alpha, ...UNSHIFTED });
      return { ...edge, before: Math.min(most, LARGEST_BEFORE) };
    });
    return [batch, own] as const;
  });
  return Object.fromEntries(guarded);
}

/** A limit has to be below 1. */
const LARGEST_BEFORE = 0.99;

/** Whether what stable did before has a say in pairs. */
export function isGuarded({ edges }: Pick<LatencyTestPlan, "edges">): boolean {
  return Object.values(edges).some((frozen) => frozen.some(({ before }) => before !== undefined));
}

/** The test before its first interval. */
export function startLatencyTest(plan: LatencyTestPlan, horizon: number): LatencyTestState {
  return {
    edges: plan.edges,
    gathered: plan.gathered,
    compared: plan.quantiles.map(() => startRegression(horizon)),
    safe: plan.margin === null ? [] : plan.quantiles.map(() => startSafety()),
    before: isGuarded(plan) ? plan.quantiles.map(() => startRegression(horizon)) : [],
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

/**
 * Taken for how much times beside others cluster until it shows: requests that wait behind the same one, or
 * share a processor, are slow together, in one arm.
 */
const CROWDED_UNTIL_KNOWN = 5;

/** By quantile: what of the evidence of times beside others counts until it is known how they cluster. */
function shareOfCrowded(
  { dispersion, adaptive }: Pick<LatencyTestPlan, "dispersion" | "adaptive">,
  { spread }: Pick<LatencyTestState, "spread">,
): readonly number[] {
  let isKnown = !adaptive;
  return spread.map((sums, at) => {
    isKnown ||= spreadIndex(sums) !== null;
    return isKnown ? 1 : Math.min(1, (dispersion[at] ?? 1) / CROWDED_UNTIL_KNOWN);
  });
}

/** What one interval has at one edge, of one batch. */
interface Stratum {
  readonly arms: JudgedArms;
  readonly centre: number;
  readonly isCrowded: boolean;
}

/** Pairs of one batch at one edge. */
interface PairStratum {
  readonly pairs: JudgedPairs;
  readonly before: number | null;
}

/** By quantile: the strata of an interval, one for each batch that has edges. */
export type Strata = readonly (readonly Stratum[])[];

/** By quantile: pairs of which the one, the other or both were slow, of each batch that has edges. */
export type PairStrata = readonly (readonly PairStratum[])[];

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
        isCrowded: hasCompany(batch),
      });
    });
  }
  return strata;
}

/** Of pairs of times, those beyond one bucket for the candidate's and another for stable's. */
export function slowPairs(
  joint: PairCounts["latency"][string],
  beyond: { readonly candidate: number; readonly stable: number },
): JudgedPairs {
  const counts = { pairs: 0, onlyCandidateBad: 0, onlyStableBad: 0, bothBad: 0 };
  for (const [candidate, stable, times] of joint) {
    counts.pairs += times;
    const [ours, theirs] = [candidate > beyond.candidate, stable > beyond.stable];
    if (ours && theirs) counts.bothBad += times;
    else if (ours) counts.onlyCandidateBad += times;
    else if (theirs) counts.onlyStableBad += times;
  }
  return counts;
}

/** What the pairs of an interval have at the edges of a test, by quantile. */
export function pairStrataOf(
  { edges }: Pick<LatencyTestState, "edges">,
  quantiles: readonly number[],
  latency: PairCounts["latency"],
): PairStrata {
  const known = Object.entries(latency).filter(([batch]) => Object.hasOwn(edges, batch));
  return quantiles.map((_, at) =>
    known.flatMap(([batch, joint]) => {
      const edge = edges[batch]?.[at];
      if (edge === undefined) return [];
      return [{ pairs: slowPairs(joint, edge), before: edge.before ?? null }];
    }),
  );
}

/** All pairs of one quantile, as arms. */
export function totalOfPairs(strata: readonly PairStratum[]): JudgedArms {
  let total: JudgedArms = { candidate: NOTHING, stable: NOTHING };
  for (const { pairs } of strata) total = addArms(total, pairArms(pairs));
  return total;
}

/** The times of one version in pairs, by batch. */
export function timesInPairs(
  latency: PairCounts["latency"],
  of: "candidate" | "stable",
): ArmCounts["latency"] {
  const entries = Object.entries(latency).map(([batch, joint]): [string, Histogram] => {
    const buckets = new Map<number, number>();
    for (const [candidate, stable, times] of joint) {
      const bucket = of === "candidate" ? candidate : stable;
      buckets.set(bucket, (buckets.get(bucket) ?? 0) + times);
    }
    return [batch, rising([...buckets])];
  });
  return Object.fromEntries(entries);
}

/** All strata of one quantile. */
export function totalOf(strata: readonly Stratum[]): JudgedArms {
  let total: JudgedArms = { candidate: NOTHING, stable: NOTHING };
  for (const { arms } of strata) total = addArms(total, arms);
  return total;
}

/** How one of the two questions is asked of arms and of pairs. */
interface Bets {
  readonly arms: typeof splitBet;
  readonly pairs: typeof pairedBet;
}

const SLOWER: Bets = { arms: splitBet, pairs: pairedBet };
const SAFE: Bets = { arms: promotionBet, pairs: pairedPromotionBet };

/** What an interval has at one quantile. */
interface Told {
  readonly strata: readonly Stratum[];
  readonly pairs: readonly PairStratum[];
  /** What of the evidence of times beside others counts. */
  readonly crowded: number;
}

/** Independent strata of one hypothesis: the product of their e-values is one. Null of none. */
function sumOf(
  { strata, pairs, crowded }: Told,
  tolerance: Tolerance,
  bets: Bets,
): readonly number[] | null {
  const parts: (readonly number[])[] = [];
  for (const { arms, centre, isCrowded } of strata) {
    // A batch that one arm did not have says nothing.
    if (arms.candidate.requests === 0 || arms.stable.requests === 0) continue;
    const logs = bets.arms(arms, { ...tolerance, centre });
    parts.push(isCrowded && crowded < 1 ? logs.map((log) => log * crowded) : logs);
  }
  for (const one of pairs) if (one.pairs.pairs > 0) parts.push(bets.pairs(one.pairs, tolerance));
  return sumIncrements(parts);
}

/** Whether the candidate's times in pairs are beyond what stable's were before. Null of none. */
function beyondBefore({ pairs: strata }: Told): readonly number[] | null {
  const parts = strata.flatMap(({ pairs, before }) => {
    if (before === null || pairs.pairs === 0) return [];
    const { requests, bad } = pairArms(pairs).candidate;
    return [meanBet({ observations: requests, bad }, before)];
  });
  return sumIncrements(parts);
}

function gather(
  plan: LatencyTestPlan,
  state: LatencyTestState,
  stable: ArmCounts["latency"],
): Pick<LatencyTestState, "edges" | "gathered"> {
  const known = { edges: state.edges, gathered: state.gathered };
  const fresh: Record<string, Histogram> = {};
  for (const [batch, histogram] of Object.entries(stable))
    if (!Object.hasOwn(state.edges, batch)) fresh[batch] = histogram;
  if (Object.keys(fresh).length === 0) return known;
  const { edges, gathered } = freezeBatches(addLatencies(state.gathered, fresh), plan);
  return { edges: { ...state.edges, ...edges }, gathered };
}

/** What stable did, whether it is compared or not. */
const stableTimes = ({ arms, pairs }: Compared): ArmCounts["latency"] =>
  addLatencies(
    arms?.stable.latency ?? {},
    pairs === null ? {} : timesInPairs(pairs.latency, "stable"),
  );

/** The test after one more interval of which nothing is compared: where slow begins is learnt all the same. */
export function learnLatency(
  plan: LatencyTestPlan,
  state: LatencyTestState,
  compared: Compared,
): LatencyTestState {
  return { ...state, ...gather(plan, state, stableTimes(compared)) };
}

/** The test after one more interval. */
export function observeLatency(
  plan: LatencyTestPlan,
  state: LatencyTestState,
  compared: Compared,
  over: number,
): LatencyTestState {
  const { arms, pairs } = compared;
  if (arms === null && pairs === null) return state;
  const { margin, quantiles } = plan;
  const known = latencyDispersion(plan, state);
  const crowded = shareOfCrowded(plan, state);
  const strata = arms === null ? [] : strataOf(state, quantiles, arms);
  const pairStrata = pairs === null ? [] : pairStrataOf(state, quantiles, pairs.latency);
  const told = quantiles.map((_, at): Told => ({
    strata: strata[at] ?? [],
    pairs: pairStrata[at] ?? [],
    crowded: crowded[at] ?? 1,
  }));
  const next = (process: EProcess, at: number, tolerance: Tolerance, bets: Bets) => {
    const own = told[at];
    const logs = own === undefined ? null : sumOf(own, tolerance, bets);
    return advance(process, logs, { dispersion: known[at] ?? 1, over });
  };
  return {
    ...gather(plan, state, stableTimes(compared)),
    compared: state.compared.map((process, at) => next(process, at, UNSHIFTED, SLOWER)),
    before: state.before.map((process, at) => {
      const own = told[at];
      const logs = own === undefined ? null : beyondBefore(own);
      return advance(process, logs, { dispersion: known[at] ?? 1, over });
    }),
    safe: state.safe.map((process, at) =>
      margin === null ? process : next(process, at, margin, SAFE),
    ),
    spread: state.spread.map((sums, at) =>
      addSpread(
        sums,
        addArms(totalOf(strata[at] ?? []), totalOfPairs(pairStrata[at] ?? [])).stable,
      ),
    ),
  };
}

/**
 * By quantile: ln of the evidence that the candidate is slower than tolerated. The smaller of two e-values
 * is one against either hypothesis holding.
 */
export function latencyLogs({ compared, before }: LatencyTestState): readonly number[] {
  return compared.map((process, at) => {
    const guard = before[at];
    return guard === undefined ? logE(process) : Math.min(logE(process), logE(guard));
  });
}

/** ln of the evidence that it is slower than stable's answers to copies, where that alone brings nothing back. */
export function copiesLogE({ compared, before }: LatencyTestState): number | null {
  return before.length === 0 ? null : averageOf(compared);
}

/** ln of the evidence that the candidate is slower than tolerated. */
export function latencyLogE(state: LatencyTestState): number {
  return averageLogE(latencyLogs(state));
}
