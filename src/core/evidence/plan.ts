import { SEVERITIES } from "./bet-grid.ts";
import { checkRange, HALF_OPEN_UNIT, OPEN_UNIT } from "./counts.ts";
import type { Tolerance } from "./split-bet.ts";

/** What a comparison would look like. */
export interface ComparisonPlan extends Tolerance {
  /** The candidate's share of the traffic, above 0 and below 1. */
  readonly split: number;
  /** The stable version's rate of bad events, from 0 and below 1. */
  readonly baseRate: number;
  /** Probability of a false rollback; the metric's own share of it, alpha times its weight. */
  readonly alpha: number;
  /**
   * What clustering costs, at least 1.
   * @default 1
   */
  readonly dispersion?: number | undefined;
}

/** What it takes to find a regression, half of the time. */
export interface DetectionCost {
  /** Bad events of the candidate until then. */
  readonly candidateBad: number;
  /** Requests of both versions until then. */
  readonly requests: number;
}

/** Price of not knowing the severity, in nats. */
const MIXTURE_COST = 1.5;

function checkPlan({ split, baseRate, alpha, relative, absolute, dispersion = 1 }: ComparisonPlan) {
  checkRange("split", split, OPEN_UNIT);
  checkRange("baseRate", baseRate, HALF_OPEN_UNIT);
  checkRange("alpha", alpha, OPEN_UNIT);
  checkRange("relative", relative, { least: 1, most: Infinity, withLeast: true });
  checkRange("absolute", absolute, HALF_OPEN_UNIT);
  checkRange("dispersion", dispersion, { least: 1, most: Infinity, withLeast: true });
}

/** Mean log growth of the best bet per bad event of the candidate; not above 0 where none gains. */
function growth(split: number, tolerated: number, candidateRate: number): number {
  const least = SEVERITIES[0] ?? NaN;
  const most = SEVERITIES.at(-1) ?? NaN;
  const severity = tolerated === 0 ? Infinity : candidateRate / tolerated;
  const bet = Math.min(most, Math.max(least, severity));
  const loss = Math.log1p(split * (bet - 1));
  const stableBad = ((1 - split) / split) * (tolerated / candidateRate);
  return Math.log(bet) - loss - stableBad * loss;
}

function cost(plan: ComparisonPlan, candidateRate: number): DetectionCost | null {
  const { split, alpha, relative, absolute, baseRate, dispersion = 1 } = plan;
  const gain = growth(split, relative * baseRate + absolute, candidateRate);
  if (!(gain > 0)) return null;
  const candidateBad = (dispersion * (MIXTURE_COST - Math.log(alpha))) / gain;
  return { candidateBad, requests: candidateBad / (split * candidateRate) };
}

/**
 * About how many requests it takes (median) until a candidate with this rate of bad events, above 0, is
 * rolled back; null where the rate is tolerated or within the dead zone of some 12 % above that
 * (STATISTICS.md 1.9; the ratio is taken to the tolerated rate, and beyond the grid the outermost bet).
 * The 95th percentile is 2 to 2.6 times as much.
 * @throws `evidence.invalid` for settings out of their range.
 */
export function costToDetect(plan: ComparisonPlan, candidateRate: number): DetectionCost | null {
  checkPlan(plan);
  checkRange("candidateRate", candidateRate, { least: 0, most: 1, withMost: true });
  return cost(plan, candidateRate);
}

/**
 * The smallest rate of bad events that is found, half of the time, within so many requests of both
 * versions; null where not even a candidate that always fails would be (STATISTICS.md 1.9).
 * @throws `evidence.invalid` for settings out of their range.
 */
export function smallestDetectableRate(plan: ComparisonPlan, requests: number): number | null {
  checkPlan(plan);
  checkRange("requests", requests, { least: 0, most: Infinity, withLeast: true });
  const found = (rate: number): boolean => (cost(plan, rate)?.requests ?? Infinity) <= requests;
  if (!found(1)) return null;
  let missed = 0;
  let detected = 1;
  for (let step = 0; step < 60; step += 1) {
    const middle = missed + (detected - missed) / 2;
    if (found(middle)) detected = middle;
    else missed = middle;
  }
  return detected;
}
