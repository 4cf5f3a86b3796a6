import type { Assessment } from "../../core/analysis/index.ts";
import type { EndpointView, RolloutView } from "../../core/api/index.ts";
import type { Metric, Sample } from "./exposition.ts";

const PHASES: readonly RolloutView["phase"][] = [
  "Preparing",
  "Progressing",
  "Baking",
  "RollingBack",
  "Succeeded",
  "RolledBack",
  "Aborted",
  "Rejected",
  "NoTarget",
];
const DECISIONS: readonly Assessment["decision"][] = ["continue", "hold", "rollback", "promote"];
const VERDICTS: readonly Assessment["metrics"][number]["verdict"][] = [
  "pass",
  "fail",
  "inconclusive",
];

type Labels = Sample["labels"];

/** Evidence in decimal digits, 3 is 1000 to 1, to a millionth. */
const digits = (logE: number): number => Math.round((logE / Math.LN10) * 1e6) / 1e6;

const gauge = (name: string, help: string, samples: readonly Sample[]): Metric => ({
  name,
  help,
  type: "gauge",
  samples,
});

/** One sample for each value it can have, 1 for the one it has. */
function oneOf<T extends string>(
  label: string,
  all: readonly T[],
  is: T,
  labels: Labels,
): readonly Sample[] {
  return all.map((one) => ({ labels: { ...labels, [label]: one }, value: Number(one === is) }));
}

function ofEndpoints(endpoints: readonly EndpointView[]): readonly Metric[] {
  const last = endpoints.flatMap(({ name, rollout, lastRollout }) => {
    const shown = rollout ?? lastRollout;
    return shown === null ? [] : [{ labels: { endpoint: name }, shown }];
  });
  return [
    gauge(
      "lastgood_rollout_phase",
      "1 for the phase of the rollout under way, or of the last one.",
      last.flatMap(({ labels, shown }) => oneOf("phase", PHASES, shown.phase, labels)),
    ),
    gauge(
      "lastgood_rollout_held",
      "1 while the evidence keeps the rollout from advancing.",
      last.map(({ labels, shown }) => ({ labels, value: Number(shown.held !== null) })),
    ),
  ];
}

function ofMetrics(assessments: ReadonlyMap<string, Assessment>): readonly Metric[] {
  const each = [...assessments].flatMap(([endpoint, { metrics }]) =>
    metrics.map((metric) => ({ labels: { endpoint, metric: metric.name }, metric })),
  );
  return [
    gauge(
      "lastgood_rollout_metric_evidence_log10",
      "Decimal logarithm of the e-value of one metric of the rollout under way.",
      each.map(({ labels, metric }) => ({ labels, value: digits(metric.logE) })),
    ),
    gauge(
      "lastgood_rollout_metric_threshold_log10",
      "At which evidence the metric acts alone.",
      each.map(({ labels, metric }) => ({ labels, value: digits(metric.threshold) })),
    ),
    gauge(
      "lastgood_rollout_metric_weight",
      "The metric's share of the evidence of all; 0 where it can bring nothing back.",
      each.map(({ labels, metric }) => ({ labels, value: metric.weight })),
    ),
    gauge(
      "lastgood_rollout_metric_verdict",
      "1 for what the evidence says of the metric.",
      each.flatMap(({ labels, metric }) => oneOf("verdict", VERDICTS, metric.verdict, labels)),
    ),
  ];
}

/**
 * What `/metrics` shows of rollouts. Labels are endpoints and the metrics of their policies, never a
 * rollout or a version: series do not grow with time.
 */
export function rolloutMetrics(
  endpoints: readonly EndpointView[],
  assessments: ReadonlyMap<string, Assessment>,
): readonly Metric[] {
  const each = [...assessments].map(([endpoint, assessment]) => ({
    labels: { endpoint },
    assessment,
  }));
  return [
    ...ofEndpoints(endpoints),
    gauge(
      "lastgood_rollout_evidence_log10",
      "Decimal logarithm of the weighted e-value of all metrics of the rollout under way.",
      each.map(({ labels, assessment }) => ({ labels, value: digits(assessment.logE) })),
    ),
    gauge(
      "lastgood_rollout_threshold_log10",
      "At which evidence of all metrics it goes back.",
      each.map(({ labels, assessment }) => ({ labels, value: digits(assessment.threshold) })),
    ),
    gauge(
      "lastgood_rollout_decision",
      "1 for what the evidence says of the rollout under way.",
      each.flatMap(({ labels, assessment }) =>
        oneOf("decision", DECISIONS, assessment.decision, labels),
      ),
    ),
    ...ofMetrics(assessments),
  ];
}
