/** Law 6 taken out: looked at again and again, with a threshold that knows nothing of that. */
import * as original from "../../../../src/core/analysis/engine.ts";

// What the sabotage does not replace.
export * from "../../../../src/core/analysis/engine.ts";

const ENOUGH = 10;

export const observe: typeof original.observe = (before, interval) => {
  const after = original.observe(before, interval);
  const { candidate, stable } = interval;
  const isEnough = Math.min(candidate.requests, stable.requests) >= ENOUGH;
  const isWorse = candidate.errors * stable.requests > stable.errors * candidate.requests;
  if (after.latched !== null || !isEnough || !isWorse) return after;
  const why = "errorRate: more errors than stable just now";
  return { ...after, latched: { why, blamed: ["errorRate"], intervals: after.intervals } };
};
