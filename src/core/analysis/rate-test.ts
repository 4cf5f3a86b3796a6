import {
  logE,
  meanBet,
  meanPromotionBet,
  pairedBet,
  pairedLossBet,
  pairedLossPromotionBet,
  pairedPromotionBet,
  promotionBet,
  splitBet,
  type ArmCounts as Judged,
  type EProcess,
  type PairCounts,
  type PairLosses,
} from "../evidence/index.ts";
import type { Tolerance } from "../policy/index.ts";
import { addJudged, centreOf, NOTHING, type JudgedArms } from "./judged.ts";
import {
  advance,
  averageLogE,
  MOST_DISPERSION,
  startRegression,
  startSafety,
  sumIncrements,
} from "./process.ts";
import { addSpread, NO_SPREAD, spreadIndex, type Spread } from "./spread.ts";

/** How a rate of bad events is tested; frozen. */
export interface RateTestPlan {
  /** Compared with stable; null: not. */
  readonly tolerance: Tolerance | null;
  /** Compared with this rate, in (0, 1); null: not. */
  readonly limit: number | null;
  /** The limit counts only where stable is better than the candidate, which must be beside it. */
  readonly guarded: boolean;
  /** The limit where a compared candidate is without stable for a time; null: that is not tested. */
  readonly alone: number | null;
  /** What has to be excluded for an early promotion, beside stable or, with no tolerance, alone; null: not tested. */
  readonly margin: Tolerance | null;
  /** Stable alone, before the rollout. */
  readonly base: Judged;
  /** At least 1. */
  readonly dispersion: number;
  /**
   * Whether what stable does in the watch can raise the dispersion: where it is not known beforehand.
   * @default false
   */
  readonly adaptive?: boolean;
}

/** Where such a test stands. Plain JSON. */
export interface RateTestState {
  /** Candidate against stable, beyond the tolerance. */
  readonly compared: EProcess | null;
  /** Candidate against the limit. */
  readonly limit: EProcess | null;
  /** Candidate against stable, nothing tolerated: what guards the limit. */
  readonly better: EProcess | null;
  /** Candidate against the limit of the time without stable. */
  readonly alone: EProcess | null;
  /** Candidate within the margin. */
  readonly safe: EProcess | null;
  /** The rate that is bet around; null until stable did enough to know it, which bets around 0. */
  readonly centre: number | null;
  /** What stable did until then. */
  readonly stable: Judged;
  /** How stable's bad events cluster in the watch; stays empty where that is known beforehand. */
  readonly spread: Spread;
}

/** What one interval has for such a test. */
export interface RateInput {
  /** Apart where only like is compared with like (batch sizes); none: an arm has nothing to compare. */
  readonly arms: readonly JudgedArms[];
  /** Inputs that both answered, and that are not among those of the arms. */
  readonly pairs: PairCounts | null;
  /** The same, where answers are neither right nor wrong. */
  readonly losses: readonly PairLosses[];
  /** All of the candidate's, for the limit. */
  readonly candidate: Judged | null;
  /** The same, where stable had nothing in the interval. */
  readonly alone: Judged | null;
}

/** Nothing happened. */
export const NO_INPUT: RateInput = {
  arms: [],
  pairs: null,
  losses: [],
  candidate: null,
  alone: null,
};

const NO_TOLERANCE: Tolerance = { absolute: 0, relative: 1 };

/** The test before its first interval. */
export function startRateTest(plan: RateTestPlan, horizon: number): RateTestState {
  const { tolerance, limit, guarded, alone, margin, base } = plan;
  return {
    compared: tolerance === null ? null : startRegression(horizon),
    limit: limit === null ? null : startRegression(horizon),
    better: limit === null || !guarded ? null : startRegression(horizon),
    alone: alone === null ? null : startRegression(horizon),
    safe: margin === null ? null : startSafety(),
    centre: centreOf(base, tolerance?.relative ?? 1),
    stable: base,
    spread: NO_SPREAD,
  };
}

/**
 * Nothing is known beforehand, and a burst in the first seconds would bring it back: a rough figure that
 * comes soon is better than a good one that comes too late.
 */
const ENOUGH_IN_WATCH = { intervals: 8, bad: 8 };

