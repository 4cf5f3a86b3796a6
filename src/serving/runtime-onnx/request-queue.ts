import type { Tensor } from "../../core/tensor/index.ts";
import type { InferResult } from "../runtime/index.ts";
import { rowsOf, type BatchKeys } from "./batch.ts";

/** One request between its arrival and its answer. */
export interface Waiting {
  readonly inputs: readonly Tensor[];
  /** Rows along axis 0; 1 where its inputs have none in common. */
  readonly rows: number;
  /** Null: it shares no frame. */
  key: string | null;
  readonly resolve: (result: InferResult) => void;
  readonly reject: (error: Error) => void;
  readonly timeoutMs: number;
  /** On the clock of `performance.now()`, ms: then it is given up. */
  readonly deadline: number;
  /** Answered, or given up; whatever comes for it later is ignored. */
  settled: boolean;
}

/** How a request may share frames: its key and rows; without `keys` it shares none. */
export function sharing(
  inputs: readonly Tensor[],
  keys: BatchKeys | null,
): Pick<Waiting, "key" | "rows"> {
  const rows = rowsOf(inputs);
  // A request without rows has nothing to be split by.
  if (rows === null || rows === 0) return { key: null, rows: 1 };
  return { key: keys === null ? null : keys.of(inputs), rows };
}

/**
 * Requests waiting for a frame. Those that may share one lie in a group; groups take turns, so that
 * a busy one starves no other, and within a group the first come are the first served.
 */
export class RequestQueue {
  /** In the order of their turns. */
  readonly #groups = new Map<string, Waiting[]>();
  #alone = 0;

  get isEmpty(): boolean {
    return this.#groups.size === 0;
  }

  /** Those that have not been taken out, the settled ones too. */
  *[Symbol.iterator](): Iterator<Waiting> {
    for (const group of this.#groups.values()) yield* group;
  }

  push(request: Waiting): void {
    if (request.key === null) {
      this.#alone += 1;
      this.#groups.set(`alone ${this.#alone}`, [request]);
      return;
    }
    const group = this.#groups.get(request.key);
    if (group === undefined) this.#groups.set(request.key, [request]);
    else group.push(request);
  }

  /** The requests of the next frame: at least one, together at most `maxRows` rows if it is more. */
  take(maxRows: number): Waiting[] {
    for (const [key, group] of this.#groups) {
      this.#groups.delete(key);
      const live = group.filter((request) => !request.settled);
      let rows = 0;
      let count = 0;
      for (const request of live) {
        if (count > 0 && rows + request.rows > maxRows) break;
        rows += request.rows;
        count += 1;
      }
      if (count < live.length) this.#groups.set(key, live.slice(count));
      if (count > 0) return live.slice(0, count);
    }
    return [];
  }

  /** Takes everything out. */
  drain(): Waiting[] {
    const all = [...this.#groups.values()].flat().filter((request) => !request.settled);
    this.#groups.clear();
    return all;
  }
}
