import type { FeedbackStore, StoredFeedback } from "../../storage/store/index.ts";
import type { Found, PredictionReader } from "./prediction-reader.ts";

/** What joining needs. */
export interface LabelJoinOptions {
  readonly store: FeedbackStore;
  readonly reader: PredictionReader;
  readonly now: () => number;
  readonly warn: (message: string, facts?: Readonly<Record<string, unknown>>) => void;
}

/** Whose labels are joined. */
export type LabelsOf = Omit<Parameters<FeedbackStore["waiting"]>[0], "joined" | "limit">;

const MINUTE_MS = 60_000;
const AT_ONCE = 10_000;
/** A prediction that is not in the log by then was not logged, or dropped, ms. */
const GIVE_UP_MS = 10 * MINUTE_MS;
/** What another revision makes of a request is written by then, or never, ms after its minute. */
const MIRROR_MS = 2 * MINUTE_MS;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 60_000;

interface Again {
  readonly at: number;
  readonly pauseMs: number;
}

/**
 * Gives labels the predictions that they are about. Runs beside `collect`, one turn at a time for each
 * endpoint: a label that comes days later may need a long read.
 */
export class LabelJoin {
  readonly #options: LabelJoinOptions;
  /** When to look again for labels that were not found, by request id. */
  #again = new Map<string, Again>();
  /** By endpoint: one that is watched beside others has labels of its own. */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(options: LabelJoinOptions) {
    this.#options = options;
  }

  /** Joins what it can within `graceMs`, and goes on beyond it. */
  async run(of: LabelsOf, graceMs: number): Promise<void> {
    const turn = this.#turns.get(of.endpoint) ?? this.#begin(of);
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([turn, grace]);
    clearTimeout(timer);
  }

  #begin(of: LabelsOf): Promise<void> {
    const turn = this.#join(of)
      .catch((error: unknown) => {
        this.#options.warn("the prediction log could not be read", { error: String(error) });
      })
      .finally(() => this.#turns.delete(of.endpoint));
    this.#turns.set(of.endpoint, turn);
    return turn;
  }

  async #join(of: LabelsOf): Promise<void> {
    const { store, reader, now } = this.#options;
    const waiting = await store.waiting({ ...of, joined: false, limit: AT_ONCE });
    const at = now();
    const due = waiting.filter(({ requestId }) => (this.#again.get(requestId)?.at ?? 0) <= at);
    if (due.length === 0) return;
    const found = await reader.find(due);
    const joined = due.flatMap((label) => {
      const { requestId } = label;
      const known = found?.get(requestId);
      if (known === undefined || isAwaited(known, label, at)) return [];
      return [{ requestId, prediction: known.prediction }];
    });
    if (joined.length > 0) await store.join(joined);
    for (const { requestId } of joined) this.#again.delete(requestId);
    const done = new Set(joined.map(({ requestId }) => requestId));
    const missing = due.filter(({ requestId }) => !done.has(requestId));
    // Without a log nothing can be said of them: they wait until they are too old.
    const lost = found === null ? [] : missing.filter((label) => isLost(label, at));
    await this.#giveUp(lost);
    this.#later(missing, at);
  }

  async #giveUp(lost: readonly StoredFeedback[]): Promise<void> {
    if (lost.length === 0) return;
    const ids = lost.map(({ requestId }) => requestId);
    await this.#options.store.count(ids);
    for (const id of ids) this.#again.delete(id);
    this.#options.warn(
      "labels count for nothing: what was predicted is not in the log (not logged then, or dropped)",
      { labels: lost.length, for: ids[0] },
    );
  }

  #later(missing: readonly StoredFeedback[], at: number): void {
    const again = new Map<string, Again>();
    for (const { requestId } of missing) {
      const before = this.#again.get(requestId)?.pauseMs ?? FIRST_PAUSE_MS / 2;
      const pauseMs = Math.min(LONGEST_PAUSE_MS, before * 2);
      again.set(requestId, { at: at + pauseMs, pauseMs });
    }
    for (const [id, next] of this.#again)
      if (!again.has(id) && next.at > at - LONGEST_PAUSE_MS) again.set(id, next);
    this.#again = again;
  }
}

/** Whether the label waits for the second answer: counted without it, it could not be one of a pair. */
function isAwaited({ isWhole }: Found, { minute }: StoredFeedback, now: number): boolean {
  return !isWhole && now - (minute + 1) * MINUTE_MS <= MIRROR_MS;
}

function isLost({ minute }: StoredFeedback, now: number): boolean {
  return now - (minute + 1) * MINUTE_MS > GIVE_UP_MS;
}
