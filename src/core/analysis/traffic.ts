import * as z from "zod";

import type { AnalysisPolicy } from "../policy/index.ts";
import { addLatencies, armCountsSchema, type Interval } from "./interval.ts";
import { addJudged, gatewayRate, NOTHING } from "./judged.ts";
import { dispersionOf } from "./process.ts";

/** What stable did alone, shortly before: what a rollout is planned and simulated by. */
export const trafficSchema = z.object({
  /** Requests that ended, and how many of them the version failed. */
  requests: z.number().int().positive(),
  errors: z.number().int().nonnegative(),
  /** From the first observed interval to the end of the last, ms. */
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

/** The traffic of a revision at rest, from the intervals it was observed in; null of no requests. */
export function trafficOf(
  intervals: readonly Interval[],
  dispersion: AnalysisPolicy["dispersion"],
): Traffic | null {
  let judged = NOTHING;
  let latency: Traffic["latency"] = {};
  let from = Infinity;
  let to = -Infinity;
  for (const interval of intervals) {
    judged = addJudged(judged, gatewayRate("errors", interval.stable));
    latency = addLatencies(latency, interval.stable.latency);
    from = Math.min(from, interval.from);
    to = Math.max(to, interval.to);
  }
  const { requests, bad: errors } = judged;
  if (requests === 0 || to <= from) return null;
  return {
    requests,
    errors,
    observedMs: to - from,
    requestsPerSecond: (1_000 * requests) / (to - from),
    errorRate: errors / requests,
    dispersion: dispersionOf(
      dispersion,
      intervals.map(({ stable }) => gatewayRate("errors", stable)),
    ),
    latency,
  };
}
