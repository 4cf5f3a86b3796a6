import type { Trigger } from "../../core/endpoint/index.ts";
import type { Route } from "../../link/route/index.ts";
import { HARD_LIMITS, UNHEALTHY_FAILURES, type Breach } from "./hard-limits.ts";

/** What is known of the revision that a rollback would go to. */
export interface TargetHealth {
  readonly revision: number;
  readonly label: string;
  /** Why it is not proven now, or null. */
  readonly doubt: string | null;
  /** Deaths of its process within the window, without those that the revision in doubt shares. */
  readonly crashes: number;
  /** Most failures in a row at one worker. */
  readonly failures: number;
  /** Its last good answer at any worker, CLOCK_MONOTONIC, ms; null where there was none. */
  readonly lastGoodAt: number | null;
}

/** What the breaker decides from. */
export interface BreakerFacts {
  /** What is served now. */
  readonly route: Route;
  readonly revision: number;
  readonly breach: Breach;
  /** The revision's last good answer at any worker, CLOCK_MONOTONIC, ms. */
  readonly lastGoodAt: number | null;
  /** Null where there is none. */
  readonly target: TargetHealth | null;
}

/** Whether the breaker acts. `why` is null where there is nothing to tell. */
export type BreakerDecision =
  | { readonly act: true; readonly trigger: Trigger; readonly reason: string }
  | { readonly act: false; readonly why: string | null };

/**
 * The revision that hard limits act on: the candidate while it has traffic, else the only arm. A
 * stable revision beside a candidate is not judged: it is what the candidate is judged by.
 */
export function guardedRevision({ safeguards, split, watch }: Route): number | null {
  if (!safeguards.breaker) return null;
  const arms = split.arms.filter((arm) => arm.weight > 0);
  const candidate = arms.find((arm) => arm.revision === watch?.candidate);
  if (candidate !== undefined) return candidate.revision;
  return arms.length === 1 ? (arms[0]?.revision ?? null) : null;
}

/** The breach in words, with the exact count. */
export function reasonOf(breach: Breach): string {
  const { limit, count, why } = breach;
  switch (limit) {
    case "invalid":
      return `${count} consecutive invalid answers: ${why}`;
    case "unreachable":
      return `${count} consecutive connection failures: ${why}`;
    case "shed":
      return `${count} failed requests within ${HARD_LIMITS.shedWindowMs / 1_000} s that stable had no room to answer: ${why}`;
    case "crashes":
      return `${count} crashes of the model process within ${HARD_LIMITS.crashWindowMs / 1_000} s: ${why}`;
    case "neverReady":
      return count === 1 ? `it cannot be loaded: ${why}` : `${count} failed loads in a row: ${why}`;
  }
}

/** Hard limits act at once, and only while the revision to go to is healthy (law 6). */
export function decide(facts: BreakerFacts): BreakerDecision {
  const { route, revision, breach, target } = facts;
  if (guardedRevision(route) !== revision || hasAnswered(facts)) return { act: false, why: null };
  if (target === null) return { act: false, why: "no version that is proven could take over" };
  const { watch } = route;
  const stable = watch?.candidate === revision ? watch.stable : null;
  if (stable !== null && stable !== target.revision)
    return { act: false, why: `the stable revision ${stable} is not ready to take over` };
  const unwell = unhealthy(target, "since" in breach ? breach.since : null);
  if (unwell !== null)
    return { act: false, why: `${target.label} is not healthy either: ${unwell}` };
  const trigger = breach.limit === "shed" ? "breaker" : "limit";
  return { act: true, trigger, reason: reasonOf(breach) };
}

/** A streak at one worker is none where another worker got a good answer meanwhile. */
function hasAnswered({ breach, lastGoodAt }: BreakerFacts): boolean {
  if (breach.limit !== "invalid" && breach.limit !== "unreachable") return false;
  return lastGoodAt !== null && lastGoodAt >= breach.since;
}

function unhealthy(target: TargetHealth, since: number | null): string | null {
  const { doubt, crashes, failures, lastGoodAt } = target;
  if (doubt !== null) return doubt;
  if (crashes > 0) return `its process died within the last ${HARD_LIMITS.crashWindowMs / 1_000} s`;
  if (failures >= UNHEALTHY_FAILURES) return `${failures} requests in a row failed`;
  const isSilent = since !== null && (lastGoodAt === null || lastGoodAt < since);
  return failures > 0 && isSilent ? "it answered nothing well meanwhile" : null;
}
