/**
 * What acts at once, while the revision to go to is healthy (law 6). These numbers are published in
 * docs/concepts/fallback-and-breaker.md.
 */
export const HARD_LIMITS = {
  /** Deaths of the model process within `crashWindowMs`. */
  crashes: 3,
  crashWindowMs: 60_000,
  /** Loads that failed in a row; one that is refused for what it is, is not tried again. */
  failedLoads: 3,
  /** Requests in a row that found no connection or lost it; those that one loss took together are one. */
  unreachable: 20,
  /** Invalid answers without a valid one between them. */
  invalid: 20,
  /** Failed requests within `shedWindowMs` that stable had no room to answer. */
  shed: 20,
  shedWindowMs: 10_000,
} as const;

/** Failures in a row that say that a revision is not healthy. */
export const UNHEALTHY_FAILURES = 3;

/** A limit that a worker sees reached. */
export interface WorkerBreach {
  readonly limit: "invalid" | "unreachable" | "shed";
  /** How many, exactly. */
  readonly count: number;
  /** When the first of them happened, CLOCK_MONOTONIC, ms. */
  readonly since: number;
  /** What happened to the last of them. */
  readonly why: string;
}

/** A published limit that was reached. */
export type Breach =
  | WorkerBreach
  | { readonly limit: "crashes"; readonly count: number; readonly why: string }
  | { readonly limit: "neverReady"; readonly count: number; readonly why: string };
