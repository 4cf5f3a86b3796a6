import type { ArmCounts, Interval, PairCounts } from "./interval.ts";

/** What one interval has for all metrics. */
export interface Step {
  readonly interval: Interval;
  /** Both arms with at least one request, several intervals merged if needed; null: nothing to compare. */
  readonly arms: { readonly candidate: ArmCounts; readonly stable: ArmCounts } | null;
  /** Whether pairs stand for the arms. */
  readonly pairs: PairCounts | null;
  readonly horizon: number;
  /** Planned intervals that are over with this one. */
  readonly over: number;
  readonly dispersion: "auto" | number;
}
