import type { Clock } from "../../core/time/index.ts";

// hrtime is CLOCK_MONOTONIC, the same for every process of a machine; performance.now() is not.
const originMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** The machine's own clocks. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => originMs + performance.now(),
};
