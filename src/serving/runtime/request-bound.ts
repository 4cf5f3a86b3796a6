import { LastgoodError } from "../../core/errors/index.ts";
import { UNLOADED } from "./runtime.ts";

/** How many requests a connection takes at a time, and whether it still does. */
export class RequestBound {
  readonly #limit: number;
  #pending = 0;
  #isClosing = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Requests taken and not yet let go of. */
  get pending(): number {
    return this.#pending;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /**
   * Takes a request, which has to be let go of with `leave`.
   * @throws `runtime.unavailable` (with `UNLOADED`) after `close`, `overloaded` at the limit.
   */
  enter(): void {
    if (this.#isClosing)
      throw new LastgoodError("runtime.unavailable", "the connection is closing", UNLOADED);
    if (this.#pending >= this.#limit)
      throw new LastgoodError(
        "overloaded",
        `${this.#pending} requests are waiting for this version`,
      );
    this.#pending += 1;
  }

  leave(): void {
    this.#pending -= 1;
  }

  /** Takes a request for as long as `answer` needs. @throws what `enter` and `answer` throw. */
  async hold<T>(answer: () => Promise<T>): Promise<T> {
    this.enter();
    try {
      return await answer();
    } finally {
      this.#pending -= 1;
    }
  }

  /** Takes no more requests. */
  close(): void {
    this.#isClosing = true;
  }
}
