/** Policies, intervals and simulated traffic for the tests of what evidence decides. */
import {
  assess,
  latencyBucket,
  noArmCounts,
  noPairCounts,
  observe,
  planAnalysis,
  startAnalysis,
  type AnalysisState,
  type ArmCounts,
  type Assessment,
  type AssessmentContext,
  type Comparison,
  type Interval,
} from "../../src/core/analysis/index.ts";
import type { AnalysisPolicy, Metric } from "../../src/core/policy/index.ts";
import { drawBinomial } from "./seeded-random.ts";

/** The metrics that a policy has without being told. */
export const METRICS = {
  errorRate: {
    kind: "errorRate",
    name: "errorRate",
    weight: 0.4,
    action: "rollback",
    tolerance: { absolute: 0.001, relative: 1 },
    max: null,
  },
  rejected: {
    kind: "rejected",
    name: "rejected",
    weight: 0.1,
    action: "rollback",
    tolerance: { absolute: 0.001, relative: 1 },
    max: null,
  },
  validity: {
    kind: "validity",
    name: "validity",
    weight: 0.1,
    action: "rollback",
    tolerance: { absolute: 0.001, relative: 1 },
    max: null,
  },
  latency: {
    kind: "latency",
    name: "latency",
    weight: 0.25,
    action: "rollback",
    quantile: null,
    slower: 0.1,
    atLeastMs: 2,
    maxMs: null,
  },
  accuracy: {
    kind: "accuracy",
    name: "accuracy",
    weight: 0.2,
    action: "rollback",
    tolerance: { absolute: 0.01, relative: 1 },
    max: null,
  },
  drift: { kind: "drift", name: "drift", weight: 0.05, action: "hold" },
  disagreement: {
    kind: "disagreement",
    name: "disagreement",
    weight: 0.2,
    action: "rollback",
    max: 0.05,
    by: "class",
    tolerance: { relative: 0.05, absolute: 1e-6 },
  },
  health: {
    kind: "health",
    name: "ready",
    weight: 0,
    action: "rollback",
    source: "checks",
    failures: 3,
  },
} as const satisfies Record<string, Metric>;

/** A policy with these metrics, without a wait for clusters to show. */
export function analysisOf(
  metrics: readonly Metric[],
  changes: Partial<AnalysisPolicy> = {},
): AnalysisPolicy {
  return {
    alpha: 0.001,
    holdAlpha: 0.05,
    beta: 0.05,
    margin: { absolute: 0.01, relative: 1 },
    early: false,
    minRequests: 500,
    flushMs: 1000,
    deadlineMs: 30_000,
    dispersion: "auto",
    metrics,
    inconclusive: { action: "hold", deadlineMs: 21_600_000 },
    noData: { action: "hold", afterMs: 300_000 },
    ...changes,
  };
}

/** An interval: the second of its number, with what is told and nothing else. */
export function intervalOf(number: number, parts: Partial<Interval> = {}): Interval {
  return {
    from: number * 1000,
    to: (number + 1) * 1000,
    split: 1,
    candidateShare: null,
    candidate: noArmCounts(),
    stable: noArmCounts(),
    pairs: noPairCounts(),
    signals: {},
    gaps: 0,
    ...parts,
  };
}

/** What an arm does: chances of a request, and its latency. */
export interface Behaviour {
  readonly errorRate?: number;
  readonly rejected?: number;
  readonly invalid?: number;
  /** Median, ms. */
  readonly latencyMs?: number;
  /** Standard deviation of its natural logarithm. */
  readonly spread?: number;
  /** Chances of each output; they sum to 1. */
  readonly outputs?: Readonly<Record<string, number>>;
}

