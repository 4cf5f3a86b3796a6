/** Where time comes from; a simulated one stands in for it in tests. */
export interface Clock {
  /** Wall clock, ms since 1970-01-01 UTC. */
  now(): number;
  /** Monotonic clock, ms with fractions; on one machine the same for every process. */
  monotonic(): number;
}

/** Waiting; in a simulation no time passes by it. None of them keeps a process alive. */
export interface Timers {
  /** Resolves after so many ms. */
  pause(ms: number): Promise<void>;
  /** Runs the work on the next turn of the event loop. */
  soon(work: () => void): void;
  /** Runs the work once, after so many ms, unless what it gives is called before. */
  after(ms: number, work: () => void): () => void;
  /** Runs the work every so many ms, until what it gives is called. */
  every(ms: number, work: () => void): () => void;
}
