import type { Metric } from "../../core/policy/index.ts";
import type { StoredFeedback } from "../../storage/store/index.ts";
import { predictionSchema, type PredictedRows } from "./logged-prediction.ts";

/** What says how bad one answer was. */
type LabelMetric = Extract<Metric, { kind: "accuracy" | "meanError" | "score" }>;

/** Kinds of metrics that feedback has something to say of. */
export const FEEDBACK_KINDS: ReadonlySet<Metric["kind"]> = new Set([
  "accuracy",
  "meanError",
  "score",
]);

/** True for a metric that feedback has something to say of. */
export function isLabelMetric(metric: Metric): metric is LabelMetric {
  return FEEDBACK_KINDS.has(metric.kind);
}

function numberOf(value: unknown): number | null {
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value !== "string" || value.trim() === "") return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}

/**
 * Whether a label names the predicted class. Texts are compared exactly; numbers by value, and so is
 * a number with a text that is one (`1`, `"1"` and `"1.0"` are the same class, as labels come from
 * CSV files); true is 1, false is 0.
 */
export function sameClass(label: unknown, predicted: unknown): boolean {
  if (String(label) === String(predicted)) return true;
  if (typeof label === "string" && typeof predicted === "string") return false;
  const [one, other] = [numberOf(label), numberOf(predicted)];
  return one !== null && one === other;
}

/** Pairs of label and prediction by row; null where they do not fit each other. */
function rowsOf(
  label: unknown,
  { rows, values }: PredictedRows,
): readonly (readonly [unknown, string | number])[] | null {
  const labels: readonly unknown[] = Array.isArray(label) ? label : [label];
  if (labels.length !== rows || values.length === 0) return null;
  return values.map((value, row) => [labels[row], value] as const);
}

function meanOf(losses: readonly (number | null)[]): number | null {
  let sum = 0;
  for (const loss of losses) {
    if (loss === null) return null;
    sum += loss;
  }
  return losses.length === 0 ? null : sum / losses.length;
}

function predictionLoss(
  metric: LabelMetric,
  value: unknown,
  predicted: PredictedRows,
): number | null {
  const rows = rowsOf(value, predicted);
  if (rows === null) return null;
  if (metric.kind === "accuracy")
    return meanOf(rows.map(([label, given]) => (sameClass(label, given) ? 0 : 1)));
  if (metric.kind !== "meanError") return null;
  return meanOf(
    rows.map(([label, given]) => {
      const [truth, guess] = [numberOf(label), numberOf(given)];
      if (truth === null || guess === null) return null;
      return Math.min(1, Math.abs(truth - guess) / metric.bound);
    }),
  );
}

function labelLoss(metric: LabelMetric, { value, prediction }: StoredFeedback): number | null {
  const parsed = predictionSchema.safeParse(prediction);
  return parsed.success ? predictionLoss(metric, value, parsed.data) : null;
}

/**
 * How bad the answer of that revision was to the same request, where it was given it as well and what it
 * predicted is known; else null. Only a label is the truth for both.
 */
export function mirroredLoss(
  metric: LabelMetric,
  { kind, value, prediction }: StoredFeedback,
  revision: number,
): number | null {
  if (kind !== "label" || metric.kind === "score") return null;
  const mirror = predictionSchema.safeParse(prediction).data?.mirror ?? null;
  return mirror?.revision === revision ? predictionLoss(metric, value, mirror) : null;
}

/**
 * How bad one answer was by one metric, from 0 to 1: one observation per request, the mean of its
 * rows. Null where the feedback says nothing of the metric.
 */
export function lossOf(metric: LabelMetric, feedback: StoredFeedback): number | null {
  const { kind, value } = feedback;
  switch (kind) {
    case "correct":
      return metric.kind === "accuracy" ? Number(value !== true) : null;
    case "score":
      return metric.kind === "score" && typeof value === "number" ? 1 - value : null;
    case "label":
      return metric.kind === "score" ? null : labelLoss(metric, feedback);
  }
}

/** Whether a label is about other rows than the prediction has, or of a kind that cannot be compared. */
export function isMisfit(metrics: readonly LabelMetric[], feedback: StoredFeedback): boolean {
  const asked = metrics.filter(({ kind }) => kind !== "score");
  return (
    feedback.kind === "label" &&
    asked.length > 0 &&
    asked.every((metric) => lossOf(metric, feedback) === null)
  );
}