/** A standard normal number (Box-Muller). */
function drawNormal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** A histogram of latencies with that median. */
export function drawLatencies(
  random: () => number,
  requests: number,
  medianMs: number,
  spread = 0.6,
): [number, number][] {
  const histogram = new Map<number, number>();
  for (let request = 0; request < requests; request += 1) {
    const bucket = latencyBucket(medianMs * Math.exp(spread * drawNormal(random)));
    histogram.set(bucket, (histogram.get(bucket) ?? 0) + 1);
  }
  return [...histogram].toSorted(([a], [b]) => a - b);
}

function drawOutputs(
  random: () => number,
  requests: number,
  chances: Readonly<Record<string, number>>,
): Record<string, number> {
  const outputs: Record<string, number> = {};
  let left = requests;
  let mass = 1;
  for (const [name, chance] of Object.entries(chances)) {
    const times = drawBinomial(random, left, Math.min(1, mass <= 0 ? 0 : chance / mass));
    if (times > 0) outputs[name] = times;
    left -= times;
    mass -= chance;
  }
  return outputs;
}

/** What an arm did with so many requests. */
export function drawArm(random: () => number, requests: number, behaviour: Behaviour): ArmCounts {
  const { errorRate = 0, rejected = 0, invalid = 0, latencyMs, spread, outputs } = behaviour;
  const invalids = drawBinomial(random, requests, invalid);
  const others = drawBinomial(random, requests - invalids, errorRate);
  const errors = invalids + others;
  const good = requests - errors;
  return {
    ...noArmCounts(),
    requests,
    errors,
    invalid: invalids,
    rejected: drawBinomial(random, good, rejected),
    latency:
      latencyMs === undefined || good === 0
        ? {}
        : { "1": drawLatencies(random, good, latencyMs, spread) },
    outputs: outputs === undefined ? {} : drawOutputs(random, good, outputs),
  };
}

/** So many pairs of what `draw` gives, the candidate's first. */
export function drawPairs<T>(
  pairs: number,
  draw: (of: "candidate" | "stable") => T,
): [T, T, number][] {
  return Array.from({ length: pairs }, (): [T, T, number] => [
    draw("candidate"),
    draw("stable"),
    1,
  ]);
}

/** Of so many requests, those that chance gives the candidate. */
export function drawSplit(
  random: () => number,
  requests: number,
  share: number,
): { readonly candidates: number; readonly stables: number } {
  const candidates = drawBinomial(random, requests, share);
  return { candidates, stables: requests - candidates };
}

/** Stable alone, 10 s each. */
export function drawBaseline(
  random: () => number,
  intervals: number,
  requests: number,
  behaviour: Behaviour,
): readonly Interval[] {
  return Array.from({ length: intervals }, (_, at) =>
    intervalOf(at, { stable: drawArm(random, requests, behaviour) }),
  );
}

/** A fresh watch. */
export function startWatch(
  analysis: AnalysisPolicy,
  {
    baseline = [],
    horizonIntervals = 1000,
    comparison = "live",
  }: {
    readonly baseline?: readonly Interval[];
    readonly horizonIntervals?: number;
    readonly comparison?: Comparison;
  } = {},
): AnalysisState {
  return startAnalysis(planAnalysis({ analysis, horizonIntervals, baseline, comparison }));
}

/** A watch of one metric. */
export function watchOnly(metric: Metric, baseline: readonly Interval[] = []): AnalysisState {
  return startWatch(analysisOf([metric]), { baseline });
}

/** A watch after these intervals. */
export function fold(start: AnalysisState, intervals: readonly Interval[]): AnalysisState {
  let state = start;
  for (const interval of intervals) state = observe(state, interval);
  return state;
}

/** The assessment at the end of the last interval. */
export function judge(state: AnalysisState, changes: Partial<AssessmentContext> = {}): Assessment {
  const now = Math.max(state.candidateAt ?? 0, state.stableAt ?? 0);
  return assess(state, {
    now,
    lastEvidenceAt: now,
    phase: "canary",
    plannedRequestsLeft: null,
    candidateShare: 0.1,
    ...changes,
  });
}
