import type { Incident } from "./tally.ts";

/**
 * Answers that break off within this time broke off together, ms. One that breaks off by itself is the
 * version's own doing, as an error is: long answers that overlap would hide each other's.
 */
const TOGETHER_MS = 250;

/** Deaths remembered: their requests end within a request's time. */
const REMEMBERED = 16;

/** The death of a process. */
export interface Death {
  /** Tells it from every other process, in every worker. */
  readonly process: string;
  /** When this worker noticed, CLOCK_MONOTONIC, ms. */
  readonly at: number;
}

/** A request that was lost with its version's process or connection. */
export interface Lost {
  readonly admittedAt: number;
  /** Of the process that died with it, the last time one did; null where the version was not there. */
  readonly death: Death | null;
  /** Whether its answer had begun, or its server lives on: others may go well at the same time. */
  readonly isBrokenOff?: boolean;
  readonly now: number;
}

/**
 * The losses of one revision as one worker sees them. One incident is one event: the first request
 * that ends stands for it, the others died with it.
 */
export class LossBook {
  readonly #deaths: string[] = [];
  #lastAt = -Infinity;

  /** The incident that the request stands for, or null where another one stands for it already. */
  charge({ admittedAt, death, isBrokenOff = false, now }: Lost): Incident | null {
    if (death !== null) {
      const { process, at } = death;
      if (this.#deaths.includes(process)) return null;
      this.#deaths.push(process);
      if (this.#deaths.length > REMEMBERED) this.#deaths.shift();
      this.#lastAt = Math.max(this.#lastAt, at);
      return { from: admittedAt, at, process };
    }
    // It was under way when the last one happened.
    const isSameTime = !isBrokenOff || now - this.#lastAt <= TOGETHER_MS;
    if (admittedAt <= this.#lastAt && isSameTime) return null;
    this.#lastAt = now;
    const from = isBrokenOff ? Math.max(admittedAt, now - TOGETHER_MS) : admittedAt;
    return { from, at: now, process: null };
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
  if (one.process !== null && other.process !== null) return one.process === other.process;
  return one.from <= other.at && other.from <= one.at;
}
