export { PRIOR_LOG_WEIGHTS, SEVERITIES, type BetFamily } from "./bet-grid.ts";
export {
  blamedMetrics,
  combineEvidence,
  type NamedEvidence,
  type WeightedEvidence,
} from "./combine.ts";
export {
  alwaysValidP,
  limitWithoutBaseline,
  rateConfidenceSequence,
  type Interval,
} from "./confidence.ts";
export type { ArmCounts, SplitCounts } from "./counts.ts";
export { estimateDispersion, tellsDispersion } from "./dispersion.ts";
export { addIncrements, logE, startEProcess, type AddOptions, type EProcess } from "./e-process.ts";
export { meanBet, meanPromotionBet, type MeanCounts } from "./mean-bet.ts";
export {
  pairedBet,
  pairedLossBet,
  pairedLossPromotionBet,
  pairedPromotionBet,
  type PairCounts,
  type PairLosses,
} from "./paired-bet.ts";
export { smallestDetectableRate, type ComparisonPlan, type DetectionCost } from "./plan.ts";
export { sampleRatioMismatch } from "./sample-ratio.ts";
export { populationStability, rejectedByEvidence } from "./shift.ts";
export { promotionBet, splitBet, type SplitBetSettings, type Tolerance } from "./split-bet.ts";
