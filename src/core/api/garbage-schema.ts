import * as z from "zod";

import { actor } from "./field-schema.ts";

/** Removes what no version within reach of a rollback needs. */
export const collectBodySchema = z.object({ dryRun: z.boolean(), actor });

const collectedItemSchema = z.object({
  kind: z.literal("environment"),
  name: z.string(),
  bytes: z.number(),
  /** Registered versions that were seen to use it. */
  versions: z.array(z.string()),
  why: z.string(),
});

/** What was removed, or would be. */
export const collectedSchema = z.object({
  dryRun: z.boolean(),
  removed: z.array(collectedItemSchema),
  kept: z.array(collectedItemSchema),
  /** Of all that was removed. */
  bytes: z.number(),
});
