import { PROMOTION_FRACTIONS, SEVERITIES } from "./bet-grid.ts";
import { checkCount, checkRange, HALF_OPEN_UNIT, invalidEvidence } from "./counts.ts";
import { timesLog1p } from "./log-space.ts";
import type { Tolerance } from "./split-bet.ts";

/** What both versions answered to the same inputs. */
export interface PairCounts {
  /** Inputs that both were given, whole number. */
  readonly pairs: number;
  /** Inputs on which only the candidate was bad. */
  readonly onlyCandidateBad: number;
  /** Inputs on which only the stable version was bad. */
  readonly onlyStableBad: number;
  /** Inputs on which both were bad. */
  readonly bothBad: number;
}

/** How bad both answers to one input were, from 0 to 1. */
export interface PairLosses {
  readonly candidate: number;
  readonly stable: number;
}

/** What one input adds to a stake of 1, by who was bad. */
interface PairPayoffs {
  readonly onlyCandidateBad: number;
  readonly onlyStableBad: number;
  readonly bothBad: number;
  readonly bothGood: number;
}

function checkTolerance({ relative, absolute }: Tolerance): void {
  checkRange("relative", relative, { least: 1, most: Infinity, withLeast: true });
  checkRange("absolute", absolute, HALF_OPEN_UNIT);
}

function checkPairs({ pairs, onlyCandidateBad, onlyStableBad, bothBad }: PairCounts): void {
  checkCount("pairs", pairs);
  checkCount("onlyCandidateBad", onlyCandidateBad);
  checkCount("onlyStableBad", onlyStableBad);
  checkCount("bothBad", bothBad);
  if (onlyCandidateBad + onlyStableBad + bothBad > pairs)
    throw invalidEvidence(
      `${onlyCandidateBad}, ${onlyStableBad} and ${bothBad} of ${pairs} pairs are bad`,
      "onlyCandidateBad, onlyStableBad and bothBad together are at most pairs",
    );
}

function checkLosses({ candidate, stable }: PairLosses): void {
  const unit = { least: 0, most: 1, withLeast: true, withMost: true };
  checkRange("candidate", candidate, unit);
  checkRange("stable", stable, unit);
}

/** The candidate's loss beyond what the stable version's allows: at most 0 on average if tolerated. */
function excess({ candidate, stable }: PairLosses, { relative, absolute }: Tolerance): number {
  return candidate - relative * stable - absolute;
}

function payoffsOf(tolerance: Tolerance, sign: 1 | -1): PairPayoffs {
  const of = (candidate: number, stable: number): number =>
    sign * excess({ candidate, stable }, tolerance);
  return {
    onlyCandidateBad: of(1, 0),
    onlyStableBad: of(0, 1),
    bothBad: of(1, 1),
    bothGood: of(0, 0),
  };
}

function logIncrement(stake: number, payoffs: PairPayoffs, counts: PairCounts): number {
  const { pairs, onlyCandidateBad, onlyStableBad, bothBad } = counts;
  return (
    timesLog1p(onlyCandidateBad, stake * payoffs.onlyCandidateBad) +
    timesLog1p(onlyStableBad, stake * payoffs.onlyStableBad) +
    timesLog1p(bothBad, stake * payoffs.bothBad) +
    timesLog1p(pairs - onlyCandidateBad - onlyStableBad - bothBad, stake * payoffs.bothGood)
  );
}

/** Shares of the largest stake, which could lose all on an input that only the stable version fails. */
function regressionStakes({ relative, absolute }: Tolerance): readonly number[] {
  return SEVERITIES.map((severity) => (severity - 1) / (severity + 1) / (relative + absolute));
}

/** Shares of the largest stake, which could lose all on an input that only the candidate fails. */
function safetyStakes({ absolute }: Tolerance): readonly number[] {
  return PROMOTION_FRACTIONS.map((fraction) => fraction / (1 - absolute));
}

/**
 * PairedBet, the test of two versions that answered the same inputs (mirrored traffic): the natural log
 * increments of the 16 bets of `SEVERITIES`, against the hypothesis that the candidate's rate of bad
 * answers is at most `relative * the stable one's + absolute`. With nothing tolerated it is a sequential
 * McNemar test (STATISTICS.md 1.3, whose bets are those with `relative` 1).
 * @throws `evidence.invalid` for counts that cannot be, or a tolerance out of range.
 */
export function pairedBet(counts: PairCounts, tolerance: Tolerance): readonly number[] {
  checkPairs(counts);
  checkTolerance(tolerance);
  const payoffs = payoffsOf(tolerance, 1);
  return regressionStakes(tolerance).map((stake) => logIncrement(stake, payoffs, counts));
}

/**
 * PairedBet for losses: the natural log increments of the 16 bets for one input that both versions
 * answered, against the hypothesis that the candidate's mean loss is at most `relative * the stable
 * one's + absolute`. Losses are divided by a bound fixed beforehand and clipped to 1: what is tested then
 * is the mean of the clipped ones. Increments of several inputs add up (STATISTICS.md 1.3).
 * @throws `evidence.invalid` for a loss outside [0, 1], or a tolerance out of range.
 */
export function pairedLossBet(losses: PairLosses, tolerance: Tolerance): readonly number[] {
  checkLosses(losses);
  checkTolerance(tolerance);
  const beyond = excess(losses, tolerance);
  return regressionStakes(tolerance).map((stake) => Math.log1p(stake * beyond));
}

/**
 * The same test the other way round, for promotion: the natural log increments of 8 equally weighted
 * bets, against the hypothesis that the candidate is unacceptable, its rate of bad answers at least
 * `relative * the stable one's + absolute`. What an input pays is the negative of what it pays in
 * `pairedBet`, so its mean is at most 0 under that hypothesis; the largest stake is 1 / (1 - absolute).
 * @throws `evidence.invalid` for counts that cannot be, or a margin out of range.
 */
export function pairedPromotionBet(counts: PairCounts, margin: Tolerance): readonly number[] {
  checkPairs(counts);
  checkTolerance(margin);
  const payoffs = payoffsOf(margin, -1);
  return safetyStakes(margin).map((stake) => logIncrement(stake, payoffs, counts));
}

/**
 * `pairedPromotionBet` for the losses of one input, as `pairedLossBet` has them.
 * @throws `evidence.invalid` for a loss outside [0, 1], or a margin out of range.
 */
export function pairedLossPromotionBet(losses: PairLosses, margin: Tolerance): readonly number[] {
  checkLosses(losses);
  checkTolerance(margin);
  const short = -excess(losses, margin);
  return safetyStakes(margin).map((stake) => Math.log1p(stake * short));
}
