export { DEFAULT_CANARY_STEPS, effectivePolicy, type DeployWishes } from "./effective.ts";
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
