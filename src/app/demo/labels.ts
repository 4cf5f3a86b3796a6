import type { LastgoodClient } from "../../client/index.ts";
import type { Callers } from "./callers.ts";

/** What is true comes to light this much later than the answer, ms. */
const DELAY_MS = 1_000;
const SEND_EVERY_MS = 250;

/**
 * Somebody who finds out, a second after each answer, whether it was right, and says so: delayed
 * labels, as production has them.
 */
export class Labels {
  readonly #client: LastgoodClient;
  readonly #callers: Callers;
  readonly #timer: NodeJS.Timeout;
  #told = 0;
  #sending: Promise<unknown> = Promise.resolve();

  constructor(client: LastgoodClient, callers: Callers) {
    this.#client = client;
    this.#callers = callers;
    this.#timer = setInterval(() => {
      this.#sending = this.#sending.then(() => this.#send());
    }, SEND_EVERY_MS);
  }

  /** Tells no more, and waits for what is on its way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sending;
  }

  async #send(): Promise<void> {
    const { seen, elapsedMs } = this.#callers;
    const items: { requestId: string; correct: boolean }[] = [];
    for (let one = seen[this.#told]; one !== undefined; one = seen[this.#told]) {
      if (one.atMs > elapsedMs - DELAY_MS) break;
      if (one.requestId !== null) items.push({ requestId: one.requestId, correct: one.correct });
      this.#told += 1;
    }
    if (items.length > 0) await this.#client.feedback(items);
  }
}
