import type { Digest, EndpointName, ModelName, RuntimeSpec, Signature } from "../version/index.ts";

/** Where an endpoint stands. */
export const ENVIRONMENTS = ["production", "staging"] as const;
/** Where an endpoint stands. */
export type Environment = (typeof ENVIRONMENTS)[number];

/** How a candidate takes over. */
export const STRATEGIES = ["blueGreen", "recreate", "canary"] as const;
/** How a candidate takes over. */
export type Strategy = (typeof STRATEGIES)[number];

/** What is known of a revision's worth. `provisional` carried all traffic and has not survived a bake. */
export const REVISION_STATUSES = [
  "candidate",
  "provisional",
  "stable",
  "failed",
  "aborted",
  "rejected",
] as const;
/** What is known of a revision's worth. */
export type RevisionStatus = (typeof REVISION_STATUSES)[number];

/** What started a rollback. */
export const TRIGGERS = [
  "manual",
  "api",
  "breaker",
  "analysis",
  "limit",
  "health",
  "logs",
] as const;
/** What started a rollback. */
export type Trigger = (typeof TRIGGERS)[number];

/** Which version a revision is a configuration of. */
export interface RevisionVersion {
  readonly model: ModelName;
  readonly name: string | null;
  readonly sequence: number;
}

/** One numbered, immutable configuration of an endpoint, with what became of it. */
export interface Revision {
  readonly revision: number;
  readonly version: RevisionVersion;
  readonly digest: Digest;
  readonly runtime: RuntimeSpec;
  readonly signature: Signature;
  /** False where only the configuration differs from the revision before: its failure is not the version's. */
  readonly changedVersion: boolean;
  readonly status: RevisionStatus;
  readonly reason: string | null;
  /** ms since 1970. */
  readonly createdAt: number;
  /** When it first carried all traffic, or null. */
  readonly carriedAllAt: number | null;
  /** When it became stable, or null. */
  readonly stableAt: number | null;
}

/** Names an endpoint for people who gave none: the model's name and `-prod` or `-staging`. */
export function defaultEndpointName(model: string, environment: Environment): string {
  return `${model}-${environment === "production" ? "prod" : "staging"}`;
}

/** An endpoint's identity. */
export interface EndpointIdentity {
  readonly name: EndpointName;
  readonly model: ModelName;
  readonly environment: Environment;
}
