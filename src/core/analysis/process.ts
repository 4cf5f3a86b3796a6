import {
  addIncrements,
  combineEvidence,
  estimateDispersion,
  logE,
  startEProcess,
  type ArmCounts as Judged,
  type EProcess,
} from "../evidence/index.ts";

/** A test of a regression, that restarts over the watch. */
export function startRegression(horizon: number): EProcess {
  return startEProcess({ bets: "regression", horizon });
}

/** A test that the candidate is within the margin. */
export function startSafety(): EProcess {
  return startEProcess({ bets: "safety", horizon: null });
}

/** How an interval counts. */
export interface Weighing {
  /** At least 1. */
  readonly dispersion: number;
  /**
   * Planned intervals that are over with this one. Intervals come from several gateways and sources:
   * what restarts in a watch goes by its time, not by their number.
   */
  readonly over: number;
}

/** The process after one more interval; null: it says nothing, and what restarts meanwhile is made up for. */
export function advance(
  process: EProcess,
  increments: readonly number[] | null,
  weighing: Weighing,
): EProcess {
  return increments === null ? process : addIncrements(process, increments, weighing);
}

/** What parts of one interval say together, bet by bet: their increments add up; null of none. */
export function sumIncrements(parts: readonly (readonly number[])[]): readonly number[] | null {
  const [first, ...others] = parts;
  if (first === undefined) return null;
  return others.length === 0
    ? first
    : first.map((log, bet) => others.reduce((sum, other) => sum + (other[bet] ?? 0), log));
}

/** ln of the average of e-values, from their logarithms; 0 of none. */
export function averageLogE(logs: readonly number[]): number {
  if (logs.length === 0) return 0;
  return combineEvidence(logs.map((log) => ({ weight: 1 / logs.length, logE: log })));
}

/** ln of the average of the processes' e-values. */
export function averageOf(processes: readonly EProcess[]): number {
  return averageLogE(processes.map(logE));
}

/**
 * The most that an estimate of clustering may cost. One outage in the traffic that it comes from would
 * otherwise blind the test of every rollout after it.
 */
export const MOST_DISPERSION = 20;

/** Bad events from which it can be told how much they cluster. */
export const ENOUGH_FOR_DISPERSION = 20;

/** How much bad events cluster, from intervals of stable alone, or the policy's own number. */
export function dispersionOf(policy: "auto" | number, intervals: readonly Judged[]): number {
  if (policy !== "auto") return Math.max(1, policy);
  return Math.min(MOST_DISPERSION, estimateDispersion(intervals));
}
