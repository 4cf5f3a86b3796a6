import type { Policy } from "./policy.ts";

/**
 * Each metric's share of the evidence for a rollback, by name; they sum to 1. Metrics that only hold
 * or report have a threshold of their own, and a health check acts by its own count: they are not in it.
 */
export function actingWeights(policy: Policy): ReadonlyMap<string, number> {
  const acting = policy.analysis.metrics.filter(
    (metric) => metric.action === "rollback" && metric.kind !== "health",
  );
  const sum = acting.reduce((total, metric) => total + metric.weight, 0);
  return new Map(acting.map((metric) => [metric.name, metric.weight / sum]));
}
