import { contractDifferences } from "../../core/version/index.ts";
import type { Limits, Route, RouteRevision } from "../../link/route/index.ts";

/** Of a request's time, this share is kept for stable, and no more than so many ms. */
const RESERVED_SHARE = 0.1;
const RESERVED_MS = 1_000;
/** A request waits this long for a candidate whose process is being replaced, ms. */
const PATIENCE_MS = 1_000;
/** Of what stable takes at a time, the share within which it also answers for the candidate. */
const ROOM_SHARE = 0.25;

/** Who answers for whom under one route. */
export interface StandIn {
  readonly candidate: number;
  readonly stable: number;
}

/** How long a request may take at one revision. */
export interface Patience {
  /** For the version's answer, ms. */
  readonly timeoutMs: number;
  /** Of it, for a process that is not there, ms. */
  readonly waitMs: number;
}

/**
 * Who answers what the candidate fails; null where nobody does: the safeguard is off, nothing is
 * watched, or callers speak another contract with the candidate than stable keeps.
 */
export function standInOf({ safeguards, watch, revisions }: Route): StandIn | null {
  if (!safeguards.fallback || watch === null || watch.stable === null) return null;
  const named = (number: number): RouteRevision | undefined =>
    revisions.find((each) => each.revision === number);
  const candidate = named(watch.candidate);
  const stable = named(watch.stable);
  if (candidate === undefined || stable === undefined || candidate === stable) return null;
  if (contractDifferences(stable.signature, candidate.contract).length > 0) return null;
  return { candidate: candidate.revision, stable: stable.revision };
}

/**
 * What a revision's requests get of their time. Both arms are cut alike, so that the comparison of
 * the two stays fair.
 */
export function patienceOf({ revision, limits }: RouteRevision, standIn: StandIn | null): Patience {
  const { timeoutMs } = limits;
  if (standIn === null) return { timeoutMs, waitMs: timeoutMs };
  const isCandidate = revision === standIn.candidate;
  if (!isCandidate && revision !== standIn.stable) return { timeoutMs, waitMs: timeoutMs };
  const left = timeoutMs - Math.min(RESERVED_MS, timeoutMs * RESERVED_SHARE);
  return { timeoutMs: left, waitMs: isCandidate ? Math.min(PATIENCE_MS, left) : left };
}

/** Requests that stable may have in flight in a worker, its own included, to take one more of the candidate's. */
export function fallbackRoom(limits: Limits): number {
  return Math.max(1, Math.floor(limits.queue * ROOM_SHARE));
}
