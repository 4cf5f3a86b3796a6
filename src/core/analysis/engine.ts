import { blamedMetrics, combineEvidence, type NamedEvidence } from "../evidence/index.ts";
import type { AnalysisPolicy } from "../policy/index.ts";
import type { ReferenceSet } from "../version/index.ts";
import { metricFails, namedWords } from "./describe-metric.ts";
import {
  addArmCounts,
  type ArmCounts,
  type Arms,
  type Compared,
  type Interval,
  type PairCounts,
} from "./interval.ts";
import { addJudged, gatewayRate, NOTHING, pairArms, type JudgedArms } from "./judged.ts";
import { directLogE, heldAt, observeMetric, startMetric, type MetricState } from "./metric.ts";
import { addRecent, NO_RECENT } from "./outage.ts";
import { planMetric, weighMetrics } from "./plan-metrics.ts";
import type { AnalysisPlan, Comparison, MetricPlan } from "./plan.ts";
import { observeProposal, type Proposal } from "./proposal.ts";
import { checkSplit, NO_SPLIT, type SplitCheck } from "./split-check.ts";

/** A decision to go back, kept as it was made. */
export interface Latched {
  readonly why: string;
  readonly blamed: readonly string[];
  /** Intervals evaluated until then. */
  readonly intervals: number;
}

/** Requests that were meant to be compared in pairs. */
export interface Pairing {
  /** ms since 1970: the last pair; before the first, when it was first wanted. Null: never. */
  readonly at: number | null;
  /** Skipped since then. */
  readonly skipped: number;
}

/** Where a watch stands: the fold of its intervals. Plain JSON; opaque to others. */
export interface AnalysisState {
  readonly plan: AnalysisPlan;
  /** Planned intervals that are over. */
  readonly intervals: number;
  readonly gaps: number;
  readonly requests: { readonly candidate: number; readonly stable: number };
  /** Copies of stable's requests that the candidate was given, while it had none of its own. */
  readonly copies: number;
  /** By split, where one arm had no request yet: several gateways tell of splits of their own in turn. */
  readonly waiting: readonly (Arms & { readonly split: number })[];
  readonly recent: JudgedArms;
  readonly split: SplitCheck;
  /** ms since 1970: the first interval's beginning, and the last request of each arm at most. */
  readonly since: number | null;
  readonly candidateAt: number | null;
  readonly stableAt: number | null;
  readonly pairing: Pairing;
  /** In the order of the plan. */
  readonly metrics: readonly MetricState[];
  /** The average of the acting metrics stops the rollout from advancing. */
  readonly held: boolean;
  readonly proposal: Proposal | null;
  readonly latched: Latched | null;
}

/**
 * Fixes everything that a watch decides by, when the rollout starts. `baseline`: stable alone before it,
 * in intervals of 10 s, its counts in `stable`; without it, edges and classes are taken from what stable
 * does first in the watch. `horizonIntervals`: all steps and the bake. `alone`: a live comparison ends
 * with all traffic on the candidate (a bake without holdback); its errors are then tested against what
 * stable had before, and stable is asked before it goes back. `servers`: one of the versions is answered by
 * a server of its own, so that a copy may find warm what its original had to ask for.
 */
export function planAnalysis({
  analysis,
  horizonIntervals,
  baseline,
  comparison,
  alone = false,
  servers = false,
  reference = null,
}: {
  readonly analysis: AnalysisPolicy;
  readonly horizonIntervals: number;
  readonly baseline: readonly Interval[];
  readonly comparison: Comparison;
  readonly alone?: boolean;
  readonly servers?: boolean;
  readonly reference?: ReferenceSet | null;
}): AnalysisPlan {
  const planning = { analysis, baseline, comparison, alone, servers, reference };
  let base = NOTHING;
  for (const { stable } of baseline) base = addJudged(base, gatewayRate("errors", stable));
  return {
    analysis,
    comparison,
    horizon: Math.max(1, Math.ceil(horizonIntervals)),
    metrics: weighMetrics(analysis.metrics.map((metric) => planMetric(metric, planning))),
    base,
  };
}

/** A watch before its first interval. */
export function startAnalysis(plan: AnalysisPlan): AnalysisState {
  return {
    plan,
    intervals: 0,
    gaps: 0,
    requests: { candidate: 0, stable: 0 },
    copies: 0,
    waiting: [],
    recent: NO_RECENT,
    split: NO_SPLIT,
    since: null,
    candidateAt: null,
    stableAt: null,
    pairing: { at: null, skipped: 0 },
    metrics: plan.metrics.map((metric) => startMetric(metric, plan.horizon)),
    held: false,
    proposal: null,
    latched: null,
  };
}

