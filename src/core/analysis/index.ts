export {
  assessmentSchema,
  metricAssessmentSchema,
  type Assessment,
  type MetricAssessment,
} from "./assessment.ts";
export {
  addArmCounts,
  addPairCounts,
  armCountsSchema,
  batchBucket,
  intervalSchema,
  latencyBucket,
  latencyEdgeMs,
  noArmCounts,
  noPairCounts,
  pairCountsSchema,
  signalSchema,
  type ArmCounts,
  type Interval,
  type PairCounts,
  type Signal,
} from "./interval.ts";
