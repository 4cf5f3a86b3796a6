import {
  checkArm,
  checkFinite,
  checkRange,
  HALF_OPEN_UNIT,
  OPEN_UNIT,
  type ArmCounts,
} from "./counts.ts";
import { stirlingError, times } from "./log-space.ts";
import type { Tolerance } from "./split-bet.ts";

/** Both ends belong to it. */
export interface Interval {
  readonly lower: number;
  readonly upper: number;
}

/**
 * The p-value that holds at every look: 1 over the largest e-value so far, at most 1. Takes the natural
 * log of that e-value (STATISTICS.md 1.9).
 * @throws `evidence.invalid` for an infinite one.
 */
export function alwaysValidP(maxLogE: number): number {
  checkFinite("maxLogE", maxLogE);
  return Math.min(1, Math.exp(-maxLogE));
}

/**
 * ln of Robbins' mixture likelihood ratio against a rate, without cancellation at large counts. What does
 * not depend on the rate is computed once.
 */
function robbinsLog(requests: number, bad: number): (p: number) => number {
  const a = bad + 1;
  const b = requests - bad + 1;
  const n = requests + 2;
  const share = a / n;
  const [logA, logB] = [Math.log(share), Math.log(b / n)];
  const half = 0.5 * Math.log((2 * Math.PI * n) / a / b);
  const [ofA, ofB, ofN] = [stirlingError(a), stirlingError(b), stirlingError(n)];
  return (p) =>
    times(bad, Math.log(share / p)) +
    times(requests - bad, logB - Math.log1p(-p)) +
    logA +
    logB +
    half +
    ofA +
    ofB -
    ofN;
}

/** Halvings of a double's interval until nothing is left to halve, and some more. */
const HALVINGS = 120;

/** The end of the set of rates whose statistic is within the limit, between one inside and one outside. */
function boundary(inside: number, outside: number, within: (p: number) => boolean): number {
  let near = inside;
  let far = outside;
  for (let step = 0; step < HALVINGS && near !== far; step += 1) {
    const middle = near + (far - near) / 2;
    if (middle === near || middle === far) break;
    if (within(middle)) near = middle;
    else far = middle;
  }
  return near;
}

/**
 * Robbins' confidence sequence for a rate: at every look at once it holds the true rate with probability
 * at least 1 - alpha. Its upper end over the old version's last window is the limit that a bake without
 * a baseline starts from (STATISTICS.md 1.10). Without requests it is [0, 1].
 * @throws `evidence.invalid` for counts that cannot be, or alpha outside (0, 1).
 */
export function rateConfidenceSequence(counts: ArmCounts, alpha: number): Interval {
  checkArm("rate", counts);
  checkRange("alpha", alpha, OPEN_UNIT);
  const { requests, bad } = counts;
  if (requests === 0) return { lower: 0, upper: 1 };
  const limit = -Math.log(alpha);
  const log = robbinsLog(requests, bad);
  const within = (p: number): boolean => log(p) <= limit;
  const rate = bad / requests;
  return {
    lower: bad === 0 ? 0 : boundary(rate, 0, within),
    upper: bad === requests ? 1 : boundary(rate, 1, within),
  };
}

/**
 * The limit for `meanBet` after all traffic went to the candidate and nothing runs beside it: the
 * objective, or what the old version's last window may have had with the tolerance on top, whichever
 * is higher (STATISTICS.md 1.8). It can reach 1, where no rate is too high to be tolerated.
 * @throws `evidence.invalid` for counts that cannot be, an objective outside [0, 1) or alpha outside (0, 1).
 */
export function limitWithoutBaseline(
  lastWindow: ArmCounts,
  {
    objective,
    alpha,
    relative,
    absolute,
  }: Tolerance & {
    /** Error budget as a share of requests; 0 for none. */
    readonly objective: number;
    readonly alpha: number;
  },
): number {
  checkRange("objective", objective, HALF_OPEN_UNIT);
  const { upper } = rateConfidenceSequence(lastWindow, alpha);
  return Math.min(1, Math.max(objective, relative * upper + absolute));
}
