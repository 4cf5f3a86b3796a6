import type { Route } from "../../link/route/index.ts";
import { EvidenceRecorder, type EvidenceReport } from "../evidence/index.ts";

interface Entry {
  readonly recorder: EvidenceRecorder;
  timer: NodeJS.Timeout | null;
}

/** So much behind the end of an interval its window is looked at, ms: timers may be early by one. */
const BEHIND_MS = 1;

/** The recorders of one worker, and when they tell the main thread; no message per request. */
export class EvidenceBook {
  readonly #now: () => number;
  readonly #workers: number;
  readonly #post: (report: EvidenceReport) => void;
  readonly #entries = new Map<string, Entry>();

  /** `now` is CLOCK_MONOTONIC, ms. */
  constructor(now: () => number, workers: number, post: (report: EvidenceReport) => void) {
    this.#now = now;
    this.#workers = workers;
    this.#post = post;
  }

  /** The endpoint's route has changed; null where nothing has been under watch yet. */
  route({ endpoint, watch }: Route, interval: number): EvidenceRecorder | null {
    let entry = this.#entries.get(endpoint);
    if (entry === undefined) {
      if (watch === null) return null;
      entry = { recorder: new EvidenceRecorder(endpoint, this.#now, this.#workers), timer: null };
      this.#entries.set(endpoint, entry);
    }
    entry.recorder.route(interval, watch);
    // Not within the switch itself, which is waited for.
    this.#schedule(entry, 0);
    return entry.recorder;
  }

  /** Tells all there is: nothing will be admitted any more. */
  end(): void {
    for (const entry of this.#entries.values()) {
      if (entry.timer !== null) clearTimeout(entry.timer);
      this.#post(entry.recorder.flush(true));
    }
  }

  #schedule(entry: Entry, inMs: number | null): void {
    if (entry.timer !== null) clearTimeout(entry.timer);
    entry.timer = inMs === null ? null : setTimeout(() => this.#flush(entry), inMs).unref();
  }

  #flush(entry: Entry): void {
    this.#post(entry.recorder.flush());
    const { nextFlushMs } = entry.recorder;
    this.#schedule(entry, nextFlushMs === null ? null : nextFlushMs + BEHIND_MS);
  }
}
