import type { Beside } from "../runtime/index.ts";

/** Workers whose requests are told apart; a number is used again long after its worker is gone. */
const SLOTS = 255;

/** Where it is counted how many have come; after it, how many others each of the last `RING` found. */
const COME = SLOTS + 1;
const RING = 1_024;
const LONG_AGO = 2 ** 30;

/** One that came: its number, and how many others were in flight then. */
interface Came {
  readonly number: number;
  readonly others: number;
}

/**
 * How many requests one revision's server has in flight, of all workers of the gateway together. A server
 * that takes several at a time answers the later the more there are, whichever version it runs.
 */
export class Crowd {
  /** All of them, those of each worker, and those that came lately. */
  readonly #counts: Int32Array;
  readonly #slot: number;
  /** What came, as far as this worker has looked: of those that later ones did not outdo. */
  readonly #came: Came[] = [];
  #looked: number;

  constructor(shared: SharedArrayBuffer, worker: number) {
    this.#counts = new Int32Array(shared);
    this.#slot = slotOf(worker);
    this.#looked = Atomics.load(this.#counts, COME);
  }

  /** Room for the counts, shared by the workers. */
  static room(): SharedArrayBuffer {
    return new SharedArrayBuffer((COME + 1 + RING) * Int32Array.BYTES_PER_ELEMENT);
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
    const number = Atomics.add(counts, COME, 1);
    Atomics.store(counts, placeOf(number), others);
    return { number, others };
  }

  /** It is answered. */
  leave(): void {
    Atomics.sub(this.#counts, this.#slot, 1);
    Atomics.sub(this.#counts, 0, 1);
  }

  /** How many were in flight beside one that came then, and is answered now. */
  beside(one: Came): Beside {
    this.#look();
    const first = this.#came.find(({ number }) => ((number - one.number) | 0) >= 0);
    return { atStart: one.others, most: Math.max(one.others, first?.others ?? 0) };
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

  /** Takes in what came in all workers since it looked last; what is longer ago than the ring is lost. */
  #look(): void {
    const until = Atomics.load(this.#counts, COME);
    const unseen = (until - this.#looked) | 0;
    for (let back = Math.min(unseen, RING); back > 0; back -= 1) {
      const number = (until - back) | 0;
      const others = Atomics.load(this.#counts, placeOf(number));
      while ((this.#came.at(-1)?.others ?? Infinity) <= others) this.#came.pop();
      this.#came.push({ number, others });
    }
    this.#looked = until;
    // Numbers begin again after 2³²: what is long ago must not look new then.
    while (((until - (this.#came[0]?.number ?? until)) | 0) > LONG_AGO) this.#came.shift();
  }
}

function slotOf(worker: number): number {
  return 1 + (worker % SLOTS);
}

function placeOf(number: number): number {
  return COME + 1 + (number & (RING - 1));
}
