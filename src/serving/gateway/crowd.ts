import type { Beside } from "../runtime/index.ts";

/** Workers whose requests are told apart; a number is used again long after its worker is gone. */
const SLOTS = 255;

/** Where workers count what is in flight, shared by all of them. */
export interface CrowdRoom {
  /** At the server of one revision. */
  readonly revision: SharedArrayBuffer;
  /** At those of all revisions of its endpoint. */
  readonly endpoint: SharedArrayBuffer;
}

/** Before those of each worker: all that are in flight, and all that ever were. */
const TOTALS = 2;

/** Requests in flight, of all workers together and of each. */
class InFlight {
  readonly #counts: Int32Array;
  readonly #slot: number;

  constructor(shared: SharedArrayBuffer, worker: number) {
    this.#counts = new Int32Array(shared);
    this.#slot = TOTALS + (worker % SLOTS);
  }

  /** Another number whenever one more has come; it wraps. */
  get come(): number {
    return Atomics.load(this.#counts, 1);
  }

  /** Gives how many there were, and `come` as it was then. */
  enter(): { readonly before: number; readonly come: number } {
    Atomics.add(this.#counts, this.#slot, 1);
    const come = Atomics.add(this.#counts, 1, 1) + 1;
    return { before: Math.max(0, Atomics.add(this.#counts, 0, 1)), come: come | 0 };
  }

  leave(): void {
    Atomics.sub(this.#counts, this.#slot, 1);
    Atomics.sub(this.#counts, 0, 1);
  }

  forget(): void {
    Atomics.sub(this.#counts, 0, Atomics.exchange(this.#counts, this.#slot, 0));
  }
}

/**
 * How many requests one revision's server has in flight, of all workers of the gateway together, and those
 * of its endpoint's other revisions. A server that takes several at a time answers the later the more there
 * are, whichever version it runs, and so do two on one machine.
 */
export class Crowd {
  readonly #own: InFlight;
  readonly #all: InFlight;

  constructor({ revision, endpoint }: CrowdRoom, worker: number) {
    this.#own = new InFlight(revision, worker);
    this.#all = new InFlight(endpoint, worker);
  }

  /** Room for the counts of one revision, or of one endpoint. */
  static room(): SharedArrayBuffer {
    return new SharedArrayBuffer((TOTALS + SLOTS) * Int32Array.BYTES_PER_ELEMENT);
  }

  /** A worker is gone, and what it had in flight with it. */
  static forget(room: SharedArrayBuffer, worker: number): void {
    new InFlight(room, worker).forget();
  }

  /** One more is sent. Gives what to ask once it is answered: what there was beside it. */
  enter(): () => Beside {
    const own = this.#own.enter();
    const { before: atStart } = own;
    const all = this.#all.enter();
    const elsewhere = Math.max(0, all.before - atStart);
    return () => ({
      atStart,
      moreCame: this.#own.come !== own.come,
      elsewhere,
      alone: atStart + all.before === 0 && this.#all.come === all.come,
    });
  }

  /** It is over. */
  leave(): void {
    this.#own.leave();
    this.#all.leave();
  }

  /** Sends one request; the answer says how many were in flight beside it. */
  async during<T extends object>(send: () => Promise<T>): Promise<T & { readonly beside: Beside }> {
    const beside = this.enter();
    try {
      const answer = await send();
      return { ...answer, beside: beside() };
    } finally {
      this.leave();
    }
  }
}
