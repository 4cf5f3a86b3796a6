import { PROMOTION_FRACTIONS, SEVERITIES } from "./bet-grid.ts";
import {
  checkArm,
  checkRange,
  HALF_OPEN_UNIT,
  OPEN_UNIT,
  type ArmCounts,
  type SplitCounts,
} from "./counts.ts";
import { timesLog1p } from "./log-space.ts";

/** What a candidate is allowed beside its baseline: a rate up to `relative * baseline + absolute`. */
export interface Tolerance {
  /** At least 1; 1 allows nothing more in proportion. */
  readonly relative: number;
  /** Share of requests, from 0 and below 1: 0.001 is a tenth of a percent. */
  readonly absolute: number;
}

/** Settings of a two-sample bet; frozen when the rollout starts. */
export interface SplitBetSettings extends Tolerance {
  /**
   * Rate of bad events around which is bet, from 0 and below 1: 0 where they are rare, the baseline's
   * rate as known beforehand where they are frequent. Any value is valid, a good one is faster.
   */
  readonly centre: number;
  /**
   * The candidate's share of the traffic, where the very same chance decided about every request.
   * Without it the share that came about is used, which needs no assumption on the split.
   */
  readonly knownSplit?: number | undefined;
}

/** What one request adds to a stake of 1, by arm and outcome. */
export interface Payoffs {
  readonly candidateBad: number;
  readonly candidateGood: number;
  readonly stableBad: number;
  readonly stableGood: number;
}

/** The payoffs at a split: their mean is at most 0 while the hypothesis holds. */
export function payoffsAt(
  split: number,
  { relative, absolute, centre }: SplitBetSettings,
): Payoffs {
  const rest = 1 - split;
  return {
    candidateBad: (1 - relative * centre) / split - absolute,
    candidateGood: -((relative * centre) / split + absolute),
    stableBad: -((relative * (1 - centre)) / rest + absolute),
    stableGood: (relative * centre) / rest - absolute,
  };
}

function largestStake({ candidateBad, candidateGood, stableBad, stableGood }: Payoffs): number {
  return -1 / Math.min(candidateBad, candidateGood, stableBad, stableGood);
}

/** The stake that grows fastest at a severity, where bad events are rare and nothing is tolerated. */
export function stakeOn(severity: number, split: number, payoffs: Payoffs): number {
  const fraction = (split * (severity - 1)) / (split * severity + 1 - split);
  return fraction * largestStake(payoffs);
}

/** What a stake on every request of an interval adds to the log wealth. */
export function logIncrement(
  stake: number,
  payoffs: Payoffs,
  { candidate, stable }: SplitCounts,
): number {
  return (
    timesLog1p(candidate.bad, stake * payoffs.candidateBad) +
    timesLog1p(candidate.requests - candidate.bad, stake * payoffs.candidateGood) +
    timesLog1p(stable.bad, stake * payoffs.stableBad) +
    timesLog1p(stable.requests - stable.bad, stake * payoffs.stableGood)
  );
}

function checkInput({ candidate, stable }: SplitCounts, settings: SplitBetSettings): void {
  checkArm("candidate", candidate);
  checkArm("stable", stable);
  checkRange("relative", settings.relative, { least: 1, most: Infinity, withLeast: true });
  checkRange("absolute", settings.absolute, HALF_OPEN_UNIT);
  checkRange("centre", settings.centre, HALF_OPEN_UNIT);
  if (settings.knownSplit !== undefined) checkRange("knownSplit", settings.knownSplit, OPEN_UNIT);
}

/** The candidate's share of the traffic, or null where there is nothing to compare. */
function splitOf(
  candidate: ArmCounts,
  stable: ArmCounts,
  knownSplit: number | undefined,
): number | null {
  if (knownSplit !== undefined) return knownSplit;
  if (candidate.requests === 0 || stable.requests === 0) return null;
  return candidate.requests / (candidate.requests + stable.requests);
}

/**
 * SplitBet, the two-sample test of a candidate against the stable version beside it: the natural log
 * increments of the 16 bets of `SEVERITIES` for one interval, against the hypothesis that the
 * candidate's rate is at most `relative * stable's rate + absolute` (STATISTICS.md 1.2). The rates may
 * change from interval to interval. Without `knownSplit` an interval with an empty arm says nothing
 * (zeros), and where an interval ends must not depend on outcomes; with it, it may be called for each
 * request.
 * @throws `evidence.invalid` for counts that cannot be and settings out of their range.
 */
export function splitBet(counts: SplitCounts, settings: SplitBetSettings): readonly number[] {
  checkInput(counts, settings);
  const split = splitOf(counts.candidate, counts.stable, settings.knownSplit);
  if (split === null) return SEVERITIES.map(() => 0);
  const payoffs = payoffsAt(split, settings);
  return SEVERITIES.map((severity) =>
    logIncrement(stakeOn(severity, split, payoffs), payoffs, counts),
  );
}

/**
 * The same test the other way round, for promotion: the natural log increments of 8 equally weighted
 * bets for one interval, against the hypothesis that the candidate is unacceptable, its rate at least
 * `relative * stable's rate + absolute` (STATISTICS.md 1.6). A process of the family `safety` adds them
 * up; once its e-value reaches 1/beta the candidate may be promoted, wrongly with probability beta at
 * most.
 * @throws `evidence.invalid` for counts that cannot be and settings out of their range.
 */
export function promotionBet(counts: SplitCounts, settings: SplitBetSettings): readonly number[] {
  checkInput(counts, settings);
  const split = splitOf(counts.candidate, counts.stable, settings.knownSplit);
  if (split === null) return PROMOTION_FRACTIONS.map(() => 0);
  const { candidateBad, candidateGood, stableBad, stableGood } = payoffsAt(split, settings);
  const reversed = {
    candidateBad: -candidateBad,
    candidateGood: -candidateGood,
    stableBad: -stableBad,
    stableGood: -stableGood,
  };
  const largest = largestStake(reversed);
  return PROMOTION_FRACTIONS.map((fraction) => logIncrement(fraction * largest, reversed, counts));
}
