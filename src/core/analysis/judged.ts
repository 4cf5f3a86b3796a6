import type { ArmCounts as Judged } from "../evidence/index.ts";
import type { ArmCounts, PairCounts } from "./interval.ts";

/** What both arms did, as a test takes it. */
export interface JudgedArms {
  readonly candidate: Judged;
  readonly stable: Judged;
}

/** What of a gateway's counts is judged. */
export type GatewayRate = "errors" | "rejected" | "invalid";

/** Nothing was judged. */
export const NOTHING: Judged = { requests: 0, bad: 0 };

/** Both together. */
export function addJudged(one: Judged, other: Judged): Judged {
  return { requests: one.requests + other.requests, bad: one.bad + other.bad };
}

/** Both arms of both together. */
export function addArms(one: JudgedArms, other: JudgedArms): JudgedArms {
  return {
    candidate: addJudged(one.candidate, other.candidate),
    stable: addJudged(one.stable, other.stable),
  };
}

/** The share that was bad, or null of nothing. */
export function rateOf({ requests, bad }: Judged): number | null {
  return requests === 0 ? null : bad / requests;
}

/** One rate of an arm; a record that claims more bad requests than it has says that all were. */
export function gatewayRate(rate: GatewayRate, arm: ArmCounts): Judged {
  return { requests: arm.requests, bad: Math.min(arm.requests, arm[rate]) };
}

/** Requests that both were given, by who was bad. */
type BothBad = Pick<PairCounts, "pairs" | "onlyCandidateBad" | "onlyStableBad" | "bothBad">;

/** What both did with the same requests; a record that claims more bad ones than it has says that all were. */
export function pairArms({ pairs, onlyCandidateBad, onlyStableBad, bothBad }: BothBad): JudgedArms {
  const of = (bad: number): Judged => ({ requests: pairs, bad: Math.min(pairs, bad) });
  return { candidate: of(onlyCandidateBad + bothBad), stable: of(onlyStableBad + bothBad) };
}

/** The whole observations in a sum, and what is left of it for the next time. */
export function takeWhole({ requests, bad }: Judged): {
  readonly taken: Judged;
  readonly left: Judged;
} {
  const whole = Math.floor(requests);
  const used = Math.min(whole, bad);
  return {
    taken: { requests: whole, bad: used },
    left: { requests: requests - whole, bad: Math.min(requests, bad) - used },
  };
}

/** Stable requests from which a rate or a distribution is known well enough to bet around it. */
export const ENOUGH_TO_FREEZE = 200;

/** Below this rate of bad events the best centre is 0. */
const FREQUENT = 0.05;

/** Nearer to 1 a centre leaves too little to win. */
const LARGEST_CENTRE = 0.9;

/** The rate to bet around, from what stable did; null while that is not enough to know it. */
export function centreOf(stable: Judged, relative: number): number | null {
  if (stable.requests < ENOUGH_TO_FREEZE) return null;
  return clampCentre(stable.bad / stable.requests, relative);
}

/** A centre as the tests can use it: 0 of rare events, and short of where nothing could be won. */
export function clampCentre(rate: number, relative = 1): number {
  return rate < FREQUENT ? 0 : Math.min(rate, LARGEST_CENTRE / relative);
}