/** Metrics of which was told last that their source cannot be read. */
export function unreadMetrics({ plan, metrics }: AnalysisState): readonly string[] {
  return plan.metrics.flatMap(({ metric, test }, at) =>
    test.test !== "none" && (metrics[at]?.broken ?? null) !== null ? [metric.name] : [],
  );
}

/** Evidence of a metric that has no say: finite, and nothing in any sum. */
const NO_SAY = -1e9;

/** The evidence of the metrics that can bring it back; with `directOnly`, of those that need not ask. */
export function actingEvidence(
  plan: AnalysisPlan,
  metrics: readonly MetricState[],
  directOnly: boolean,
): readonly NamedEvidence[] {
  return plan.metrics.flatMap(({ metric, role, weight }, at) => {
    const state = metrics[at];
    if (state === undefined || (role !== "rollback" && role !== "propose")) return [];
    const direct = role === "rollback" ? directLogE(state) : NO_SAY;
    return [{ name: metric.name, weight, logE: directOnly ? direct : state.logE }];
  });
}

/** ln of the weighted average of e-values; 0 where nothing acts. */
export function combined(evidence: readonly NamedEvidence[]): number {
  return evidence.some(({ weight }) => weight > 0) ? combineEvidence(evidence) : 0;
}

/** Splits, beside the one that is told of, whose other arm is still waited for. */
const MOST_WAITING = 20;

/** Both arms with a request each, if need be of several intervals under one split; else what waits. */
function mergeArms(
  waiting: AnalysisState["waiting"],
  { split, candidate, stable }: Interval,
): { readonly arms: Arms | null; readonly waiting: AnalysisState["waiting"] } {
  const before = waiting.find((one) => one.split === split);
  const others = waiting.filter((one) => one !== before).slice(-MOST_WAITING);
  const arms =
    before === undefined
      ? { candidate, stable }
      : {
          candidate: addArmCounts(before.candidate, candidate),
          stable: addArmCounts(before.stable, stable),
        };
  if (arms.candidate.requests > 0 && arms.stable.requests > 0) return { arms, waiting: others };
  return { arms: null, waiting: [...others, { ...arms, split }] };
}

/**
 * What an interval compares. Where the candidate answers copies only, pairs stand for the arms, and
 * what stable did counts once.
 */
function compared(
  { plan, waiting }: AnalysisState,
  interval: Interval,
): Compared & { readonly waiting: AnalysisState["waiting"] } {
  const { pairs } = interval;
  if (plan.comparison === "paired")
    return { arms: null, pairs: pairs.pairs > 0 ? pairs : null, waiting };
  if (plan.comparison === "absolute") return { arms: null, pairs: null, waiting };
  if (pairs.pairs > 0 && interval.candidate.requests === 0) return { arms: null, pairs, waiting };
  return { ...mergeArms(waiting, interval), pairs: null };
}

const assigned = ({ requests, violations, aborted }: ArmCounts): number =>
  requests + violations + aborted;

const later = (before: number | null, at: number): number =>
  before === null ? at : Math.max(before, at);

/** Planned intervals that are over at the end of one: by the time since the first began. */
function overAt({ plan, since, intervals }: AnalysisState, { from, to }: Interval): number {
  const elapsed = (to - (since ?? from)) / plan.analysis.flushMs;
  return Math.max(1, intervals, Math.round(elapsed));
}

/**
 * The errors of both arms that an outage is told by. Where pairs are compared, they alone: of what was
 * not mirrored nobody knows how stable would have done.
 */
function failuresOf(
  { comparison }: AnalysisPlan,
  { candidate, stable }: Interval,
  compares: PairCounts | null,
): JudgedArms {
  if (compares !== null) return pairArms(compares);
  if (comparison === "paired") return NO_RECENT;
  return { candidate: gatewayRate("errors", candidate), stable: gatewayRate("errors", stable) };
}

function pairingAfter({ at, skipped }: Pairing, { pairs, from, to }: Interval): Pairing {
  if (pairs.pairs > 0) return { at: later(at, to), skipped: 0 };
  if (pairs.skipped === 0) return { at, skipped };
  return { at: at ?? from, skipped: skipped + pairs.skipped };
}

