import { logSumExp } from "./log-space.ts";

/** Decay of the prior over the grid: small regressions are likelier than disasters. */
const PRIOR_DECAY = 1.5;
const LEAST_SEVERITY = 1.25;
const MOST_SEVERITY = 300;
const positions: readonly number[] = Array.from({ length: 16 }, (_, index) => index / 15);

/**
 * The 16 severities that are bet on, ascending: how many times the tolerated rate of bad events the
 * candidate is assumed to have, from 1.25 to 300 in equal ratios (STATISTICS.md 1.1).
 */
export const SEVERITIES: readonly number[] = positions.map(
  (position) => LEAST_SEVERITY * (MOST_SEVERITY / LEAST_SEVERITY) ** position,
);

const unnormalised = positions.map((position) => -PRIOR_DECAY * position);

/** Natural logarithms of the prior weights of `SEVERITIES`; the weights sum to 1 (STATISTICS.md 1.1). */
export const PRIOR_LOG_WEIGHTS: readonly number[] = unnormalised.map(
  (log) => log - logSumExp(unnormalised),
);

/** Fractions of the largest possible bet, of the test that a candidate is safe (STATISTICS.md 1.6). */
export const PROMOTION_FRACTIONS: readonly number[] = Array.from(
  { length: 8 },
  (_, index) => 0.05 * 19 ** (index / 7),
);

/** Which bets a process is made of: 16 on a regression, or 8 on safety. */
export type BetFamily = "regression" | "safety";

/** Natural logarithms of the prior weights of each family's bets. */
export const LOG_WEIGHTS: Readonly<Record<BetFamily, readonly number[]>> = {
  regression: PRIOR_LOG_WEIGHTS,
  safety: PROMOTION_FRACTIONS.map(() => -Math.log(PROMOTION_FRACTIONS.length)),
};
