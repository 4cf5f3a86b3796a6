import { LastgoodError } from "../../core/errors/index.ts";
import type { Timers } from "../../core/time/index.ts";
import type { RevisionState } from "../../link/message/index.ts";

/** One revision of an endpoint. */
export interface RevisionKey {
  readonly endpoint: string;
  readonly revision: number;
}

/** From the least to the most to be relied on. */
const RANK = { failed: 0, gone: 1, loading: 2, ready: 3 } as const;

interface Waiter {
  readonly check: () => void;
}

/** What each gateway last said of each revision. */
export class RevisionStates {
  readonly #byGateway = new Map<string, Map<string, RevisionState>>();
  /** How long the managed server of a version took to start the last time, ms, by its digest. */
  readonly #startedInMs = new Map<string, number>();
  readonly #waiters = new Set<Waiter>();
  readonly #timers: Timers;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Everything a gateway knows; what it does not name is not loaded there. */
  replace(gateway: string, states: readonly RevisionState[]): void {
    this.#byGateway.set(gateway, new Map(states.map((state) => [keyOf(state), state])));
    for (const state of states) this.#remember(state);
    this.#wake();
  }

  set(gateway: string, state: RevisionState): void {
    const known = this.#byGateway.get(gateway) ?? new Map<string, RevisionState>();
    this.#byGateway.set(gateway, known);
    if (state.state === "gone") known.delete(keyOf(state));
    else known.set(keyOf(state), state);
    this.#remember(state);
    this.#wake();
  }

  /** Null where none was seen to start since this process did. */
  startedInMs(digest: string): number | null {
    return this.#startedInMs.get(digest) ?? null;
  }

  forget(gateway: string): void {
    this.#byGateway.delete(gateway);
    this.#wake();
  }

  all(): readonly RevisionState[] {
    return [...this.#byGateway.values()].flatMap((states) => [...states.values()]);
  }

  /** The least advanced of the gateways' states; null where one of them has none. */
  over(key: RevisionKey, gateways: readonly string[]): RevisionState | null {
    const states = gateways.map((gateway) => this.#byGateway.get(gateway)?.get(keyOf(key)));
    let least: RevisionState | null = null;
    for (const state of states) {
      if (state?.state === "failed") return state;
      if (state !== undefined && (least === null || RANK[state.state] < RANK[least.state]))
        least = state;
    }
    return states.includes(undefined) ? null : least;
  }

  /**
   * Waits until `find` gives a state.
   * @throws `runtime.timeout` when it gave none within `timeoutMs`.
   */
  until(find: () => RevisionState | null, timeoutMs: number, what: string): Promise<RevisionState> {
    const now = find();
    if (now !== null) return Promise.resolve(now);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        check: () => {
          const found = find();
          if (found === null) return;
          cancel();
          this.#waiters.delete(waiter);
          resolve(found);
        },
      };
      const cancel = this.#timers.after(timeoutMs, () => {
        this.#waiters.delete(waiter);
        reject(
          new LastgoodError("runtime.timeout", `${what} was not loaded within ${timeoutMs} ms`),
        );
      });
      this.#waiters.add(waiter);
    });
  }

  #remember({ digest, process }: RevisionState): void {
    if (process !== undefined) this.#startedInMs.set(digest, process.startedInMs);
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter.check();
  }
}

function keyOf(key: RevisionKey): string {
  return `${key.endpoint} ${key.revision}`;
}