function counted(
  before: AnalysisState,
  interval: Interval,
  compares: PairCounts | null,
): Partial<AnalysisState> {
  const { candidate, stable, pairs, from, to } = interval;
  const candidates = assigned(candidate);
  const stables = assigned(stable);
  return {
    intervals: overAt(before, interval),
    gaps: before.gaps + interval.gaps,
    requests: {
      candidate: before.requests.candidate + candidates,
      stable: before.requests.stable + stables,
    },
    copies: before.copies + (candidates === 0 ? pairs.pairs : 0),
    recent: addRecent(before.recent, failuresOf(before.plan, interval, compares)),
    split: checkSplit(before.split, interval),
    since: before.since ?? from,
    candidateAt:
      candidates > 0 || pairs.pairs > 0 ? later(before.candidateAt, to) : before.candidateAt,
    stableAt: stables > 0 || pairs.pairs > 0 ? later(before.stableAt, to) : before.stableAt,
    pairing: pairingAfter(before.pairing, interval),
  };
}

/** Checks that failed so often in a row that it acts at once; not where stable fails them too. */
function failedHealth({ plan, metrics }: AnalysisState): readonly string[] {
  return plan.metrics.flatMap((metric: MetricPlan, at) => {
    const state = metrics[at];
    if (state === undefined || metric.role !== "rollback" || state.state.test !== "health")
      return [];
    // Stable's checks may be a little behind: while they fail, nobody knows yet whose fault it is.
    if (metric.test.test !== "health" || state.state.stable > 0) return [];
    return metricFails(metric, state, plan.analysis) ? [metric.metric.name] : [];
  });
}

/** Metrics whose evidence brings it back now; none: it does not. */
function blamedNow(
  state: AnalysisState,
  { asked, log }: { readonly asked: boolean; readonly log: number },
): readonly string[] {
  const { plan, metrics } = state;
  const { alpha } = plan.analysis;
  // What needs nobody to be asked is never more than all of it.
  if (!asked && log < -Math.log(alpha)) return [];
  const direct = actingEvidence(plan, metrics, true);
  if (combined(direct) >= -Math.log(alpha)) return blamedMetrics(direct, alpha);
  return asked ? blamedMetrics(actingEvidence(plan, metrics, false), alpha) : [];
}

function latch(
  state: AnalysisState,
  evidence: { readonly asked: boolean; readonly log: number },
): AnalysisState {
  const { asked } = evidence;
  if (state.latched !== null) return state;
  const health = failedHealth(state);
  // A comparison whose split is not what was asked for brings nothing back; a check compares nothing.
  const compares = health.length === 0 && !state.split.mismatched;
  const blamed = compares ? blamedNow(state, evidence) : health;
  if (blamed.length === 0) return state;
  const why =
    asked && compares
      ? `${namedWords(state.plan, state.metrics, blamed)}; stable answers what it fails`
      : namedWords(state.plan, state.metrics, blamed);
  return { ...state, latched: { why, blamed, intervals: state.intervals } };
}

/**
 * A watch after one more interval: whoever calls sees to it that none counts twice. The fold is pure:
 * computed again from the stored intervals it gives the same digits.
 */
export function observe(before: AnalysisState, interval: Interval): AnalysisState {
  const { plan } = before;
  const { analysis, horizon } = plan;
  const { waiting, ...step } = compared(before, interval);
  const metrics = plan.metrics.map((metric, at) =>
    observeMetric(
      metric,
      before.metrics[at] ?? startMetric(metric, horizon),
      {
        ...step,
        interval,
        horizon,
        comparison: plan.comparison,
        over: overAt(before, interval),
        dispersion: analysis.dispersion,
      },
      analysis.holdAlpha,
    ),
  );
  const log = combined(actingEvidence(plan, metrics, false));
  const asks = plan.metrics.some(
    ({ role, test }) => role === "propose" || (test.test === "rate" && test.rate.alone !== null),
  );
  const proposal = asks
    ? observeProposal(before.proposal, interval.candidate, { log, alpha: analysis.alpha })
    : null;
  const next: AnalysisState = {
    ...before,
    ...counted(before, interval, step.pairs),
    waiting,
    metrics,
    held: heldAt(before.held, log, analysis.holdAlpha),
    proposal: proposal === "rollback" ? before.proposal : proposal,
  };
  return latch(next, { asked: proposal === "rollback", log });
}
