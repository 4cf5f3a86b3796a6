import type { ArmCounts as Judged } from "../evidence/index.ts";
import { addArms, NOTHING, rateOf, type JudgedArms } from "./judged.ts";

/** What of the past counts after one more interval: half of it is gone after seven. */
const KEPT = 0.9;

/** Fewer recent requests of an arm say nothing of it. */
const LEAST_RECENT = 5;

/** An error rate that no service has on a good day. */
export const LEAST_OUTAGE_RATE = 0.1;

/** How much higher than before the rollout, at least. */
const TIMES_BASE = 5;

/** Nothing recent. */
export const NO_RECENT: JudgedArms = { candidate: NOTHING, stable: NOTHING };

const faded = ({ requests, bad }: Judged): Judged => ({
  requests: requests * KEPT,
  bad: bad * KEPT,
});

/** Errors of late, older ones with less weight. */
export function addRecent(before: JudgedArms, now: JudgedArms): JudgedArms {
  if (now.candidate.requests + now.stable.requests === 0) return before;
  return addArms({ candidate: faded(before.candidate), stable: faded(before.stable) }, now);
}

/**
 * Whether both arms fail, more than five times as often as stable did before and at least one request
 * in ten. Whether they fail alike is for the comparison to say.
 */
export function bothFail({ candidate, stable }: JudgedArms, base: Judged): boolean {
  const least = Math.max(TIMES_BASE * (rateOf(base) ?? 0), LEAST_OUTAGE_RATE);
  return [candidate, stable].every(
    (arm) => arm.requests >= LEAST_RECENT && arm.bad > least * arm.requests,
  );
}
