import type * as z from "zod";

import type * as doctor from "./doctor-schema.ts";
import type * as endpoint from "./endpoint-schema.ts";
import type * as feedback from "./feedback-schema.ts";
import type * as field from "./field-schema.ts";
import type * as gc from "./gc-schema.ts";
import type * as history from "./history-schema.ts";
import type * as incident from "./incident-schema.ts";
import type * as policy from "./policy-schema.ts";
import type * as rollback from "./rollback-schema.ts";
import type * as rollout from "./rollout-schema.ts";
import type * as version from "./version-schema.ts";

/** A version's row in a list. */
export type VersionSummary = z.infer<typeof version.versionSummarySchema>;
/** Everything about a version. */
export type VersionView = z.infer<typeof version.versionViewSchema>;
/** A registered model's row in a list. */
export type ModelSummary = z.infer<typeof version.modelSummarySchema>;
/** Answer to an upload of bytes. */
export type Blob = z.infer<typeof version.blobSchema>;
/** Rows of inputs that were uploaded before, as they are expected to look like. */
export type ReferenceFile = z.infer<typeof version.referenceFileSchema>;
/** Registers a version of files uploaded before. */
export type RegisterBody = z.infer<typeof version.registerBodySchema>;
/** Answer to a registration. */
export type Registered = z.infer<typeof version.registeredSchema>;
/** Sets and removes tags. */
export type TagBody = z.infer<typeof version.tagBodySchema>;
/** Points an alias at a version. */
export type AliasBody = z.infer<typeof version.aliasBodySchema>;
/** A person's verdict on a version. */
export type MarkBody = z.infer<typeof version.markBodySchema>;
/** What a mark did. */
export type Marked = z.infer<typeof version.markedSchema>;
/** Archives a version. */
export type ArchiveBody = z.infer<typeof version.archiveBodySchema>;
/** One compared field of two versions. */
export type DiffRow = z.infer<typeof version.diffRowSchema>;
/** Two versions side by side. */
export type Diff = z.infer<typeof version.diffSchema>;
/** A version at an endpoint, as answers name it. */
export type Served = z.infer<typeof field.servedSchema>;
/** Starts a rollout. */
export type DeployBody = z.infer<typeof rollout.deployBodySchema>;
/** State of a rollout. */
export type RolloutView = z.infer<typeof rollout.rolloutViewSchema>;
/** Puts a policy in force. */
export type ApplyPolicyBody = z.infer<typeof policy.applyPolicyBodySchema>;
/** What applying a policy did. */
export type AppliedPolicy = z.infer<typeof policy.appliedPolicySchema>;
/** The policy in force at an endpoint. */
export type PolicyView = z.infer<typeof policy.policyViewSchema>;
/** Answer to deploy. */
export type Deployed = z.infer<typeof rollout.deployedSchema>;
/** Rolls an endpoint back. */
export type RollbackBody = z.infer<typeof rollback.rollbackBodySchema>;
/** Answer to rollback. */
export type RolledBack = z.infer<typeof rollback.rolledBackSchema>;
/** Takes back the endpoint's last rollback. */
export type ReinstateBody = z.infer<typeof rollback.reinstateBodySchema>;
/** Steers a rollout by hand. */
export type RolloutCommand = z.infer<typeof rollout.rolloutCommandSchema>;
/** Answer to a rollout command. */
export type RolloutAnswer = z.infer<typeof rollout.rolloutAnswerSchema>;
/** What a rollback would do now. */
export type TargetView = z.infer<typeof rollback.targetViewSchema>;
/** An endpoint at a glance. */
export type EndpointView = z.infer<typeof endpoint.endpointViewSchema>;
/** All endpoints. */
export type Status = z.infer<typeof endpoint.statusSchema>;
/** One entry of an endpoint's history. */
export type HistoryEntry = z.infer<typeof history.historyEntrySchema>;
/** A page of history. */
export type History = z.infer<typeof history.historySchema>;
/** What recomputing a hash chain found. */
export type HistoryVerified = z.infer<typeof history.historyVerifiedSchema>;
/** One finding of doctor. */
export type DoctorCheck = z.infer<typeof doctor.doctorCheckSchema>;
/** What doctor found. */
export type Doctor = z.infer<typeof doctor.doctorSchema>;
/** A rollback as lists of incidents show it. */
export type IncidentSummary = z.infer<typeof incident.incidentSummarySchema>;
/** Incidents, the newest first. */
export type Incidents = z.infer<typeof incident.incidentsSchema>;
/** Everything that is known of a rollback. */
export type Incident = z.infer<typeof incident.incidentSchema>;
/** A page of the stored evidence of a rollout. */
export type EvidencePage = z.infer<typeof incident.evidencePageSchema>;
/** What an endpoint's stable revision did at rest. */
export type EndpointTraffic = z.infer<typeof incident.endpointTrafficSchema>;

