import {
  alwaysValidP,
  logE,
  rateConfidenceSequence,
  smallestDetectableRate,
  type ArmCounts as Judged,
} from "../evidence/index.ts";
import type { AnalysisPolicy, Tolerance } from "../policy/index.ts";
import { formatDuration } from "../time/index.ts";
import type { MetricAssessment } from "./assessment.ts";
import { mostShifted } from "./drift-test.ts";
import { quantileMs, sizeOf } from "./histogram.ts";
import {
  inputDriftWords,
  inputsSeen,
  shiftedFeatures,
  type FeatureShift,
} from "./input-drift-test.ts";
import { addJudged, ENOUGH_TO_FREEZE, NOTHING, rateOf, type JudgedArms } from "./judged.ts";
import { WARM_ANSWERS } from "./latency-metric.ts";
import { copiesLogE, latencyDispersion, latencyLogs } from "./latency-test.ts";
import {
  heldByCopies,
  limitLogE,
  metricLogSafe,
  type MetricState,
  type TestState,
} from "./metric.ts";
import type { AnalysisPlan, MetricPlan, TestPlan } from "./plan.ts";
import { rateDispersion } from "./rate-test.ts";
import { notTested } from "./untested.ts";
import { chanceWords, grouped, milliseconds, percent, quantileWords, rateWords } from "./words.ts";

/** Confidence of the limits that are shown. */
const SHOWN_ALPHA = 0.05;

/** Less weight than this can bring nothing back; keeps the threshold finite. */
const LEAST_WEIGHT = 1e-12;

/** What of the future tells which regression can still be seen. */
export interface Ahead {
  /** Requests of the candidate; null: nobody knows. */
  readonly plannedRequestsLeft: number | null;
  /** Its share of the traffic. */
  readonly candidateShare: number;
}

type LatencyTest = TestState & { readonly test: "latency" };

/** Of the quantiles, the one with the most evidence. */
function telling(logs: readonly number[]): number {
  return Math.max(0, logs.indexOf(Math.max(...logs)));
}

function quantileAt(plan: MetricPlan, state: LatencyTest, log: number): number {
  const { metric, test } = plan;
  const quantiles = test.test === "latency" ? (test.slower?.quantiles ?? []) : [];
  const named = metric.kind === "latency" ? metric.quantile : null;
  // Before anything is known the tail is what people ask for.
  const asked = named ?? 0.99;
  const { slower } = state;
  if (slower === null) return asked;
  if (log > 0) return quantiles[telling(latencyLogs(slower))] ?? asked;
  if ((copiesLogE(slower) ?? 0) <= 0) return asked;
  return quantiles[telling(slower.compared.map(logE))] ?? asked;
}

/** What is shown as the arms' counts. */
function seenOf(plan: MetricPlan, metric: MetricState): JudgedArms {
  const { state, seen } = metric;
  const none = { candidate: NOTHING, stable: NOTHING };
  if (state.test === "drift") return state.classes[mostShifted(state.classes) ?? -1] ?? none;
  if (state.test === "inputs" && plan.test.test === "inputs")
    return { candidate: inputsSeen(plan.test.inputs, state.inputs), stable: NOTHING };
  if (state.test === "latency" && plan.test.test === "latency") {
    const quantiles = plan.test.slower?.quantiles ?? [];
    return state.slow[quantiles.indexOf(quantileAt(plan, state, metric.logE))] ?? none;
  }
  if (plan.test.test === "rate" && plan.test.rate.tolerance === null && !plan.test.rate.guarded)
    return { candidate: seen.candidate, stable: addJudged(seen.stable, plan.test.rate.base) };
  return seen;
}

function dispersionNow({ test }: MetricPlan, { state }: MetricState): number {
  if (test.test === "rate")
    return state.test === "rate" ? rateDispersion(test.rate, state.rate) : test.rate.dispersion;
  if (test.test === "latency" && state.test === "latency") {
    if (test.slower === null || state.slower === null) return test.limit?.rate.dispersion ?? 1;
    return Math.max(1, ...latencyDispersion(test.slower, state.slower));
  }
  if (state.test === "drift")
    return Math.max(1, ...(state.drift.classes ?? []).map(({ dispersion }) => dispersion));
  return 1;
}

const EXACT: Tolerance = { absolute: 0, relative: 1 };

/** What the candidate is allowed beside stable, where it is compared with it. */
function toleranceOf({ test }: MetricPlan): Tolerance | null {
  if (test.test === "rate") return test.rate.tolerance;
  return test.test === "latency" && test.slower !== null ? EXACT : null;
}

