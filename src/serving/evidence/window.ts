import { newWindow, type WindowTally } from "./tally.ts";

/** Something that a window waits for. */
export interface Pending {
  /** Where it lies in its window; below 0 once it has ended. */
  place: number;
  /** CLOCK_MONOTONIC, ms. */
  readonly deadlineAt: number;
  /** It has not ended by its deadline, and counts as that from now on. */
  expire(now: number): void;
}

/** The requests admitted within one interval, and what became of them. */
export class EvidenceWindow {
  readonly tally: WindowTally;
  /** Sticky keys that were compared already: one unit is one pair. */
  readonly pairedKeys = new Set<string>();
  /** Sticky keys whose inputs were looked at already. */
  readonly sampledKeys = new Set<string>();
  /** The share of pairs whose answers are looked at: fixed before any of them is known. */
  readonly pairShare: number;
  /** Requests of it that were sent on to the other revision. */
  pairsSent = 0;
  readonly #open: Pending[] = [];

  constructor(
    interval: number,
    tick: number,
    { revisions, pairShare }: { readonly revisions: readonly number[]; readonly pairShare: number },
  ) {
    this.tally = newWindow(interval, tick, revisions);
    this.pairShare = pairShare;
  }

  /** True while something that was admitted has neither ended nor passed its deadline. */
  get isOpen(): boolean {
    return this.#open.length > 0;
  }

  add(pending: Pending): void {
    pending.place = this.#open.length;
    this.#open.push(pending);
  }

  /** False where it had ended before: it counts once. */
  end(pending: Pending): boolean {
    if (pending.place < 0) return false;
    const last = this.#open.pop();
    if (last !== undefined && last !== pending) {
      this.#open[pending.place] = last;
      last.place = pending.place;
    }
    pending.place = -1;
    return true;
  }

  /** Ends what has passed its deadline. */
  expire(now: number): void {
    for (const pending of this.#open.filter((each) => each.deadlineAt < now)) pending.expire(now);
  }

  /** Ends everything without counting it. */
  abandon(): void {
    for (const pending of this.#open.splice(0)) pending.place = -1;
  }
}
