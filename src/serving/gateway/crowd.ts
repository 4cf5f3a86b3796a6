import type { Beside } from "../runtime/index.ts";

/** Workers whose requests are told apart; a number is used again long after its worker is gone. */
const SLOTS = 255;

/**
 * How many requests one revision's server has in flight, of all workers of the gateway together. A server
 * that takes several at a time answers the later the more there are, whichever version it runs.
 */
export class Crowd {
  /** All of them, and then those of each worker. */
  readonly #counts: Int32Array;
  readonly #slot: number;

  constructor(shared: SharedArrayBuffer, worker: number) {
    this.#counts = new Int32Array(shared);
    this.#slot = slotOf(worker);
  }

  /** Room for the counts, shared by the workers. */
  static room(): SharedArrayBuffer {
    return new SharedArrayBuffer((SLOTS + 1) * Int32Array.BYTES_PER_ELEMENT);
  }

  /** A worker is gone, and what it had in flight with it. */
  static forget(shared: SharedArrayBuffer, worker: number): void {
    const counts = new Int32Array(shared);
    Atomics.sub(counts, 0, Atomics.exchange(counts, slotOf(worker), 0));
  }

  /** Others that are in flight. */
  get others(): number {
    return Math.max(0, Atomics.load(this.#counts, 0) - 1);
  }

  /** One more is sent; how many there are beside it. */
  enter(): number {
    Atomics.add(this.#counts, this.#slot, 1);
    return Math.max(0, Atomics.add(this.#counts, 0, 1));
  }

  /** It is answered. */
  leave(): void {
    Atomics.sub(this.#counts, this.#slot, 1);
    Atomics.sub(this.#counts, 0, 1);
  }

  /** Sends one request; the answer says how many were in flight beside it. */
  async during<T extends object>(send: () => Promise<T>): Promise<T & { readonly beside: Beside }> {
    const atStart = this.enter();
    try {
      const answer = await send();
      return { ...answer, beside: { atStart, atEnd: this.others } };
    } finally {
      this.leave();
    }
  }
}

function slotOf(worker: number): number {
  return 1 + (worker % SLOTS);
}
