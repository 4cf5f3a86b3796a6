import { PRIOR_LOG_WEIGHTS } from "./bet-grid.ts";
import { scaledIncrements, type IncrementOptions } from "./e-process.ts";
import { logAddExp, logSumExp } from "./log-space.ts";

/** A Shiryaev-Roberts e-detector as plain JSON, for watching without a planned end. */
export interface EDetector {
  /** Intervals added so far. */
  readonly intervals: number;
  /** Natural log of each of the 16 bets' statistic; null before the first interval, when it is 0. */
  readonly logWealth: readonly number[] | null;
}

/** A detector before its first interval (STATISTICS.md 1.4). */
export function startEDetector(): EDetector {
  return { intervals: 0, logWealth: null };
}

/**
 * The detector after one more interval, whose 16 increments `splitBet`, `meanBet` or `pairedBet` gave.
 * @throws `evidence.invalid` for another number of increments, no finite ones, or a dispersion below 1.
 */
export function addToEDetector(
  { intervals, logWealth }: EDetector,
  increments: readonly number[],
  options: IncrementOptions = {},
): EDetector {
  const added = scaledIncrements(increments, "regression", options);
  return {
    intervals: intervals + 1,
    logWealth:
      logWealth === null
        ? added
        : logWealth.map((log, bet) => logAddExp(log, 0) + (added[bet] ?? 0)),
  };
}

/**
 * Natural log of the detector's statistic, null before the first interval. An alarm at ln A comes on
 * average not before A intervals, and within N intervals with probability at most N/A, while the
 * hypothesis holds.
 */
export function logDetection({ logWealth }: EDetector): number | null {
  if (logWealth === null) return null;
  return logSumExp(logWealth.map((log, bet) => log + (PRIOR_LOG_WEIGHTS[bet] ?? -Infinity)));
}