function detectableOf(
  plan: MetricPlan,
  metric: MetricState,
  seen: JudgedArms,
  alpha: number,
  { plannedRequestsLeft, candidateShare }: Ahead,
): number | null {
  const tolerance = toleranceOf(plan);
  if (tolerance === null || plannedRequestsLeft === null) return null;
  if (!(candidateShare > 0 && candidateShare < 1)) return null;
  const base = plan.test.test === "rate" ? plan.test.rate.base : NOTHING;
  const baseRate = rateOf(addJudged(seen.stable, base)) ?? 0;
  if (baseRate >= 1) return null;
  const dispersion = dispersionNow(plan, metric);
  const comparison = { ...tolerance, split: candidateShare, baseRate, alpha, dispersion };
  return smallestDetectableRate(comparison, Math.max(0, plannedRequestsLeft) / candidateShare);
}

function rateVerdict(
  test: TestPlan & { readonly test: "rate" },
  { chance, byLimit }: { readonly chance: string; readonly byLimit: boolean },
): string {
  const { limit, guarded, tolerance } = test.rate;
  if (limit !== null && (!guarded || tolerance === null || byLimit))
    return `, at most ${percent(limit)} allowed: ${chance}`;
  return `: ${chance}`;
}

const LEARNING = `not judged yet: what is slow is learnt from ${ENOUGH_TO_FREEZE} of stable's answers first`;

/** Whether nothing was compared so far, and there is no limit to be judged by. */
function isLearning({ slower, limit }: LatencyTest): boolean {
  return limit === null && slower !== null && Object.keys(slower.edges).length === 0;
}

function latencyWords(
  { metric, test }: MetricPlan,
  state: LatencyTest,
  { at, chance }: { readonly at: number; readonly chance: string },
): string {
  const maxMs = metric.kind === "latency" ? metric.maxMs : null;
  const { warmUpMs = 0 } = test.test === "latency" ? test : {};
  if (state.warming.since !== null && sizeOf(state.shown.candidate) === 0 && warmUpMs > 0)
    return `not compared yet: it warms up for ${formatDuration(warmUpMs)} and ${WARM_ANSWERS} answers first`;
  const candidate = quantileMs(state.shown.candidate, at);
  const stable = quantileMs(state.shown.stable, at);
  if (candidate === null) return "no times to compare yet";
  const beside = stable === null ? "" : `, stable ${milliseconds(stable)}`;
  const limit = maxMs === null ? "" : `, at most ${milliseconds(maxMs)} allowed`;
  // Two times side by side that chance is said to explain would be no more than not looked at.
  const verdict = isLearning(state) ? LEARNING : chance;
  return `${quantileWords(at)} ${milliseconds(candidate)}${beside}${limit}: ${verdict}`;
}

const share = (arm: Judged): string => percent(rateOf(arm) ?? 0);

function driftWords(state: TestState & { readonly test: "drift" }, chance: string): string {
  const at = mostShifted(state.classes);
  const counts = at === null ? undefined : state.classes[at];
  const name = at === null ? undefined : state.drift.classes?.[at]?.name;
  if (counts === undefined || name === undefined) return "too few predictions yet";
  const called = name === null ? "outputs that stable hardly ever has" : `output ${name}`;
  return `${called}: ${share(counts.candidate)} of predictions, stable ${share(counts.stable)}: ${chance}`;
}

function healthWords(
  { candidate, failure }: TestState & { readonly test: "health" },
  seen: JudgedArms,
): string {
  if (seen.candidate.requests === 0) return "not checked yet";
  if (candidate === 0) return "healthy at the last check";
  const why = failure.candidate === null ? "" : `, the last: ${failure.candidate}`;
  return candidate === 1 ? `1 failure${why}` : `${grouped(candidate)} failures in a row${why}`;
}

/** The features that shifted most; null where inputs are not tested. */
function featuresOf(
  { test }: MetricPlan,
  { state }: MetricState,
  holdAlpha: number,
): readonly FeatureShift[] | null {
  if (test.test !== "inputs" || state.test !== "inputs") return null;
  return shiftedFeatures(test.inputs, state.inputs, holdAlpha);
}

/** Where copies alone hold it, more than anything else: how sure that is, and why it does not go back. */
function copiesHold(metric: MetricState, beyondLimit: number): string | null {
  const copies = metric.held ? (heldByCopies(metric) ?? 0) : 0;
  if (copies <= Math.max(metric.maxLogE, beyondLimit)) return null;
  return `${chanceWords(copies)} beside copies; no slower than stable was while it served`;
}

