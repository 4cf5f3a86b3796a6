import { LastgoodError } from "../../core/errors/index.ts";

/** How often and how patiently something is asked. */
export interface PollPace {
  readonly everyMs: number;
  readonly timeoutMs: number;
}

/** The newest answer, or why there is none. */
export type Polled<T> =
  | { readonly at: number; readonly value: T; readonly error: null }
  | { readonly at: number; readonly value: null; readonly error: string };

/**
 * Asks again and again in the background, so that whoever needs the answer never waits for a server
 * that hangs.
 */
export class Poll<T> {
  readonly #ask: (signal: AbortSignal) => Promise<T>;
  readonly #pace: PollPace;
  readonly #now: () => number;
  readonly #onAnswer: (answer: Polled<T>) => void;
  #latest: Polled<T> | null = null;
  #asking: Promise<void>;
  #timer: NodeJS.Timeout | null = null;
  readonly #stopped = new AbortController();

  constructor(
    ask: (signal: AbortSignal) => Promise<T>,
    options: {
      readonly pace: PollPace;
      readonly now: () => number;
      readonly onAnswer?: (answer: Polled<T>) => void;
    },
  ) {
    this.#ask = ask;
    this.#pace = options.pace;
    this.#now = options.now;
    this.#onAnswer = options.onAnswer ?? ((): void => undefined);
    this.#asking = this.#turn();
  }

  /** The newest answer; null while the first one is still awaited. */
  get latest(): Polled<T> | null {
    return this.#latest;
  }

  /** Waits for the first answer, `graceMs` at the most. */
  async first(graceMs: number): Promise<Polled<T> | null> {
    if (this.#latest !== null) return this.#latest;
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([this.#asking, grace]);
    clearTimeout(timer);
    return this.#latest;
  }

  stop(): void {
    this.#stopped.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #turn(): Promise<void> {
    const at = this.#now();
    const answer = await this.#answer(at);
    if (this.#stopped.signal.aborted) return;
    this.#latest = answer;
    this.#onAnswer(answer);
    this.#timer = setTimeout(() => {
      this.#asking = this.#turn();
    }, this.#pace.everyMs).unref();
  }

  async #answer(at: number): Promise<Polled<T>> {
    const { timeoutMs } = this.#pace;
    const patience = new AbortController();
    const signal = AbortSignal.any([this.#stopped.signal, patience.signal]);
    let timer: NodeJS.Timeout | undefined;
    // Also where what is asked does not heed the signal.
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        patience.abort();
        reject(new LastgoodError("internal", `no answer within ${timeoutMs} ms`));
      }, timeoutMs);
    });
    try {
      const value = await Promise.race([this.#ask(signal), late]);
      return { at, value, error: null };
    } catch (error) {
      const why = patience.signal.aborted ? `no answer within ${timeoutMs} ms` : whyOf(error);
      return { at, value: null, error: why };
    } finally {
      clearTimeout(timer);
    }
  }
}

const LONGEST_WHY = 200;

/** The reason in the words of whoever knows it best: a failed fetch hides it in its cause. */
function whyOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const { message } = LastgoodError.from(cause);
  const code = (cause as NodeJS.ErrnoException).code;
  return (message === "" ? String(code ?? cause) : message).slice(0, LONGEST_WHY);
}
