import * as z from "zod";

import { endpointNameSchema } from "../version/index.ts";
import { at } from "./field-schema.ts";

/** One entry of an endpoint's history. */
export const historyEntrySchema = z.object({
  endpoint: z.string(),
  sequence: z.number().int().positive(),
  at,
  kind: z.string(),
  actor: z.string(),
  reason: z.string().nullable(),
  data: z.record(z.string(), z.unknown()),
  previous: z.string().nullable(),
  hash: z.string(),
});

/** A page of history, oldest first. */
export const historySchema = z.object({
  endpoint: endpointNameSchema,
  head: z.string().nullable(),
  entries: z.array(historyEntrySchema),
});

/** What recomputing a hash chain found. */
export const historyVerifiedSchema = z.object({
  endpoint: endpointNameSchema,
  ok: z.boolean(),
  entries: z.number().int(),
  head: z.string().nullable(),
  /** Sequence of the first entry that was altered, or null. */
  firstAltered: z.number().int().nullable(),
  problem: z.string().nullable(),
});