/** The dispersion, from what is known before the interval it is used in. */
export function rateDispersion(
  { dispersion, adaptive = false }: Pick<RateTestPlan, "dispersion" | "adaptive">,
  { spread }: Pick<RateTestState, "spread">,
): number {
  if (!adaptive) return dispersion;
  return Math.max(dispersion, Math.min(MOST_DISPERSION, spreadIndex(spread, ENOUGH_IN_WATCH) ?? 1));
}

/** How one of the two questions is asked of each kind of input. */
interface Bets {
  readonly arms: typeof splitBet;
  readonly pairs: typeof pairedBet;
  readonly loss: typeof pairedLossBet;
}

const WORSE: Bets = { arms: splitBet, pairs: pairedBet, loss: pairedLossBet };
const SAFE: Bets = {
  arms: promotionBet,
  pairs: pairedPromotionBet,
  loss: pairedLossPromotionBet,
};

/**
 * What all inputs of an interval say; null: nothing. Pairs are other requests than those of the arms, so
 * that their increments add up as those of two intervals do.
 */
function comparedBy(
  { arms, pairs, losses }: RateInput,
  tolerance: Tolerance,
  centre: number,
  bets: Bets,
): readonly number[] | null {
  const parts: (readonly number[])[] = [];
  if (pairs !== null) parts.push(bets.pairs(pairs, tolerance));
  for (const loss of losses) parts.push(bets.loss(loss, tolerance));
  for (const one of arms) parts.push(bets.arms(one, { ...tolerance, centre }));
  return sumIncrements(parts);
}

/** Whether the candidate is within the margin: beside stable, or alone where it is not compared. */
function safeBy(
  input: RateInput,
  { tolerance, margin }: RateTestPlan,
  centre: number,
): readonly number[] | null {
  if (margin === null) return null;
  if (tolerance !== null) return comparedBy(input, margin, centre, SAFE);
  const { candidate } = input;
  if (candidate === null) return null;
  const counts = { observations: candidate.requests, bad: candidate.bad };
  return meanPromotionBet(counts, margin.absolute);
}

function against(counts: Judged | null, limit: number | null): readonly number[] | null {
  if (counts === null || limit === null) return null;
  return meanBet({ observations: counts.requests, bad: counts.bad }, limit);
}

/** The test after one more interval. */
export function observeRate(
  plan: RateTestPlan,
  state: RateTestState,
  input: RateInput,
  over: number,
): RateTestState {
  const { tolerance, limit, adaptive = false } = plan;
  const dispersion = rateDispersion(plan, state);
  const { compared, better, safe } = state;
  const centre = state.centre ?? 0;
  const { arms, candidate } = input;
  const beside = arms.reduce((sum, one) => addJudged(sum, one.stable), NOTHING);
  const stable = state.centre === null ? addJudged(state.stable, beside) : state.stable;
  const next = (process: EProcess | null, increments: readonly number[] | null): EProcess | null =>
    process === null ? null : advance(process, increments, { dispersion, over });
  return {
    compared: next(
      compared,
      tolerance === null ? null : comparedBy(input, tolerance, centre, WORSE),
    ),
    limit: next(state.limit, against(candidate, limit)),
    better: next(better, comparedBy(input, NO_TOLERANCE, centre, WORSE)),
    alone: next(state.alone, against(input.alone, plan.alone)),
    safe: next(safe, safeBy(input, plan, centre)),
    centre: state.centre ?? centreOf(stable, tolerance?.relative ?? 1),
    stable,
    spread: adaptive ? addSpread(state.spread, beside) : state.spread,
  };
}

/**
 * ln of the evidence that the candidate is beyond its tolerance or its limit: the average of both
 * e-values where there are both. The smaller of two e-values is one against either hypothesis holding,
 * so a guarded limit says "above the limit, and stable is better".
 */
function besideLogE({ compared, limit, better }: RateTestState): number {
  const parts: number[] = [];
  if (compared !== null) parts.push(logE(compared));
  if (limit !== null)
    parts.push(better === null ? logE(limit) : Math.min(logE(limit), logE(better)));
  return averageLogE(parts);
}

/** ln of all evidence of a rate: beside stable and, where that is tested, alone. */
export function rateLogE(state: RateTestState): number {
  const beside = besideLogE(state);
  return state.alone === null ? beside : averageLogE([beside, logE(state.alone)]);
}

/** The part of it that needs nobody to be asked: never more than all of it. */
export function directRateLogE(state: RateTestState): number {
  return besideLogE(state) - (state.alone === null ? 0 : Math.LN2);
}
