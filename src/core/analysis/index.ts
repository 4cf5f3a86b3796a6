export { assess, contextOf, recompute, type AssessmentContext, type Verdict } from "./assess.ts";
export { assessmentSchema, type Assessment, type MetricAssessment } from "./assessment.ts";
export {
  observe,
  planAnalysis,
  startAnalysis,
  unreadMetrics,
  type AnalysisState,
} from "./engine.ts";
export {
  addArmCounts,
  addInputs,
  addPairCounts,
  armCountsSchema,
  batchRows,
  latencyBatch,
  addJoint,
  MOST_PAIRS_SEEN,
  intervalSchema,
  latencyBucket,
  noArmCounts,
  noPairCounts,
  outputBin,
  outputBinLabel,
  pairCountsSchema,
  signalSchema,
  type ArmCounts,
  type Interval,
  type PairCounts,
  type Signal,
} from "./interval.ts";
export {
  bakesAlone,
  comparisonUnder,
  foresee,
  outlookSchema,
  plannedUnder,
  type Outlook,
  type Planned,
} from "./outlook.ts";
export type { AnalysisPlan, Comparison } from "./plan.ts";
export { firstDifference, replay, type Decision, type Replayed } from "./replay.ts";
export { isLabelled } from "./simulated-labels.ts";
export { simulate, type Scenario, type Simulated, type SimulationResult } from "./simulate.ts";
export { untestedAs, untestedIn, type Untested } from "./untested.ts";
export { labelsSchema, trafficOf, trafficSchema, type Labels, type Traffic } from "./traffic.ts";
