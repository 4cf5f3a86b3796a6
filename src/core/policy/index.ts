export type {
  AnalysisPolicy,
  EndpointPolicy,
  Metric,
  MetricAction,
  MetricKind,
  Policy,
  RollbackPolicy,
  RolloutPlan,
  RolloutStep,
  Tolerance,
  Until,
} from "./policy.ts";
