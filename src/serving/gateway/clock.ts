import type { Clock } from "../../core/time/index.ts";

// performance.now() begins anew in every thread; both clocks are CLOCK_MONOTONIC.
const originMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** CLOCK_MONOTONIC, ms with fractions: comparable across threads and processes of one machine. */
export function monotonic(): number {
  return originMs + performance.now();
}

/** Both clocks of the machine. */
export const systemClock: Clock = { now: () => Date.now(), monotonic };
