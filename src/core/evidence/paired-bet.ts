import { SEVERITIES } from "./bet-grid.ts";
import { checkCount, checkRange, HALF_OPEN_UNIT, invalidEvidence } from "./counts.ts";
import { times } from "./log-space.ts";

/** What both versions answered to the same inputs. */
export interface PairCounts {
  /** Inputs that both answered, whole number. */
  readonly pairs: number;
  /** Inputs on which only the candidate was bad. */
  readonly onlyCandidateBad: number;
  /** Inputs on which only the stable version was bad. */
  readonly onlyStableBad: number;
}

function stakes(tolerance: number): readonly number[] {
  checkRange("tolerance", tolerance, HALF_OPEN_UNIT);
  return SEVERITIES.map((severity) => (severity - 1) / (severity + 1) / (1 + tolerance));
}

/**
 * PairedBet, the test of two versions that answered the same inputs (mirrored traffic): the natural log
 * increments of the 16 bets of `SEVERITIES`, against the hypothesis that the candidate's rate of bad
 * answers exceeds the stable one's by at most `tolerance` (a share, from 0 and below 1). With tolerance
 * 0 it is a sequential McNemar test (STATISTICS.md 1.3).
 * @throws `evidence.invalid` for counts that cannot be, or a tolerance out of range.
 */
export function pairedBet(counts: PairCounts, tolerance: number): readonly number[] {
  const { pairs, onlyCandidateBad, onlyStableBad } = counts;
  checkCount("pairs", pairs);
  checkCount("onlyCandidateBad", onlyCandidateBad);
  checkCount("onlyStableBad", onlyStableBad);
  if (onlyCandidateBad + onlyStableBad > pairs)
    throw invalidEvidence(
      `${onlyCandidateBad} and ${onlyStableBad} of ${pairs} pairs differ`,
      "onlyCandidateBad and onlyStableBad together are at most pairs",
    );
  const alike = pairs - onlyCandidateBad - onlyStableBad;
  return stakes(tolerance).map(
    (stake) =>
      times(onlyCandidateBad, Math.log1p(stake * (1 - tolerance))) +
      times(onlyStableBad, Math.log1p(-stake * (1 + tolerance))) +
      times(alike, Math.log1p(-stake * tolerance)),
  );
}

/**
 * PairedBet for losses: the natural log increments of the 16 bets for one input that both versions
 * answered, against the hypothesis that the mean difference is at most `tolerance`. The difference is
 * the candidate's loss minus the stable one's, divided by a bound fixed beforehand and clipped to
 * [-1, 1]: what is tested then is the mean of the clipped differences. Increments of several inputs add
 * up (STATISTICS.md 1.3).
 * @throws `evidence.invalid` for a difference outside [-1, 1], or a tolerance outside [0, 1).
 */
export function pairedLossBet(difference: number, tolerance: number): readonly number[] {
  checkRange("difference", difference, { least: -1, most: 1, withLeast: true, withMost: true });
  return stakes(tolerance).map((stake) => Math.log1p(stake * (difference - tolerance)));
}