/** What is known of one metric, in words. */
function metricWords(plan: MetricPlan, metric: MetricState, holdAlpha: number): string {
  const { state, broken } = metric;
  const { test } = plan;
  if (broken !== null) return `its source cannot be read: ${broken}`;
  // Above its limit alone it holds: the words are about what holds.
  const beyondLimit = metric.held ? (limitLogE(metric) ?? 0) : 0;
  const byLimit = beyondLimit > metric.maxLogE;
  const chance = chanceWords(Math.max(metric.maxLogE, beyondLimit));
  if (state.test === "latency") {
    const at = quantileAt(plan, state, metric.logE);
    return latencyWords(plan, state, { at, chance: copiesHold(metric, beyondLimit) ?? chance });
  }
  if (state.test === "drift") return driftWords(state, chance);
  const features = featuresOf(plan, metric, holdAlpha);
  if (features !== null) return inputDriftWords(features, metric.maxLogE);
  if (state.test === "health") return healthWords(state, metric.seen);
  if (test.test === "none") return notTested(test.why);
  const seen = seenOf(plan, metric);
  const candidate = rateOf(seen.candidate);
  if (candidate === null) return "no observations yet";
  const stable = rateOf(seen.stable);
  const figure = rateWords(plan.metric, candidate);
  const beside =
    stable === null
      ? ""
      : `, stable ${rateWords(plan.metric, stable).replace(/ (errors|rejected|invalid outputs|wrong|bad)$/, "")}`;
  return `${figure}${beside}${test.test === "rate" ? rateVerdict(test, { chance, byLimit }) : ""}`;
}

const shownRate = (counts: Judged): MetricAssessment["candidate"] => ({
  observations: counts.requests,
  bad: counts.bad,
  rate: rateOf(counts),
});

function confidenceOf({ requests, bad }: Judged): MetricAssessment["confidence"] {
  const whole = Math.floor(requests);
  if (whole === 0) return null;
  const limits = rateConfidenceSequence(
    { requests: whole, bad: Math.min(whole, bad) },
    SHOWN_ALPHA,
  );
  return { low: limits.lower, high: limits.upper };
}

/** The alpha at which a metric alone acts. */
function alphaOf({ role, weight }: MetricPlan, { alpha, holdAlpha }: AnalysisPolicy): number {
  if (role === "hold" || role === "report") return holdAlpha;
  return alpha * Math.max(weight, LEAST_WEIGHT);
}

/** Whether a metric says by itself that the candidate is bad. */
export function metricFails(
  plan: MetricPlan,
  { state, maxLogE }: MetricState,
  analysis: AnalysisPolicy,
): boolean {
  if (plan.test.test === "health" && state.test === "health")
    return state.candidate >= plan.test.failures;
  return maxLogE >= -Math.log(alphaOf(plan, analysis));
}

/** What the evidence says of one metric. */
export function describeMetric(
  plan: MetricPlan,
  metric: MetricState,
  analysis: AnalysisPolicy,
  ahead: Ahead,
  blamed: boolean,
): MetricAssessment {
  const alpha = alphaOf(plan, analysis);
  const logSafe = metricLogSafe(metric);
  const seen = seenOf(plan, metric);
  const { state } = metric;
  const features = featuresOf(plan, metric, analysis.holdAlpha);
  const safe = logSafe !== null && logSafe >= -Math.log(analysis.beta);
  const fails = blamed || metricFails(plan, metric, analysis);
  const at = state.test === "latency" ? quantileAt(plan, state, metric.logE) : 0;
  return {
    name: plan.metric.name,
    kind: plan.metric.kind,
    verdict: fails ? "fail" : safe ? "pass" : "inconclusive",
    action: plan.role === "propose" ? "rollback" : plan.role,
    weight: plan.weight,
    logE: metric.logE,
    threshold: -Math.log(alpha),
    alwaysValidP: alwaysValidP(metric.maxLogE),
    logPromote: logSafe,
    candidate: shownRate(seen.candidate),
    stable: shownRate(seen.stable),
    quantiles:
      state.test === "latency"
        ? {
            candidate: quantileMs(state.shown.candidate, at),
            stable: quantileMs(state.shown.stable, at),
            at,
          }
        : null,
    confidence: confidenceOf(seen.candidate),
    dispersion: dispersionNow(plan, metric),
    detectable: detectableOf(plan, metric, seen, alpha, ahead),
    ...(features === null ? {} : { features: features.map((one) => ({ ...one })) }),
    words: metricWords(plan, metric, analysis.holdAlpha),
  };
}

/** What is known of some metrics, in words. */
export function namedWords(
  { metrics: plans, analysis }: Pick<AnalysisPlan, "metrics" | "analysis">,
  metrics: readonly MetricState[],
  names: readonly string[],
): string {
  return plans
    .flatMap((plan, at) => {
      const metric = metrics[at];
      if (metric === undefined || !names.includes(plan.metric.name)) return [];
      return [`${plan.metric.name}: ${metricWords(plan, metric, analysis.holdAlpha)}`];
    })
    .join("; ");
}
