/** Where time comes from; a simulated one stands in for it in tests. */
export interface Clock {
  /** Wall clock, ms since 1970-01-01 UTC. */
  now(): number;
  /** Monotonic clock, ms with fractions; on one machine the same for every process. */
  monotonic(): number;
}
