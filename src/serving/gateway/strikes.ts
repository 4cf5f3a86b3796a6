import type { LastgoodError } from "../../core/errors/index.ts";
import type { RuntimeSpec } from "../../core/version/index.ts";
import { HARD_LIMITS, type WorkerBreach } from "./hard-limits.ts";

/** A limit that stays reached is told again after this, ms. */
const TELL_AGAIN_MS = 1_000;

/** How a failed request failed, as far as the limits tell failures apart. */
type StrikeKind = "invalid" | "unreachable" | "other";

/**
 * How a revision of this runtime failed. Only who tried to connect knows that there was no connection:
 * a request that waited for a process to be back did not try, and its death has a limit of its own.
 */
export function strikeOf(
  runtime: RuntimeSpec["kind"],
  { code, details }: LastgoodError,
): StrikeKind | "lost" {
  if (details["invalid"] !== undefined) return "invalid";
  if (runtime === "onnx" || code !== "runtime.unavailable") return "other";
  if (details["sent"] === true) return "lost";
  return details["sent"] === false ? "unreachable" : "other";
}

/** What one worker knows of how a revision's last requests ended. */
export interface StrikeReport {
  /** Failures in a row, of any kind. */
  readonly failures: number;
  /** CLOCK_MONOTONIC, ms; null where it never answered well. */
  readonly lastGoodAt: number | null;
}

interface Streak {
  count: number;
  since: number;
}

/** How a revision's requests end in one worker: streaks of failures, told once they reach a limit. */
export class Strikes {
  readonly #invalid: Streak = { count: 0, since: 0 };
  readonly #unreachable: Streak = { count: 0, since: 0 };
  #lostAt = Number.NEGATIVE_INFINITY;
  #shedAt: number[] = [];
  #failures = 0;
  #lastGoodAt: number | null = null;
  #toldAt = Number.NEGATIVE_INFINITY;

  get report(): StrikeReport {
    return { failures: this.#failures, lastGoodAt: this.#lastGoodAt };
  }

  /** A request was answered, and the answer kept the contract. */
  good(now: number): void {
    this.#lastGoodAt = now;
    this.#failures = 0;
    this.#invalid.count = 0;
    this.#unreachable.count = 0;
  }

  /** The version failed a request; gives the limit that is reached by it, if one is. */
  failed(kind: StrikeKind, why: string, now: number): WorkerBreach | null {
    this.#failures += 1;
    if (kind !== "unreachable") this.#unreachable.count = 0;
    if (kind === "other") return null;
    const streak = kind === "invalid" ? this.#invalid : this.#unreachable;
    if (streak.count === 0) streak.since = now;
    streak.count += 1;
    if (streak.count < HARD_LIMITS[kind]) return null;
    return this.#tell({ limit: kind, count: streak.count, since: streak.since, why }, now);
  }

  /**
   * The connection was lost after the request had been sent. One incident is one failure: those that
   * were under way when it happened were lost with the first of them. Times are CLOCK_MONOTONIC, ms.
   */
  lost(why: string, admittedAt: number, now: number): WorkerBreach | null {
    if (admittedAt <= this.#lostAt) return null;
    this.#lostAt = now;
    return this.failed("unreachable", why, now);
  }

  /** Stable had no room to answer a request that this revision had failed. */
  shed(why: string, now: number): WorkerBreach | null {
    this.#shedAt.push(now);
    this.#shedAt = this.#shedAt
      .filter((at) => now - at < HARD_LIMITS.shedWindowMs)
      .slice(-HARD_LIMITS.shed);
    const since = this.#shedAt[0] ?? now;
    const count = this.#shedAt.length;
    return count < HARD_LIMITS.shed ? null : this.#tell({ limit: "shed", count, since, why }, now);
  }

  #tell(breach: WorkerBreach, now: number): WorkerBreach | null {
    if (now - this.#toldAt < TELL_AGAIN_MS) return null;
    this.#toldAt = now;
    return breach;
  }
}
