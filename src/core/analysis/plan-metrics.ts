import {
  limitWithoutBaseline,
  tellsDispersion,
  type ArmCounts as Judged,
} from "../evidence/index.ts";
import type { AnalysisPolicy, Metric, Tolerance } from "../policy/index.ts";
import type { ReferenceSet } from "../version/index.ts";
import { pooled, slowerThan } from "./histogram.ts";
import { planInputDrift } from "./input-drift-test.ts";
import { addLatencies, addOutputs, latencyBucket, noArmCounts, type Interval } from "./interval.ts";
import { addJudged, gatewayRate, NOTHING, rateOf, type GatewayRate } from "./judged.ts";
import {
  freezeBatches,
  guardedEdges,
  isGuarded,
  QUANTILES,
  strataOf,
  totalOf,
  type LatencyTestPlan,
} from "./latency-test.ts";
import { LEAST_OUTAGE_RATE } from "./outage.ts";
import { freezeClasses } from "./output-class.ts";
import type { Comparison, MetricPlan, Role, TestPlan } from "./plan.ts";
import { dispersionOf, ENOUGH_FOR_DISPERSION } from "./process.ts";
import type { RateTestPlan } from "./rate-test.ts";

/** What planning one metric needs. */
interface Planning {
  readonly analysis: AnalysisPolicy;
  readonly comparison: Comparison;
  /** Whether a live comparison ends with the candidate alone. */
  readonly alone: boolean;
  /** Whether a server of its own answers for one of the versions. */
  readonly servers: boolean;
  readonly baseline: readonly Interval[];
  /** What inputs are expected to look like; null: nobody said. */
  readonly reference: ReferenceSet | null;
}

/** A metric without its weight. */
type Unweighted = Omit<MetricPlan, "weight">;

/** What is no proof against the candidate alone can hold it. */
const atMostHolds = (role: Role): Role => (role === "rollback" ? "hold" : role);

function sum(parts: readonly Judged[]): Judged {
  let total = NOTHING;
  for (const part of parts) total = addJudged(total, part);
  return total;
}

/** No stricter than the metric's own tolerance: what is tolerated may be promoted. */
function marginOf({ margin }: AnalysisPolicy, tolerance: Tolerance): Tolerance {
  return {
    absolute: Math.max(margin.absolute, tolerance.absolute),
    relative: Math.max(margin.relative, tolerance.relative),
  };
}

interface ComparedMetric {
  readonly max: number | null;
  readonly tolerance: Tolerance | null;
}

/**
 * The limit where nothing runs beside the candidate: the policy's, or what stable may have had before
 * with the tolerance on top, whichever is higher; where nobody knows what stable had, `unknown`. Too few
 * requests to tell allow no more than none would. Null where there is none, or none below 1.
 */
function limitAlone(
  { max, tolerance, unknown }: ComparedMetric & { readonly unknown: number | null },
  base: Judged,
  alpha: number,
): number | null {
  if (tolerance === null || base.requests === 0) return max ?? unknown;
  const limit = limitWithoutBaseline(base, { objective: max ?? 0, alpha, ...tolerance });
  const untold = unknown === null ? Infinity : Math.max(unknown, max ?? 0);
  if (limit > untold && (rateOf(base) ?? 0) <= untold) return untold;
  return limit > 0 && limit < 1 ? limit : null;
}

/** What is not compared has its limit to be excluded: untested, it must not be promoted early. */
function marginBeside(
  analysis: AnalysisPolicy,
  { tolerance, max }: ComparedMetric,
): Tolerance | null {
  if (tolerance !== null) return marginOf(analysis, tolerance);
  return max === null ? null : marginOf(analysis, { absolute: max, relative: 1 });
}

function ratePlan(
  { analysis }: Planning,
  metric: ComparedMetric,
  {
    intervals,
    beside,
    unknown = null,
  }: {
    readonly intervals: readonly Judged[];
    readonly beside: boolean;
    readonly unknown?: number | null;
  },
): RateTestPlan {
  const base = sum(intervals);
  return {
    tolerance: beside ? metric.tolerance : null,
    limit: beside ? metric.max : limitAlone({ ...metric, unknown }, base, analysis.alpha),
    guarded: beside,
    alone: null,
    margin: beside ? marginBeside(analysis, metric) : null,
    base,
    dispersion: dispersionOf(analysis.dispersion, intervals),
    adaptive: beside && analysis.dispersion === "auto" && !tellsDispersion(intervals),
  };
}

