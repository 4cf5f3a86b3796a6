import type { Rollout } from "../../core/rollout/index.ts";
import type { ReferenceSet } from "../../core/version/index.ts";

/**
 * The reference set that a rollout's inputs are compared with, or null where its policy watches none or
 * nobody gave one.
 */
export function referenceOf(
  { policy }: Pick<Rollout, "policy">,
  sets: { readonly candidate: ReferenceSet | null; readonly stable: ReferenceSet | null },
): ReferenceSet | null {
  const metric = policy.analysis.metrics.find(({ kind }) => kind === "inputDrift");
  if (metric?.kind !== "inputDrift") return null;
  return metric.reference === "stable" ? sets.stable : (sets.candidate ?? sets.stable);
}
