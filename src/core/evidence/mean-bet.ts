import { PROMOTION_FRACTIONS, SEVERITIES } from "./bet-grid.ts";
import { checkShare, checkRange, OPEN_UNIT } from "./counts.ts";
import { timesLog1p } from "./log-space.ts";

/** What one version did in one interval, judged against a limit. */
export interface MeanCounts {
  /** Whole number of observations. */
  readonly observations: number;
  /** Those of them that were bad, at most `observations`; or the sum of losses in [0, 1]. */
  readonly bad: number;
}

/**
 * MeanBet, the one-sample test against an absolute limit: the natural log increments of the 16 bets of
 * `SEVERITIES` for one interval, against the hypothesis that the probability of a bad event is at most
 * `limit` (above 0, below 1) at each time (STATISTICS.md 1.3).
 * @throws `evidence.invalid` for counts that cannot be, or a limit out of range.
 */
export function meanBet({ observations, bad }: MeanCounts, limit: number): readonly number[] {
  checkShare("bad", "observations", observations, bad);
  checkRange("limit", limit, OPEN_UNIT);
  // ln(p1 / m) = ln s - ln(1 + (s - 1) m) and ln((1 - p1) / (1 - m)) = -ln(1 + (s - 1) m).
  return SEVERITIES.map(
    (severity) => bad * Math.log(severity) - observations * Math.log1p((severity - 1) * limit),
  );
}

/**
 * The same test the other way round, for promotion: the natural log increments of 8 equally weighted
 * bets for one interval, against the hypothesis that the probability of a bad event is at least `limit`
 * at each time. A stake on each observation pays `limit - bad`, which has a mean of at most 0 then.
 * @throws `evidence.invalid` for counts that cannot be, or a limit out of range.
 */
export function meanPromotionBet(
  { observations, bad }: MeanCounts,
  limit: number,
): readonly number[] {
  checkShare("bad", "observations", observations, bad);
  checkRange("limit", limit, OPEN_UNIT);
  return PROMOTION_FRACTIONS.map(
    (fraction) =>
      timesLog1p(bad, -fraction) +
      (observations - bad) * Math.log1p((fraction * limit) / (1 - limit)),
  );
}