const NO_REFERENCE = "no reference set was registered with the version (register --reference)";
const NO_LIMIT = "nothing runs beside it, and no limit is known";

function rateTest(
  source: GatewayRate | "signal" | "disagreement",
  rate: RateTestPlan,
  role: Role,
): Pick<MetricPlan, "role" | "test"> {
  if (rate.tolerance === null && rate.limit === null)
    return { role: "report", test: { test: "none", why: NO_LIMIT } };
  return { role, test: { test: "rate", source, rate } };
}

/** Stable can be asked about errors only: what it answers to a rejected request is not known. */
function gatewayRole(source: GatewayRate, action: Role, beside: boolean): Role {
  if (beside || action !== "rollback") return action;
  return source === "rejected" ? "hold" : "propose";
}

function planGatewayRate(
  metric: Metric & ComparedMetric,
  source: GatewayRate,
  planning: Planning,
): Unweighted {
  const { comparison, baseline } = planning;
  const beside = comparison === "live" || (comparison === "paired" && source === "errors");
  const intervals = baseline.map(({ stable }) => gatewayRate(source, stable));
  // What callers get wrong may be any share of their requests.
  const unknown = source === "rejected" ? null : LEAST_OUTAGE_RATE;
  const planned = ratePlan(planning, metric, { intervals, beside, unknown });
  const asked = planning.alone && comparison === "live" && source !== "rejected";
  const alone =
    asked && metric.action !== "report"
      ? limitAlone({ ...metric, unknown }, planned.base, planning.analysis.alpha)
      : null;
  const rate = { ...planned, alone };
  return { metric, ...rateTest(source, rate, gatewayRole(source, metric.action, beside)) };
}

function planSignal(metric: Metric & ComparedMetric, planning: Planning): Unweighted {
  const beside = planning.comparison !== "absolute";
  const intervals = planning.baseline.flatMap(({ signals }): readonly Judged[] => {
    const signal = Object.hasOwn(signals, metric.name) ? signals[metric.name] : undefined;
    if (signal === undefined || signal.broken !== null) return [];
    const requests = Math.floor(signal.stable.observations);
    return [{ requests, bad: Math.min(requests, signal.stable.bad) }];
  });
  const rate = ratePlan(planning, metric, { intervals, beside });
  const role = beside ? metric.action : atMostHolds(metric.action);
  return { metric, ...rateTest("signal", rate, role) };
}

function planDisagreement(
  metric: Metric & { readonly kind: "disagreement" },
  { analysis }: Planning,
): Unweighted {
  const rate: RateTestPlan = {
    tolerance: null,
    limit: metric.max,
    guarded: false,
    alone: null,
    margin: marginOf(analysis, { absolute: metric.max, relative: 1 }),
    base: NOTHING,
    dispersion: 1,
  };
  return { metric, ...rateTest("disagreement", rate, metric.action) };
}

function latencyLimit(
  metric: Metric & { readonly kind: "latency" },
  { analysis, baseline }: Planning,
  beside: boolean,
): (TestPlan & { readonly test: "latency" })["limit"] {
  if (metric.maxMs === null) return null;
  // The bucket that holds the limit is still within it.
  const bucket = latencyBucket(metric.maxMs);
  const intervals = baseline.map(({ stable }) => slowerThan(pooled(stable.latency), bucket));
  const rate: RateTestPlan = {
    tolerance: null,
    limit: 1 - (metric.quantile ?? 0.99),
    guarded: beside,
    alone: null,
    margin: null,
    base: sum(intervals),
    dispersion: dispersionOf(analysis.dispersion, intervals),
  };
  return { bucket, rate };
}

/** The dispersion by quantile; where an edge is too rare to tell, its neighbour towards the median tells. */
function latencyDispersions(
  { analysis, baseline }: Planning,
  quantiles: readonly number[],
  edges: LatencyTestPlan["edges"],
): readonly number[] {
  const strata = baseline.map(({ stable }) =>
    strataOf({ edges }, quantiles, { candidate: noArmCounts(), stable }),
  );
  let nearer = 1;
  return quantiles.map((_, at) => {
    const intervals = strata.map((byQuantile) => totalOf(byQuantile[at] ?? []).stable);
    const known = sum(intervals).bad >= ENOUGH_FOR_DISPERSION;
    nearer = Math.max(dispersionOf(analysis.dispersion, intervals), known ? 1 : nearer);
    return nearer;
  });
}

