import { pooled, sizeOf, slowerThan, type Histogram } from "./histogram.ts";
import { addHistograms, type Arms, type PairCounts } from "./interval.ts";
import { addArms, NOTHING, type JudgedArms } from "./judged.ts";
import {
  learnLatency,
  observeLatency,
  pairStrataOf,
  slowPairs,
  startLatencyTest,
  strataOf,
  timesInPairs,
  totalOf,
  totalOfPairs,
  type LatencyTestState,
} from "./latency-test.ts";
import type { TestPlan } from "./plan.ts";
import {
  NO_INPUT,
  observeRate,
  startRateTest,
  type RateInput,
  type RateTestState,
} from "./rate-test.ts";
import { pairsShown, type Step } from "./step.ts";

type LatencyPlan = TestPlan & { readonly test: "latency" };

/** How far a candidate has got that begins to answer: what it does at first is not how fast it is. */
interface Warming {
  /** ms since 1970: when the interval of its first answer began; null: it has not answered. */
  readonly since: number | null;
  readonly answers: number;
}

/** Several processes of one server may each have a first answer. */
export const WARM_ANSWERS = 20;

/** Where the latency of a watch stands. Plain JSON. */
export interface LatencyMetricState {
  readonly test: "latency";
  readonly slower: LatencyTestState | null;
  readonly limit: RateTestState | null;
  readonly warming: Warming;
  /** By quantile: how many were slow. */
  readonly slow: readonly JudgedArms[];
  /** For display. */
  readonly shown: { readonly candidate: Histogram; readonly stable: Histogram };
}

const NO_ARMS: JudgedArms = { candidate: NOTHING, stable: NOTHING };

/** The metric before its first interval. */
export function startLatencyMetric(test: LatencyPlan, horizon: number): LatencyMetricState {
  return {
    test: "latency",
    slower: test.slower === null ? null : startLatencyTest(test.slower, horizon),
    limit: test.limit === null ? null : startRateTest(test.limit.rate, horizon),
    warming: { since: null, answers: 0 },
    slow: (test.slower?.quantiles ?? []).map(() => NO_ARMS),
    shown: { candidate: [], stable: [] },
  };
}

/** By quantile: how many were slow. */
function slowOf(
  test: LatencyTestState,
  quantiles: readonly number[],
  step: Step,
): readonly JudgedArms[] {
  const pairs = pairsShown(step);
  return pairs === null
    ? strataOf(test, quantiles, step.interval).map(totalOf)
    : pairStrataOf(test, quantiles, pairs.latency).map(totalOfPairs);
}

/** Whether the answers of an interval are those of a candidate that has warmed up. */
function isWarm(
  { warmUpMs = 0 }: { readonly warmUpMs?: number },
  { since, answers }: Warming,
  from: number,
): boolean {
  if (warmUpMs === 0) return true;
  return since !== null && answers >= WARM_ANSWERS && from >= since + warmUpMs;
}

function warmer({ since, answers }: Warming, { interval, pairs }: Step): Warming {
  const own = sizeOf(pooled(interval.candidate.latency));
  // Where it has no callers, copies are what it answers.
  const more =
    own > 0 || pairs === null ? own : sizeOf(pooled(timesInPairs(pairs.latency, "candidate")));
  return { since: more > 0 ? (since ?? interval.from) : since, answers: answers + more };
}

/** The metric after one more interval. */
export function observeLatencyMetric(
  plan: LatencyPlan,
  before: LatencyMetricState,
  step: Step,
): LatencyMetricState {
  const { interval, arms, pairs, over } = step;
  const state = { ...before, warming: warmer(before.warming, step) };
  const { slower, limit } = state;
  if (!isWarm(plan, before.warming, interval.from)) {
    if (slower === null || plan.slower === null) return state;
    return { ...state, slower: learnLatency(plan.slower, slower, { arms, pairs }) };
  }
  const shown = shownOf(state, step);
  const slow = slower === null ? [] : slowOf(slower, plan.slower?.quantiles ?? [], step);
  return {
    ...state,
    slower:
      slower === null || plan.slower === null
        ? null
        : observeLatency(plan.slower, slower, { arms, pairs }, over),
    limit:
      limit === null || plan.limit === null
        ? null
        : observeRate(plan.limit.rate, limit, limitInput(plan.limit.bucket, step), over),
    slow: state.slow.map((sums, at) => addArms(sums, slow[at] ?? NO_ARMS)),
    shown: {
      candidate: addHistograms(state.shown.candidate, shown.candidate),
      stable: addHistograms(state.shown.stable, shown.stable),
    },
  };
}

/** Times as they are shown side by side. */
function shownOf({ slower, limit }: LatencyMetricState, step: Step): LatencyMetricState["shown"] {
  const { interval } = step;
  const pairs = slower === null ? null : pairsShown(step);
  const own = pooled(interval.candidate.latency);
  if (pairs === null) return { candidate: own, stable: pooled(interval.stable.latency) };
  return {
    // A limit is for all of the candidate's.
    candidate: limit === null ? pooled(timesInPairs(pairs.latency, "candidate")) : own,
    stable: pooled(timesInPairs(pairs.latency, "stable")),
  };
}

function limitInput(bucket: number, { interval, arms, pairs }: Step): RateInput {
  const own = pooled(interval.candidate.latency);
  return {
    ...NO_INPUT,
    arms: arms === null ? [] : limitArms(bucket, arms),
    pairs: pairs === null ? null : limitPairs(bucket, pairs),
    candidate: own.length === 0 ? null : slowerThan(own, bucket),
  };
}

function limitPairs(bucket: number, { latency }: PairCounts): RateInput["pairs"] {
  const beyond = { candidate: bucket, stable: bucket };
  const pairs = slowPairs(Object.values(latency).flat(), beyond);
  return pairs.pairs === 0 ? null : pairs;
}

/** By batch: the busier arm has the larger ones, and is not worse for that. */
function limitArms(bucket: number, arms: Arms): readonly JudgedArms[] {
  return Object.entries(arms.candidate.latency).flatMap(([batch, ours]) => {
    const theirs = Object.hasOwn(arms.stable.latency, batch) ? arms.stable.latency[batch] : [];
    const candidate = slowerThan(ours, bucket);
    const stable = slowerThan(theirs ?? [], bucket);
    return candidate.requests === 0 || stable.requests === 0 ? [] : [{ candidate, stable }];
  });
}
