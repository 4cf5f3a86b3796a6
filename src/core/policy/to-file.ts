import { STANDARD_METRICS } from "./metric-schema.ts";
import type {
  AnalysisPolicy,
  EndpointPolicy,
  Metric,
  Policy,
  RolloutPlan,
  RolloutStep,
  Tolerance,
  Until,
} from "./policy.ts";
import type { PolicyFile } from "./schema.ts";
import { durationText, shareText } from "./value.ts";

type MetricFile = NonNullable<NonNullable<PolicyFile["analysis"]>["metrics"]>[string];
type StepFile = NonNullable<
  NonNullable<NonNullable<PolicyFile["rollout"]>["canary"]>["steps"]
>[number];

/** The part of a file that says a policy, with every key written out. */
export type PolicyPartFile = Required<Pick<PolicyFile, "rollout" | "analysis" | "rollback">>;

function untilFile({ requests, timeMs }: Until): { requests: number; time: string } {
  return { requests, time: durationText(timeMs) };
}

function stepFile(step: RolloutStep): StepFile {
  switch (step.kind) {
    case "weight":
      return { weight: `${step.percent}%`, until: untilFile(step.until) };
    case "mirror":
      return { mirror: `${step.percent}%`, until: untilFile(step.until) };
    case "pause":
      return { pause: step.forMs === null ? "manual" : durationText(step.forMs) };
    case "analysis":
      return { analysis: untilFile(step.until) };
  }
}

function planFile(plan: RolloutPlan): NonNullable<PolicyFile["rollout"]> {
  switch (plan.strategy) {
    case "canary":
      return { canary: { steps: plan.steps.map(stepFile) } };
    case "blueGreen":
      return { blueGreen: { steps: plan.steps.map(stepFile), promotion: plan.promotion } };
    case "recreate":
      return { recreate: {} };
  }
}

function toleranceFile({ absolute, relative }: Tolerance) {
  return { absolute: shareText(absolute), relative };
}

function comparedFile(metric: {
  readonly tolerance: Tolerance | null;
  readonly max: number | null;
}) {
  return {
    ...(metric.tolerance === null
      ? { compare: false }
      : { tolerance: toleranceFile(metric.tolerance) }),
    ...(metric.max === null ? {} : { max: shareText(metric.max) }),
  };
}

function latencyKeys(
  metric: Extract<Metric, { kind: "latency" }>,
): Readonly<Record<string, unknown>> {
  return {
    ...(metric.quantile === null ? {} : { quantile: metric.quantile }),
    slower: shareText(metric.slower),
    atLeast: durationText(metric.atLeastMs),
    warmUp: durationText(metric.warmUpMs ?? 0),
    ...(metric.maxMs === null ? {} : { max: durationText(metric.maxMs) }),
  };
}

/** Keys of the kinds that are read from somewhere else than the gateway. */
function sourceKeys(
  metric: Extract<Metric, { kind: "prometheus" | "logs" | "health" }>,
): Readonly<Record<string, unknown>> {
  const { kind, source } = metric;
  switch (kind) {
    case "prometheus":
      return { ...comparedFile(metric), source, bad: metric.bad, total: metric.total };
    case "logs":
      return { ...comparedFile(metric), source };
    case "health":
      return { source, failures: metric.failures };
  }
}

function ownKeys(metric: Metric): Readonly<Record<string, unknown>> {
  switch (metric.kind) {
    case "errorRate":
    case "rejected":
    case "validity":
    case "accuracy":
    case "score":
      return comparedFile(metric);
    case "meanError":
      return { ...comparedFile(metric), bound: metric.bound };
    case "latency":
      return latencyKeys(metric);
    case "drift":
      return {};
    case "inputDrift":
      return { reference: metric.reference, tolerance: toleranceFile(metric.tolerance) };
    case "disagreement":
      return {
        max: shareText(metric.max),
        by: metric.by,
        tolerance: {
          relative: shareText(metric.tolerance.relative),
          absolute: metric.tolerance.absolute,
        },
      };
    case "prometheus":
    case "logs":
    case "health":
      return sourceKeys(metric);
  }
}

function metricFile(metric: Metric): MetricFile {
  const { kind, name, weight, action } = metric;
  const weighted = kind !== "health" && kind !== "inputDrift";
  return {
    ...(name === kind ? {} : { kind }),
    ...(weighted ? { weight } : {}),
    action,
    ...ownKeys(metric),
  } as MetricFile;
}

function metricsFile(metrics: readonly Metric[]): Record<string, MetricFile> {
  const off = STANDARD_METRICS.filter((name) => metrics.every((metric) => metric.name !== name));
  return Object.fromEntries([
    ...metrics.map((metric) => [metric.name, metricFile(metric)] as const),
    ...off.map((name) => [name, { off: true } as MetricFile] as const),
  ]);
}

function analysisFile(analysis: AnalysisPolicy): NonNullable<PolicyFile["analysis"]> {
  return {
    alpha: analysis.alpha,
    holdAlpha: analysis.holdAlpha,
    beta: analysis.beta,
    margin: toleranceFile(analysis.margin),
    early: analysis.early,
    minRequests: analysis.minRequests,
    flush: durationText(analysis.flushMs),
    deadline: durationText(analysis.deadlineMs),
    dispersion: analysis.dispersion,
    metrics: metricsFile(analysis.metrics),
    inconclusive: {
      then: analysis.inconclusive.action,
      deadline: durationText(analysis.inconclusive.deadlineMs),
    },
    noData: {
      after: durationText(analysis.noData.afterMs),
      then: analysis.noData.action,
    },
  };
}

/** A policy as the file says it, every key written out; reading it gives the policy again. */
export function policyToFile(policy: Policy): PolicyPartFile {
  const { automatic, fallback, cooldownMs, atMost } = policy.rollback;
  return {
    rollout: {
      ...planFile(policy.rollout),
      bake: durationText(policy.bakeMs),
      holdback: shareText(policy.holdback),
    },
    analysis: analysisFile(policy.analysis),
    rollback: {
      automatic,
      fallback,
      cooldown: durationText(cooldownMs),
      atMost: `${atMost.count} per ${durationText(atMost.withinMs)}`,
    },
  };
}

/** `lastgood.yaml` of an endpoint, every key written out; reading it gives the same again. */
export function endpointPolicyToFile(endpoint: EndpointPolicy): PolicyFile {
  const { name, model, environment, policy } = endpoint;
  return {
    apiVersion: "lastgood/v1",
    kind: "Endpoint",
    name,
    model,
    ...(environment === null ? {} : { environment }),
    ...policyToFile(policy),
  };
}
