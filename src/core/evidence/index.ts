export { PRIOR_LOG_WEIGHTS, SEVERITIES, type BetFamily } from "./bet-grid.ts";
export {
  blamedMetrics,
  combineEvidence,
  type NamedEvidence,
  type WeightedEvidence,
} from "./combine.ts";
export {
  alwaysValidP,
  asymptoticLowerLimit,
  limitWithoutBaseline,
  rateConfidenceSequence,
  type Interval,
  type LossSums,
} from "./confidence.ts";
export type { ArmCounts, SplitCounts } from "./counts.ts";
export { estimateDispersion } from "./dispersion.ts";
export { addToEDetector, logDetection, startEDetector, type EDetector } from "./e-detector.ts";
export {
  addIncrements,
  logE,
  startEProcess,
  type AddOptions,
  type EProcess,
  type IncrementOptions,
} from "./e-process.ts";
export { meanBet, type MeanCounts } from "./mean-bet.ts";
export { pairedBet, pairedLossBet, type PairCounts } from "./paired-bet.ts";
export {
  costToDetect,
  smallestDetectableRate,
  type ComparisonPlan,
  type DetectionCost,
} from "./plan.ts";
export { sampleRatioMismatch } from "./sample-ratio.ts";
export { promotionBet, splitBet, type SplitBetSettings, type Tolerance } from "./split-bet.ts";
