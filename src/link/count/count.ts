import * as z from "zod";

/**
 * Cumulative totals of one key since the gateway's incarnation began: sending twice changes nothing,
 * a missed flush is made up by the next.
 */
export const countSchema = z.object({
  gateway: z.string(),
  incarnation: z.string(),
  worker: z.number().int(),
  endpoint: z.string(),
  revision: z.number().int(),
  /**
   * `assigned` is what the split gave; the others are compared by no test. `fallback`: what this
   * revision answered in place of a candidate that had failed it. `ineligible`: what this candidate
   * failed and no other revision was asked.
   */
  arm: z.enum([
    "assigned",
    "targeted",
    "probe",
    "replay",
    "mirror",
    "shed",
    "fallback",
    "ineligible",
  ]),
  /** Rises at each change of the split; both arms begin anew. */
  interval: z.number().int(),
  requests: z.number().int().nonnegative(),
  errors: z.number().int().nonnegative(),
  /** Caller's mistakes: judged by the contract, counted against nobody. */
  rejected: z.number().int().nonnegative(),
});

/** Cumulative totals of one key. */
export type Count = z.infer<typeof countSchema>;

/** The key two counts are compared by. */
export function countKey(count: Count): string {
  return `${count.gateway} ${count.incarnation} ${count.worker} ${count.endpoint} ${count.revision} ${count.arm} ${count.interval}`;
}
