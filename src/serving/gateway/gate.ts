import { LastgoodError, type ErrorParticulars } from "../../core/errors/index.ts";

interface Waiter {
  readonly pass: () => void;
  readonly refuse: (error: LastgoodError) => void;
  readonly timer: NodeJS.Timeout;
}

/** Where requests wait while what they need is not there for a moment. */
export class Gate {
  #open: boolean;
  #refusal: LastgoodError | null = null;
  readonly #waiters = new Set<Waiter>();

  constructor(open: boolean) {
    this.#open = open;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Requests that wait now. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Why nothing will pass for now, or null. */
  get refusal(): string | null {
    return this.#refusal?.message ?? null;
  }

  /** Lets everybody who waits pass, in the order they came. */
  open(): void {
    this.#open = true;
    this.#refusal = null;
    for (const waiter of this.#take()) waiter.pass();
  }

  /** From now on requests wait. */
  close(): void {
    this.#open = false;
    this.#refusal = null;
  }

  /** Sends away those who wait and those who come, until it is opened or closed again. */
  refuse(why: string, particulars: ErrorParticulars = {}): void {
    this.#open = false;
    this.#refusal = new LastgoodError("runtime.unavailable", why, particulars);
    for (const waiter of this.#take()) waiter.refuse(this.#refusal);
  }

  /**
   * Resolves when the gate is open.
   * @throws `runtime.unavailable` when it is refused or `timeoutMs` passes first.
   */
  pass(timeoutMs: number, whatFor: string): Promise<void> {
    if (this.#open) return Promise.resolve();
    if (this.#refusal !== null) return Promise.reject(this.#refusal);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        pass: resolve,
        refuse: reject,
        timer: setTimeout(
          () => {
            this.#waiters.delete(waiter);
            reject(
              new LastgoodError(
                "runtime.unavailable",
                `${whatFor} was not there within ${Math.round(timeoutMs)} ms`,
              ),
            );
          },
          Math.max(0, timeoutMs),
        ),
      };
      this.#waiters.add(waiter);
    });
  }

  #take(): Waiter[] {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) clearTimeout(waiter.timer);
    return waiters;
  }
}
