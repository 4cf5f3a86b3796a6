import { LOG_WEIGHTS, type BetFamily } from "./bet-grid.ts";
import { checkFinite, checkRange, invalidEvidence } from "./counts.ts";
import { logAddExp, logSumExp } from "./log-space.ts";

/**
 * An e-process as plain JSON: what is stored and computed again gives the same digits. Its e-value
 * reaches 1/alpha with probability at most alpha, ever, while the hypothesis holds (Ville).
 */
export interface EProcess {
  readonly bets: BetFamily;
  /** Planned number of intervals of a process that restarts, or null for one that does not. */
  readonly horizon: number | null;
  /** Planned intervals that are over. */
  readonly intervals: number;
  /** Natural log of each bet's wealth: 16 numbers for `regression`, 8 for `safety`. */
  readonly logWealth: readonly number[];
}

/** How an interval is added. */
export interface AddOptions {
  /**
   * How bad outcomes cluster: divides the increments, at least 1; `estimateDispersion` gives it.
   * @default 1
   */
  readonly dispersion?: number | undefined;
  /**
   * How many planned intervals are over with this one, where data does not come with each: those since
   * the last are made up for. Not fewer than before: then nothing restarts.
   * @default one more than before
   */
  readonly over?: number | undefined;
}

/**
 * A process before its first interval. With a horizon (whole number of intervals, at least 1) half of
 * the wealth is bet from the start and the other half in equal parts from each of the planned
 * intervals on, so that a version that goes bad late is found as well (STATISTICS.md 1.4).
 * @throws `evidence.invalid` for a horizon that is no such number.
 */
export function startEProcess({
  bets,
  horizon,
}: {
  readonly bets: BetFamily;
  readonly horizon: number | null;
}): EProcess {
  if (horizon !== null && !(Number.isSafeInteger(horizon) && horizon >= 1))
    throw invalidEvidence(`horizon is ${horizon}`, "a horizon is a whole number from 1, or null");
  const start = horizon === null ? 0 : Math.log(0.5);
  return { bets, horizon, intervals: 0, logWealth: LOG_WEIGHTS[bets].map(() => start) };
}

/** The increments divided by the dispersion. @throws `evidence.invalid` where they do not fit. */
function scaledIncrements(
  increments: readonly number[],
  bets: BetFamily,
  { dispersion = 1 }: AddOptions,
): readonly number[] {
  const expected = LOG_WEIGHTS[bets].length;
  if (increments.length !== expected)
    throw invalidEvidence(
      `${increments.length} increments for ${expected} bets`,
      `a process of the family ${bets} takes ${expected} increments`,
    );
  checkRange("dispersion", dispersion, { least: 1, most: Infinity, withLeast: true });
  for (const increment of increments) checkFinite("an increment", increment);
  return dispersion === 1 ? increments : increments.map((increment) => increment / dispersion);
}

/**
 * The process after one more interval. Each call is an interval, unless `over` tells otherwise. Beyond
 * the horizon a process goes on without new restarts.
 * @throws `evidence.invalid` for increments of another family, no finite ones, or a dispersion below 1.
 */
export function addIncrements(
  state: EProcess,
  increments: readonly number[],
  options: AddOptions = {},
): EProcess {
  const added = scaledIncrements(increments, state.bets, options);
  const { horizon, intervals } = state;
  const over = Math.max(intervals, options.over ?? intervals + 1);
  const due = horizon === null ? 0 : Math.min(over, horizon) - Math.min(intervals, horizon);
  const restart = horizon === null || due === 0 ? null : Math.log((0.5 * due) / horizon);
  return {
    ...state,
    intervals: over,
    logWealth: state.logWealth.map(
      (log, bet) => (restart === null ? log : logAddExp(log, restart)) + (added[bet] ?? 0),
    ),
  };
}

/** Natural log of the process's e-value now: the wealth of all bets, weighted by their prior. */
export function logE({ bets, logWealth }: EProcess): number {
  return logSumExp(logWealth.map((log, bet) => log + (LOG_WEIGHTS[bets][bet] ?? -Infinity)));
}
