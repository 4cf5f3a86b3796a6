export { policyChanges, type PolicyChange } from "./changes.ts";
export { policyMistakes } from "./check.ts";
export { effectivePolicy, type DeployWishes } from "./effective.ts";
export { POLICY_SCHEMA_PATH, policyJsonSchema } from "./json-schema.ts";
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
export {
  defaultPolicy,
  endpointPolicySchema,
  parseEndpointPolicy,
  type PolicyFile,
} from "./schema.ts";
export { endpointPolicyToFile, policyToFile, type PolicyPartFile } from "./to-file.ts";
export {
  NO_SIGNAL_SOURCES,
  signalSourceKeys,
  type HealthCheck,
  type LogSource,
  type PrometheusServer,
  type SignalSources,
} from "./signal-sources.ts";
