import * as z from "zod";

import type { AnalysisPolicy } from "../policy/index.ts";
import { addLatencies, armCountsSchema, type Interval } from "./interval.ts";
import { addJudged, gatewayRate, NOTHING } from "./judged.ts";
import { dispersionOf } from "./process.ts";

/** How feedback comes: how much of it, how late, and how good stable was by it. */
export const labelsSchema = z.object({
  /** Share of the requests that somebody tells of. */
  share: z.number().min(0).max(1),
  /** From the request to what is told of it, ms. */
  delayMs: z.number().nonnegative(),
  /** Share of stable's answers that are wrong, or what its scores lack to 1; null: nobody knows. */
  wrong: z.number().min(0).max(1).nullable(),
});

/** How feedback comes. */
export type Labels = z.infer<typeof labelsSchema>;

/** What stable did alone, shortly before: what a rollout is planned and simulated by. */
export const trafficSchema = z.object({
  /** Requests that ended, and how many of them the version failed. */
  requests: z.number().int().positive(),
  errors: z.number().int().nonnegative(),
  /** Time that the observed intervals cover, ms: a rollout in between was no rest. */
  observedMs: z.number().positive(),
  requestsPerSecond: z.number().positive(),
  errorRate: z.number().min(0).max(1),
  /** How much errors cluster, at least 1. */
  dispersion: z.number().min(1),
  /** The version's own time, as in `armCountsSchema`. */
  latency: armCountsSchema.shape.latency,
});

/** What stable did alone, shortly before. */
export type Traffic = z.infer<typeof trafficSchema>;

/** Time that is in at least one of the intervals, ms: gateways see the same time. */
function coveredMs(intervals: readonly Interval[]): number {
  let covered = 0;
  let until = -Infinity;
  for (const { from, to } of intervals.toSorted((one, other) => one.from - other.from)) {
    covered += Math.max(0, to - Math.max(from, until));
    until = Math.max(until, to);
  }
  return covered;
}

/** The traffic of a revision at rest, from the intervals it was observed in; null of no requests. */
export function trafficOf(
  intervals: readonly Interval[],
  dispersion: AnalysisPolicy["dispersion"],
): Traffic | null {
  let judged = NOTHING;
  let latency: Traffic["latency"] = {};
  for (const interval of intervals) {
    judged = addJudged(judged, gatewayRate("errors", interval.stable));
    latency = addLatencies(latency, interval.stable.latency);
  }
  const { requests, bad: errors } = judged;
  const observedMs = coveredMs(intervals);
  if (requests === 0 || observedMs === 0) return null;
  return {
    requests,
    errors,
    observedMs,
    requestsPerSecond: (1_000 * requests) / observedMs,
    errorRate: errors / requests,
    dispersion: dispersionOf(
      dispersion,
      intervals.map(({ stable }) => gatewayRate("errors", stable)),
    ),
    latency,
  };
}
