import { HARD_LIMITS } from "./hard-limits.ts";

/** Incidents beyond these are forgotten. */
const REMEMBERED = 256;
/** What a request did is remembered this long, ms. */
const KILLERS_MS = 10 * 60_000;

interface Incident {
  readonly at: number;
  readonly why: string;
  /** Fingerprint of the request that ended the process twice; null where none was found. */
  killer: string | null;
}

/**
 * Deaths of one revision's process, as incidents: a request that ends the process, and then the
 * replacement when it is run again alone, is one incident and not two.
 */
export class CrashLog {
  #incidents: Incident[] = [];

  /** The process died while it served everybody; times are CLOCK_MONOTONIC, ms. */
  died(at: number, why: string): void {
    this.#incidents = [...this.#incidents, { at, why, killer: null }].slice(-REMEMBERED);
  }

  /** A request ended the replacement too. Each one beyond the first of a death is an incident of its own. */
  killed(at: number, killer: string): void {
    const last = this.#incidents.at(-1);
    if (last?.killer === null) last.killer = killer;
    else this.#incidents.push({ at, why: "a request ended it twice", killer });
  }

  /** True once nothing of it matters any more. */
  isForgotten(now: number): boolean {
    return this.#incidents.every(({ at }) => now - at >= KILLERS_MS);
  }

  /** Requests that ended the process, by fingerprint. */
  killers(now: number): ReadonlySet<string> {
    return new Set(
      this.#incidents.flatMap(({ at, killer }) =>
        killer !== null && now - at < KILLERS_MS ? [killer] : [],
      ),
    );
  }

  /** Incidents within the window of the hard limit, without those that `elsewhere` explains. */
  counted(now: number, elsewhere: ReadonlySet<string>): { count: number; why: string } {
    const counted = this.#incidents.filter(
      ({ at, killer }) =>
        now - at < HARD_LIMITS.crashWindowMs && (killer === null || !elsewhere.has(killer)),
    );
    return { count: counted.length, why: counted.at(-1)?.why ?? "" };
  }
}