function planLatency(
  metric: Metric & { readonly kind: "latency" },
  planning: Planning,
): Unweighted {
  const { analysis, comparison, baseline } = planning;
  const { warmUpMs = 0 } = metric;
  const beside = comparison !== "absolute";
  const limit = latencyLimit(metric, planning, beside);
  if (!beside) {
    if (limit === null) return { metric, role: "report", test: { test: "none", why: NO_LIMIT } };
    return {
      metric,
      role: atMostHolds(metric.action),
      test: { test: "latency", slower: null, limit, warmUpMs },
    };
  }
  const quantiles = metric.quantile === null ? QUANTILES : [metric.quantile];
  const shift = { quantiles, slower: metric.slower, atLeastMs: metric.atLeastMs };
  let latency: Interval["stable"]["latency"] = {};
  for (const { stable } of baseline) latency = addLatencies(latency, stable.latency);
  const { edges, gathered } = freezeBatches(latency, shift);
  const slower = {
    ...shift,
    edges: comparison === "paired" ? guardedEdges(edges, latency, analysis.alpha) : edges,
    gathered,
    dispersion: latencyDispersions(planning, quantiles, edges),
    adaptive: analysis.dispersion === "auto",
    margin: analysis.margin,
  };
  // A copy comes second: what both versions ask (a cache, a database) may be warm for it, and only for it. What
  // stable did before guards against that, where it is known.
  const isBiased = comparison === "paired" && planning.servers && !isGuarded(slower);
  const role = isBiased ? atMostHolds(metric.action) : metric.action;
  return { metric, role, test: { test: "latency", slower, limit, warmUpMs } };
}

function planDrift(
  metric: Metric & { readonly kind: "drift" },
  { analysis, comparison, baseline }: Planning,
): Unweighted {
  if (comparison === "absolute")
    return { metric, role: "report", test: { test: "none", why: "nothing runs beside it" } };
  let gathered: Interval["stable"]["outputs"] = {};
  for (const { stable } of baseline) gathered = addOutputs(gathered, stable.outputs);
  const outputs = baseline.map(({ stable }) => stable.outputs);
  const classes = freezeClasses(gathered, outputs, analysis.dispersion);
  const drift = { classes, gathered: classes === null ? gathered : {} };
  return { metric, role: metric.action, test: { test: "drift", drift } };
}

/** Inputs are the same for both revisions: whatever is found speaks against neither. */
function planInputs(
  metric: Metric & { readonly kind: "inputDrift" },
  { reference }: Planning,
): Unweighted {
  const role = metric.action === "hold" ? "hold" : "report";
  if (reference === null || reference.features.length === 0)
    return { metric, role, test: { test: "none", why: NO_REFERENCE } };
  return {
    metric,
    role,
    test: { test: "inputs", inputs: planInputDrift(reference, metric.tolerance) },
  };
}

/** How one metric is tested, and what its evidence can do. */
export function planMetric(metric: Metric, planning: Planning): Unweighted {
  switch (metric.kind) {
    case "errorRate":
      return planGatewayRate(metric, "errors", planning);
    case "rejected":
      return planGatewayRate(metric, "rejected", planning);
    case "validity":
      return planGatewayRate(metric, "invalid", planning);
    case "accuracy":
    case "meanError":
    case "score":
    case "prometheus":
    case "logs":
      return planSignal(metric, planning);
    case "latency":
      return planLatency(metric, planning);
    case "drift":
      return planDrift(metric, planning);
    case "disagreement":
      return planDisagreement(metric, planning);
    case "health":
      return {
        metric,
        role: metric.action,
        test: { test: "health", failures: metric.failures },
      };
    case "inputDrift":
      return planInputs(metric, planning);
  }
}

const carries = ({ role, test }: Unweighted): boolean =>
  (role === "rollback" || role === "propose") && test.test !== "health" && test.test !== "none";

/**
 * Weights that sum to 1 over the metrics that can bring it back. What those that are off, or only hold,
 * leave goes to the error rate (STATISTICS.md 1.7); without one, to all in proportion.
 */
export function weighMetrics(metrics: readonly Unweighted[]): readonly MetricPlan[] {
  const acting = metrics.filter(carries);
  const total = acting.reduce((before, { metric }) => before + metric.weight, 0);
  const errors = acting.find(({ metric }) => metric.kind === "errorRate");
  return metrics.map((one) => {
    if (!carries(one)) return { ...one, weight: 0 };
    if (errors !== undefined && total <= 1)
      return { ...one, weight: one.metric.weight + (one === errors ? 1 - total : 0) };
    return { ...one, weight: total > 0 ? one.metric.weight / total : 1 / acting.length };
  });
}
