import type { Beside } from "../runtime/index.ts";

/** Workers whose requests are told apart; a number is used again long after its worker is gone. */
const SLOTS = 255;

/** Where it is counted how many have come. */
const COME = SLOTS + 1;

/** One that came: the how manieth it is, and how many others were in flight then. */
interface Came {
  readonly number: number;
  readonly others: number;
}

/**
 * How many requests one revision's server has in flight, of all workers of the gateway together. A server
 * that takes several at a time answers the later the more there are, whichever version it runs.
 */
export class Crowd {
  /** All of them, those of each worker, and how many have come. */
  readonly #counts: Int32Array;
  readonly #slot: number;

  constructor(shared: SharedArrayBuffer, worker: number) {
    this.#counts = new Int32Array(shared);
    this.#slot = slotOf(worker);
  }

  /** Room for the counts, shared by the workers. */
  static room(): SharedArrayBuffer {
    return new SharedArrayBuffer((COME + 1) * Int32Array.BYTES_PER_ELEMENT);
  }

  /** A worker is gone, and what it had in flight with it. */
  static forget(shared: SharedArrayBuffer, worker: number): void {
    const counts = new Int32Array(shared);
    Atomics.sub(counts, 0, Atomics.exchange(counts, slotOf(worker), 0));
  }

  /** One more is sent. */
  enter(): Came {
    const counts = this.#counts;
    Atomics.add(counts, this.#slot, 1);
    const others = Math.max(0, Atomics.add(counts, 0, 1));
    return { others, number: Atomics.add(counts, COME, 1) };
  }

  /** It is answered. */
  leave(): void {
    Atomics.sub(this.#counts, this.#slot, 1);
    Atomics.sub(this.#counts, 0, 1);
  }

  /** What was in flight beside one that is answered now. */
  beside({ number, others }: Came): Beside {
    // Numbers begin again after 2³².
    const later = (Atomics.load(this.#counts, COME) - number - 1) | 0;
    return { atStart: others, moreCame: later !== 0 };
  }

  /** Sends one request; the answer says how many were in flight beside it. */
  async during<T extends object>(send: () => Promise<T>): Promise<T & { readonly beside: Beside }> {
    const one = this.enter();
    try {
      const answer = await send();
      return { ...answer, beside: this.beside(one) };
    } finally {
      this.leave();
    }
  }
}

function slotOf(worker: number): number {
  return 1 + (worker % SLOTS);
}