/** What was removed, or would be. */
export type Collected = z.infer<typeof gc.collectedSchema>;
/** One thing that was removed or kept, and why. */
export type CollectedItem = Collected["removed"][number];

/** What a caller knows of one prediction. */
export type FeedbackItem = z.infer<typeof feedback.feedbackItemSchema>;
/** What became of feedback. */
export type FeedbackTaken = z.infer<typeof feedback.feedbackTakenSchema>;

/** Takes what callers know of predictions. */
export interface FeedbackService {
  take(items: readonly FeedbackItem[]): Promise<FeedbackTaken>;
}

/** Removes what nothing needs. */
export interface GarbageService {
  collect(how: { readonly dryRun: boolean }): Promise<Collected>;
}

/** Whether everything that should serve does, and if not, what does not. */
export interface Readiness {
  readonly ready: boolean;
  readonly missing: readonly string[];
}

/** What the control plane does for an endpoint; the HTTP API is a thin skin over it. */
export interface EndpointService {
  /**
   * This and every other command is known by its `operation`: the same again, also of a server started
   * since, waits for what is under way by it or is answered with what it came to.
   */
  deploy(body: DeployBody, operation?: string): Promise<Deployed>;
  rollback(body: RollbackBody, operation?: string): Promise<RolledBack>;
  reinstate(body: ReinstateBody, operation?: string): Promise<RolledBack>;
  steer(command: RolloutCommand, operation?: string): Promise<RolloutAnswer>;
  /** Puts a policy in force at the endpoint, which is made where there is none yet. */
  applyPolicy(endpoint: string, body: ApplyPolicyBody, operation?: string): Promise<AppliedPolicy>;
  /** The policy in force. A null endpoint is the only one there is. */
  policy(endpoint: string | null): PolicyView;
  /** A null endpoint is the only one there is. */
  rollout(endpoint: string | null): Promise<RolloutAnswer>;
  status(): Promise<Status>;
  endpoint(name: string): Promise<EndpointView>;
  /** Entries after `after`, oldest first. */
  history(endpoint: string | null, after: number, limit: number): Promise<History>;
  verifyHistory(endpoint: string | null, expect: string | null): Promise<HistoryVerified>;
  /** Rollbacks, the newest first; of all endpoints where none is named. */
  incidents(endpoint: string | null): Promise<Incidents>;
  /** By the id of a rollback or of its rollout, or the beginning of one. */
  incident(id: string): Promise<Incident>;
  /** A page of what a rollout was judged by; `cursor` is the last page's `next`. */
  evidence(id: string, cursor: string | null): Promise<EvidencePage>;
  /** What the stable revision did at rest. */
  traffic(endpoint: string | null): Promise<EndpointTraffic>;
  doctor(): Promise<Doctor>;
  /** Whether everything that should serve does; cheap enough for a probe. */
  readiness(): Readiness;
  /** Endpoints where the version carries traffic now. */
  servedBy(model: string, sequence: number): VersionView["servedBy"];
  /** Managed servers of versions with the digest that run now. */
  serversOf(digest: string): VersionView["servers"];
  /** The registry's verdicts on versions of the model changed: targets are chosen anew. */
  versionsChanged(model: string): void;
  /** Carries a person's verdict on a version to the endpoints that know it; each does an `operation` once. */
  versionMarked(
    model: string,
    sequence: number,
    body: MarkBody,
    operation?: string,
  ): Promise<readonly string[]>;
  /** Endpoints that need the version, in words; empty when it may be archived. */
  neededBy(model: string, sequence: number): Promise<readonly string[]>;
  /** Endpoints that need the version or could take a rollback from it back, in words. */
  withinReach(model: string, sequence: number): Promise<readonly string[]>;
  /** Calls back at each new history entry; returns how to stop. */
  watch(onEntry: (entry: HistoryEntry) => void): () => void;
}
