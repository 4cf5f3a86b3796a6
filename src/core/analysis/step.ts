import { noPairCounts, type Compared, type Interval, type PairCounts } from "./interval.ts";
import type { Comparison } from "./plan.ts";

/** What one interval has for all metrics. */
export interface Step extends Compared {
  readonly interval: Interval;
  readonly comparison: Comparison;
  readonly horizon: number;
  /** Planned intervals that are over with this one. */
  readonly over: number;
  readonly dispersion: "auto" | number;
}

/**
 * The pairs of which an interval is shown; null: what callers got is. Where pairs are all that is compared,
 * requests that have none would make two numbers side by side out of unlike things.
 */
export function pairsShown({
  comparison,
  pairs,
}: Pick<Step, "comparison" | "pairs">): PairCounts | null {
  return pairs ?? (comparison === "paired" ? noPairCounts() : null);
}
