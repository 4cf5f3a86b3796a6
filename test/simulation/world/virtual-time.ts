import type { Clock, Timers } from "../../../src/core/time/index.ts";

interface Planned {
  readonly at: number;
  readonly number: number;
  readonly work: () => void;
}

/** Where the simulated wall clock begins, ms since 1970. */
const ORIGIN_MS = 1_800_000_000_000;

function isBefore(one: Planned, other: Planned): boolean {
  return one.at < other.at || (one.at === other.at && one.number < other.number);
}

/**
 * Turns that are asked of the event loop at once. Between two turns of one lot every promise that can go
 * on goes on, as between two lots; what a lot saves is the event loop's own work.
 */
const LOT = 64;

/**
 * Time that passes only when everything that can happen now has happened: events in the order of
 * their times, each with all that follows from it before the next.
 */
export class VirtualTime {
  #heap: Planned[] = [];
  #count = 0;
  #now = 0;
  /** How far the wall clock was set wrong, ms. */
  wrongBy = 0;

  /** ms since the beginning. */
  get now(): number {
    return this.#now;
  }

  readonly clock: Clock = {
    now: () => ORIGIN_MS + this.wrongBy + this.#now,
    monotonic: () => this.#now,
  };

  /** Runs the work once, after so many ms. */
  after(ms: number, work: () => void): void {
    this.#count += 1;
    this.#push({ at: this.#now + Math.max(0, ms), number: this.#count, work });
  }

  /** Lets so much time pass. @throws what an event throws. */
  pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let turns: NodeJS.Immediate[] = [];
    const ends = (): void => {
      for (const left of turns) clearImmediate(left);
    };
    const turn = (): void => {
      turns.shift();
      try {
        if (this.#next(until)) {
          if (turns.length === 0) turns = lot();
          return;
        }
        this.#now = until;
        resolve();
      } catch (error) {
        reject(error);
      }
      ends();
    };
    const lot = (): NodeJS.Immediate[] => Array.from({ length: LOT }, () => setImmediate(turn));
    turns = lot();
    return promise;
  }

  /** The next event happens, if it is not later than that. */
  #next(until: number): boolean {
    const first = this.#heap[0];
    if (first === undefined || first.at > until) return false;
    this.#pop();
    this.#now = first.at;
    first.work();
    return true;
  }

  #push(planned: Planned): void {
    const heap = this.#heap;
    let at = heap.push(planned) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || isBefore(parent, planned)) break;
      heap[at] = parent;
      heap[above] = planned;
      at = above;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      const isRight = left !== undefined && right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (child === undefined || isBefore(last, child)) break;
      heap[at] = child;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = last;
  }
}

/** What a process that died reaches no more. */
export class Died extends Error {
  constructor() {
    super("the process is dead");
  }
}

/** Nothing of a dead process goes on. */
function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}

/**
 * A process of the simulation. Once it is dead nothing of it happens any more: its timers do not
 * fire, what it waits for never comes. It dies at a step of its own when it is told to.
 */
export class Life {
  readonly #time: VirtualTime;
  readonly #ends = new Set<() => void>();
  #alive = true;
  #stepsLeft: number | null = null;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  get isAlive(): boolean {
    return this.#alive;
  }

  readonly timers: Timers = {
    pause: (ms) =>
      new Promise((resolve) => {
        this.timers.after(ms, resolve);
      }),
    soon: (work) => {
      this.timers.after(0, work);
    },
    after: (ms, work) => {
      let wanted = true;
      this.#time.after(ms, () => {
        if (wanted && this.#alive) work();
      });
      return () => {
        wanted = false;
      };
    },
    every: (ms, work) => {
      let wanted = true;
      const turn = (): void => {
        if (!wanted || !this.#alive) return;
        work();
        this.#time.after(ms, turn);
      };
      this.#time.after(ms, turn);
      return () => {
        wanted = false;
      };
    },
  };

  /** Calls back at the death, which may have been. */
  onEnd(work: () => void): void {
    if (this.#alive) this.#ends.add(work);
    else work();
  }

  /** Dies now. */
  end(): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const work of this.#ends) work();
  }

  /** Is to die after so many more steps; null: not any more. */
  endIn(steps: number | null): void {
    this.#stepsLeft = steps;
  }

  /** A step between two effects. @throws Died when it is the last. */
  readonly step = (): void => {
    if (this.#stepsLeft !== null) {
      if (this.#stepsLeft <= 0) this.end();
      this.#stepsLeft -= 1;
    }
    if (!this.#alive) throw new Died();
  };

  /** What the process is given; nothing, once it is dead. */
  async given<T>(value: Promise<T>): Promise<T> {
    try {
      const result = await value;
      return this.#alive ? result : await never<T>();
    } catch (error) {
      if (this.#alive && !(error instanceof Died)) throw error;
      return never<T>();
    }
  }
}
