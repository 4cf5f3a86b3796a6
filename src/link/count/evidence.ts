import * as z from "zod";

import { armCountsSchema, pairCountsSchema } from "../../core/analysis/index.ts";
import { redactedInputsSchema } from "../../core/redaction/index.ts";

/**
 * What one gateway saw of a rollout within one interval: complete, all its workers together, sent
 * once every request admitted in it has ended or passed the deadline, and in the order of the
 * intervals. Kept by the gateway until it is acknowledged; the same record twice is one. It covers
 * what was empty before it, and several intervals of one split where the control plane was away; a
 * record of nothing comes every 10 s, so that silence is known to be that.
 */
export const evidenceSchema = z.object({
  gateway: z.string(),
  incarnation: z.string(),
  endpoint: z.string(),
  rollout: z.string(),
  /** Rises by one with each record of this endpoint, gateway and incarnation: a hole is a gap. */
  sequence: z.number().int().nonnegative(),
  /** Rises with each change of the split or the watch in an incarnation; constant within a record. */
  split: z.number().int(),
  /** Share of the traffic that the split gave the candidate by chance; null where keys decided too. */
  candidateShare: z.number().min(0).max(1).nullable().default(null),
  /** ms since 1970. */
  from: z.number(),
  to: z.number(),
  arms: z.array(z.object({ revision: z.number().int().positive(), counts: armCountsSchema })),
  pairs: pairCountsSchema,
  /** Distinct errors of the candidate in the interval, with one example request id each. */
  errors: z
    .array(
      z.object({
        revision: z.number().int().positive(),
        message: z.string().max(500),
        count: z.number().int().positive(),
        requestId: z.string().nullable(),
        /** Of that request; null: not kept, or in a form of a later version. */
        inputs: redactedInputsSchema.nullable().default(null).catch(null),
      }),
    )
    .max(20),
  /** Intervals of a worker that it took with it when it ended. */
  lost: z.number().int().nonnegative(),
  /** The incarnation ends with it, in order: nothing that it saw is missing behind it. Absent: it goes on. */
  ends: z.literal(true).optional(),
});

/** What one gateway saw of a rollout within one interval. */
export type Evidence = z.infer<typeof evidenceSchema>;
