/** A request that was in a process when it died. */
export interface Suspect {
  readonly worker: number;
  readonly suspect: number;
}

/** Suspects of one revision across workers, handed out one at a time. */
export class SuspectQueue {
  #waiting: Suspect[] = [];
  #current: { readonly suspect: Suspect; readonly done: () => void } | null = null;

  get size(): number {
    return this.#waiting.length;
  }

  add(suspect: Suspect): void {
    this.#waiting.push(suspect);
  }

  /** Takes the next one; `done` resolves when its run has ended, or its worker. */
  next(): { readonly suspect: Suspect; readonly done: Promise<void> } | null {
    const suspect = this.#waiting.shift();
    if (suspect === undefined) return null;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#current = { suspect, done: resolve };
    return { suspect, done: promise };
  }

  finish(worker: number, suspect: number): void {
    const current = this.#current;
    if (current?.suspect.worker === worker && current.suspect.suspect === suspect) current.done();
    this.#waiting = this.#waiting.filter(
      (each) => each.worker !== worker || each.suspect !== suspect,
    );
  }

  workerGone(worker: number): void {
    this.#waiting = this.#waiting.filter((each) => each.worker !== worker);
    if (this.#current?.suspect.worker === worker) this.#current.done();
  }
}
