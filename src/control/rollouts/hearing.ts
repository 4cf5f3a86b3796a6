/**
 * Since when evidence of a rollout could have come. While no gateway is connected, or nobody looks because
 * this process is stopped, starts anew or its clock was set, silence says nothing about a version.
 */
export class Hearing {
  readonly #largestGapMs: number;
  #since: number | null = null;
  #askedAt = -Infinity;

  /** Silence of `afterMs` is told, and looked for every `flushMs`: half of it without a look is no listening. */
  constructor({ afterMs, flushMs }: { readonly afterMs: number; readonly flushMs: number }) {
    this.#largestGapMs = Math.max(afterMs / 2, 2 * flushMs);
  }

  /** Told at each look, ms since 1970; gives the beginning of the listening that goes on. */
  since(now: number, isServed: boolean): number {
    const gap = now - this.#askedAt;
    this.#askedAt = now;
    if (!isServed || this.#since === null || gap < 0 || gap > this.#largestGapMs) this.#since = now;
    return this.#since;
  }
}
