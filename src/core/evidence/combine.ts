import { checkFinite, checkRange, invalidEvidence, OPEN_UNIT } from "./counts.ts";
import { logSumExp } from "./log-space.ts";

/** The evidence of one metric. */
export interface WeightedEvidence {
  /** Share of alpha, from 0 to 1, fixed before the rollout. */
  readonly weight: number;
  /** Natural log of the e-value. */
  readonly logE: number;
}

/** The evidence of one metric by its name. */
export interface NamedEvidence extends WeightedEvidence {
  readonly name: string;
}

/** Sums of decimal weights miss 1 by their rounding. */
const ROUNDING = 1e-9;

function checkEvidence(metrics: readonly WeightedEvidence[]): void {
  let sum = 0;
  for (const { weight, logE } of metrics) {
    checkRange("weight", weight, { least: 0, most: 1, withLeast: true, withMost: true });
    checkFinite("logE", logE);
    sum += weight;
  }
  if (Math.abs(sum - 1) > ROUNDING)
    throw invalidEvidence(
      `the weights sum to ${sum}`,
      "weights sum to 1; the weight of a metric that is off goes to another",
    );
}

const weighted = ({ weight, logE }: WeightedEvidence): number => Math.log(weight) + logE;

/**
 * Natural log of the weighted sum of e-values: evidence that some metric is beyond its tolerance, under
 * whatever dependence between them (STATISTICS.md 1.7).
 * @throws `evidence.invalid` for weights outside [0, 1] or a sum other than 1, and an infinite `logE`.
 */
export function combineEvidence(metrics: readonly WeightedEvidence[]): number {
  checkEvidence(metrics);
  return logSumExp(metrics.map(weighted));
}

/**
 * The metrics to blame once the combined e-value has reached 1/alpha: those that would have reached it
 * alone, else the one with the most weighted evidence (STATISTICS.md 1.7).
 * @throws `evidence.invalid` as `combineEvidence` does, and for alpha outside (0, 1).
 */
export function blamedMetrics(metrics: readonly NamedEvidence[], alpha: number): readonly string[] {
  checkEvidence(metrics);
  checkRange("alpha", alpha, OPEN_UNIT);
  const alone = metrics.filter((metric) => weighted(metric) >= -Math.log(alpha));
  const [first, ...others] = metrics;
  if (alone.length > 0 || first === undefined) return alone.map(({ name }) => name);
  let most = first;
  for (const metric of others) if (weighted(metric) > weighted(most)) most = metric;
  return [most.name];
}
