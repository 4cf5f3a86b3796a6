import type { ArmCounts } from "./interval.ts";
import { heldAt } from "./metric.ts";

/** Failed requests that are asked of stable before a rollback without a comparison. */
const ENOUGH_ASKED = 50;

/** After so many intervals fewer do, */
const LONGEST_INTERVALS = 5;

/** but not fewer than so many. */
const LEAST_ASKED = 5;

/** Evidence below a quarter of 1 / this takes a proposal back. */
const RELEASE_ALPHA = 0.05;

/**
 * A rollback that is proposed, because the candidate fails more than it should and nothing runs beside
 * it: requests that it fails are asked of the warm stable revision, which decides. Plain JSON.
 */
export interface Proposal {
  /** Intervals since it was made, or since stable last decided. */
  readonly intervals: number;
  /** Failed requests that stable was asked since then, and how many it failed too. */
  readonly asked: number;
  readonly failed: number;
  /** Stable failed them alike when it last decided. */
  readonly outage: boolean;
}

const FRESH = { intervals: 0, asked: 0, failed: 0 };

/** What becomes of a proposal with one more interval; `rollback`: stable answered what failed. */
export function observeProposal(
  before: Proposal | null,
  candidate: ArmCounts,
  /** ln of the evidence, and alpha. */
  { log, alpha }: { readonly log: number; readonly alpha: number },
): Proposal | null | "rollback" {
  // Proposed after this interval: only what fails from now on is asked.
  if (before === null) return log >= -Math.log(alpha) ? { ...FRESH, outage: false } : null;
  if (!heldAt(true, log, RELEASE_ALPHA)) return null;
  const intervals = before.intervals + 1;
  const failed = before.failed + candidate.fallbackFailed;
  const asked = before.asked + candidate.fallback + candidate.fallbackFailed;
  const enough = asked >= ENOUGH_ASKED || (intervals >= LONGEST_INTERVALS && asked >= LEAST_ASKED);
  if (!enough) return { ...before, intervals, asked, failed };
  return 2 * failed < asked ? "rollback" : { ...FRESH, outage: true };
}
