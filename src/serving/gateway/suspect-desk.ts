import { LastgoodError } from "../../core/errors/index.ts";
import type { FromWorker } from "./thread-messages.ts";

/** In the details of an error: the request may be what ends processes, so no other revision gets it. */
export const NOT_ELSEWHERE = { elsewhere: false } as const;

/** A suspect's turn; nobody else's begins before it is done. */
export interface Turn {
  /** `killer`: fingerprint of the suspect where its run ended the process again. */
  done(killer: string | null): void;
}

/** Tells the main thread. */
type Report = (news: Extract<FromWorker, { readonly kind: "suspect" | "suspectDone" }>) => void;

interface Waiting {
  readonly key: string;
  readonly grant: (turn: Turn) => void;
  readonly timer: NodeJS.Timeout;
}

/** A worker's side of the query-of-death rule: suspects wait here for the main thread's grant. */
export class SuspectDesk {
  readonly #report: Report;
  readonly #waiting = new Map<number, Waiting>();
  readonly #keys = new Map<number, string>();
  #next = 1;

  constructor(report: Report) {
    this.#report = report;
  }

  /**
   * Resolves when it is this suspect's turn.
   * @throws `runtime.timeout` when its time runs out first.
   */
  await(key: string, timeoutMs: number): Promise<Turn> {
    const suspect = this.#next++;
    this.#keys.set(suspect, key);
    this.#report({ kind: "suspect", key, suspect });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => {
          this.#waiting.delete(suspect);
          reject(
            new LastgoodError(
              "runtime.timeout",
              "the model's process died with this request in it, and no replacement was there in time",
              // Nobody knows whether it is what ended the process.
              { details: NOT_ELSEWHERE },
            ),
          );
        },
        Math.max(0, timeoutMs),
      );
      this.#waiting.set(suspect, { key, grant: resolve, timer });
    });
  }

  /** The main thread says that it is this suspect's turn. */
  grant(suspect: number): void {
    const waiting = this.#waiting.get(suspect);
    this.#waiting.delete(suspect);
    if (waiting === undefined) {
      this.#finish(suspect, null);
      return;
    }
    clearTimeout(waiting.timer);
    waiting.grant({ done: (killer) => this.#finish(suspect, killer) });
  }

  #finish(suspect: number, killer: string | null): void {
    const key = this.#keys.get(suspect);
    if (key === undefined) return;
    this.#keys.delete(suspect);
    this.#report({ kind: "suspectDone", key, suspect, killer });
  }
}
