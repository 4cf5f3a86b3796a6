import { mannWhitneyRule } from "./mann-whitney-rule.ts";
import { dirichletRule, oracleRule } from "./martingale-rules.ts";
import { LOOK_EVERY, type Rule, type World } from "./rule.ts";
import { flushedRule, knownSplitRule } from "./split-bet-rules.ts";
import { argoRule, flaggerRule, peekedZRule } from "./threshold-rules.ts";

/** Probability of a false rollback that the rules with a guarantee are set to. */
export const ALPHA = 0.001;
/** Requests of both versions in a simulated rollout. */
export const HORIZON = 100_000;
/** Rate of bad answers of the stable version. */
export const STABLE_RATE = 0.005;
/** Shares of the traffic that the candidate gets. */
export const SPLITS: readonly number[] = [0.05, 0.1, 0.5];
/** Rates of bad answers of a candidate that has to be found. */
export const CANDIDATE_RATES: readonly number[] = [0.01, 0.02, 0.05, 0.2, 1];

/** The rules that the goals are about. */
export const OURS = {
  known: "SplitBet, split known, no tolerance",
  flushed: "SplitBet, split as it came about, every 100 requests",
  restarting: "the same, restarting",
  default: "the same, restarting, tolerance 0.1 % (the default)",
} as const;
/** Who knows both rates beforehand. */
export const ORACLE = "SPRT that knows both rates (bound)";

const intervals = HORIZON / LOOK_EVERY.flush;

/** The rules of lastgood. */
export const OUR_RULES: readonly Rule[] = [
  knownSplitRule(OURS.known, ALPHA),
  flushedRule(OURS.flushed, { alpha: ALPHA, absolute: 0, horizon: null }),
  flushedRule(OURS.restarting, { alpha: ALPHA, absolute: 0, horizon: intervals }),
  flushedRule(OURS.default, { alpha: ALPHA, absolute: 0.001, horizon: intervals }),
];

/** All rules, in the order of the table. */
export const RULES: readonly Rule[] = [
  ...OUR_RULES,
  dirichletRule("Lindon-Malek, Dirichlet k = 100", { alpha: ALPHA, concentration: 100 }),
  dirichletRule("Lindon-Malek, Dirichlet(1, 1)", { alpha: ALPHA, concentration: "uniform" }),
  peekedZRule("z test at 5 %, looked at each interval", 1.6448536269514722),
  peekedZRule("z test at 0.1 %, looked at each interval", 3.090232306167813),
  mannWhitneyRule("Kayenta's judge, each interval", 1),
  mannWhitneyRule("Kayenta's judge, every 10 intervals", 10),
  argoRule("Argo, success 95 %, failureLimit 3", 0.95, 3),
  argoRule("Argo, success 95 %, failureLimit 0", 0.95, 0),
  argoRule("Argo, success 99 %, failureLimit 3", 0.99, 3),
  flaggerRule("Flagger, success 99 %, threshold 5", 0.99, 5),
  flaggerRule("Flagger, success 99 %, threshold 10", 0.99, 10),
  oracleRule(ORACLE, ALPHA),
];

/** A world and how often it is simulated. */
export interface Cell extends World {
  readonly runs: number;
}

/** True for the world in which a rollback is false. */
function isNull({ candidateRate, stableRate }: World): boolean {
  return candidateRate === stableRate;
}

/** The rules of a cell: who knows that the rates are equal has nothing to test. */
export function rulesOf(world: World): readonly Rule[] {
  return isNull(world) ? RULES.filter(({ name }) => name !== ORACLE) : RULES;
}

/** Every cell: per split the candidate that is as good, then those that are worse. */
export function cells(runs: { readonly equal: number; readonly worse: number }): readonly Cell[] {
  return SPLITS.flatMap((split) => [
    { split, candidateRate: STABLE_RATE, stableRate: STABLE_RATE, runs: runs.equal },
    ...CANDIDATE_RATES.map((candidateRate) => ({
      split,
      candidateRate,
      stableRate: STABLE_RATE,
      runs: runs.worse,
    })),
  ]);
}
