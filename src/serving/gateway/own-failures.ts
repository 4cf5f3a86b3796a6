const REMEMBERED = 10_000;

/** When requests were admitted that the gateway itself then failed: dropped, or a 5xx of its own. */
export class OwnFailures {
  readonly #admitted: number[] = [];

  /** `admittedAt` is CLOCK_MONOTONIC, ms. */
  note(admittedAt: number): void {
    this.#admitted.push(admittedAt);
    if (this.#admitted.length > REMEMBERED) this.#admitted.shift();
  }

  /** How many of them were admitted since then. */
  since(time: number): number {
    return this.#admitted.filter((admittedAt) => admittedAt >= time).length;
  }
}
