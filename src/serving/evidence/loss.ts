import type { Incident } from "./tally.ts";

/** Deaths remembered: their requests end within a request's time. */
const REMEMBERED = 16;
/** Workers notice a process's death within this of each other, also on a starved machine, ms. */
const SAME_DEATH_MS = 500;

/** A request that was lost with its version's process or connection. */
export interface Lost {
  readonly admittedAt: number;
  /** When the process died with it, the last time it did; null where the version was not there. */
  readonly diedAt: number | null;
  readonly now: number;
}

/**
 * The losses of one revision as one worker sees them. One incident is one event: the first request
 * that ends stands for it, the others died with it.
 */
export class LossBook {
  readonly #deaths: number[] = [];
  #lastAt = -Infinity;

  /** The incident that the request stands for, or null where another one stands for it already. */
  charge({ admittedAt, diedAt, now }: Lost): Incident | null {
    if (diedAt !== null) {
      if (this.#deaths.includes(diedAt)) return null;
      this.#deaths.push(diedAt);
      if (this.#deaths.length > REMEMBERED) this.#deaths.shift();
      this.#lastAt = Math.max(this.#lastAt, diedAt);
      return { from: admittedAt, at: diedAt, died: true };
    }
    // It was under way when the last one happened.
    if (admittedAt <= this.#lastAt) return null;
    this.#lastAt = now;
    return { from: admittedAt, at: now, died: false };
  }
}

/** The losses of one revision as all workers together see them. */
export class SharedLosses {
  readonly #known: Incident[] = [];

  /** False where another worker has told of it already. */
  isNew(incident: Incident): boolean {
    if (this.#known.some((known) => isSame(known, incident))) return false;
    this.#known.push(incident);
    if (this.#known.length > REMEMBERED) this.#known.shift();
    return true;
  }
}

function isSame(one: Incident, other: Incident): boolean {
  // A request that was in two deaths lived through the first one.
  if (one.died && other.died) return Math.abs(one.at - other.at) <= SAME_DEATH_MS;
  return one.from <= other.at && other.from <= one.at;
}
