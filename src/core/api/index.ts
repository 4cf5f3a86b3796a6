export {
  endpointTrafficSchema,
  evidencePageSchema,
  incidentSchema,
  incidentsSchema,
} from "./incident-schema.ts";
export { collectBodySchema, collectedSchema } from "./garbage-schema.ts";
export { doctorSchema } from "./doctor-schema.ts";
export { endpointViewSchema, statusSchema } from "./endpoint-schema.ts";
export { feedbackItemSchema, feedbackTakenSchema } from "./feedback-schema.ts";
export { servedSchema } from "./field-schema.ts";
export { historyEntrySchema, historySchema, historyVerifiedSchema } from "./history-schema.ts";
export { appliedPolicySchema, applyPolicyBodySchema, policyViewSchema } from "./policy-schema.ts";
export { reinstateBodySchema, rollbackBodySchema, rolledBackSchema } from "./rollback-schema.ts";
export {
  deployBodySchema,
  deployedSchema,
  rolloutAnswerSchema,
  rolloutCommandSchema,
} from "./rollout-schema.ts";
export {
  aliasBodySchema,
  archiveBodySchema,
  blobSchema,
  diffSchema,
  markBodySchema,
  markedSchema,
  modelSummarySchema,
  registerBodySchema,
  registeredSchema,
  tagBodySchema,
  versionSummarySchema,
  versionViewSchema,
} from "./version-schema.ts";
export type {
  AliasBody,
  AppliedPolicy,
  ApplyPolicyBody,
  ArchiveBody,
  Blob,
  Collected,
  CollectedItem,
  DeployBody,
  Deployed,
  Diff,
  DiffRow,
  Doctor,
  DoctorCheck,
  EndpointService,
  EndpointTraffic,
  EndpointView,
  EvidencePage,
  FeedbackItem,
  FeedbackService,
  FeedbackTaken,
  GarbageService,
  History,
  HistoryEntry,
  HistoryVerified,
  Incident,
  Incidents,
  IncidentSummary,
  MarkBody,
  Marked,
  ModelSummary,
  PolicyView,
  ReferenceFile,
  RegisterBody,
  Readiness,
  Registered,
  ReinstateBody,
  RollbackBody,
  RolledBack,
  RolloutAnswer,
  RolloutCommand,
  RolloutView,
  Served,
  Status,
  TagBody,
  TargetView,
  VersionSummary,
  VersionView,
} from "./types.ts";
