import { checkArm, type ArmCounts } from "./counts.ts";

const LEAST_INTERVALS = 30;
const LEAST_BAD = 20;

/**
 * Pearson's index of dispersion of counts whose rate is the same in all intervals: about 1 where the
 * outcomes are independent, m where they come in clusters of m. Empty intervals are left out; null
 * where nothing can be said, with fewer than two intervals or all outcomes alike.
 */
export function dispersionIndex(intervals: readonly ArmCounts[]): number | null {
  const filled = intervals.filter(({ requests }) => requests > 0);
  let requests = 0;
  let bad = 0;
  for (const interval of filled) {
    requests += interval.requests;
    bad += interval.bad;
  }
  if (filled.length < 2 || bad === 0 || bad === requests) return null;
  const rate = bad / requests;
  let sum = 0;
  for (const interval of filled) {
    const expected = interval.requests * rate;
    sum += (interval.bad - expected) ** 2 / (expected * (1 - rate));
  }
  return sum / (filled.length - 1);
}

/**
 * Whether so many intervals with requests, and so many bad events in them, tell how much these cluster.
 * @throws `evidence.invalid` for counts that cannot be.
 */
export function tellsDispersion(intervals: readonly ArmCounts[]): boolean {
  let filled = 0;
  let bad = 0;
  for (const interval of intervals) {
    checkArm("interval", interval);
    if (interval.requests > 0) filled += 1;
    bad += interval.bad;
  }
  return filled >= LEAST_INTERVALS && bad >= LEAST_BAD;
}

/**
 * How much bad events cluster, from intervals (of 10 to 60 s) of the stable version alone, before the
 * rollout: the factor, at least 1, by which `addIncrements` divides. It is 1 with fewer than 30
 * intervals that have requests or fewer than 20 bad events in them (STATISTICS.md 1.5).
 * @throws `evidence.invalid` for counts that cannot be.
 */
export function estimateDispersion(intervals: readonly ArmCounts[]): number {
  if (!tellsDispersion(intervals)) return 1;
  return Math.max(1, dispersionIndex(intervals) ?? 1);
}
