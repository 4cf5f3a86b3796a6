/**
 * One timer for everything that has a deadline: nearly all of it ends long before, and a timer for each
 * would be made and ended for nothing. It keeps no process running.
 */
export class Deadlines {
  readonly #expire: (now: number) => void;
  #timer: NodeJS.Timeout | null = null;
  /** When the timer ends, ms. */
  #endsAt = Infinity;

  /**
   * `expire` is called once a deadline that was watched is over, with the time: it ends what is over
   * and has `watch` watch what is not. Times are those of `performance.now()`.
   */
  constructor(expire: (now: number) => void) {
    this.#expire = expire;
  }

  watch(deadline: number): void {
    if (deadline >= this.#endsAt) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#endsAt = deadline;
    const inMs = Math.max(0, Math.ceil(deadline - performance.now()));
    this.#timer = setTimeout(() => this.#end(), inMs).unref();
  }

  /** Watches nothing any more. */
  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#endsAt = Infinity;
  }

  #end(): void {
    this.#timer = null;
    this.#endsAt = Infinity;
    this.#expire(performance.now());
  }
}
