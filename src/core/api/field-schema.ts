import * as z from "zod";

import { digestSchema } from "../version/index.ts";

/** Who does it. */
export const actor = z.string().min(1).max(200);

/** Why, for the history. */
export const reason = z.string().max(2_000).nullable();

/** Names a version. */
export const reference = z.string().min(1).max(300);

/** Null: the only one that fits. */
export const endpointChoice = z.string().min(1).max(128).nullable();

/** A revision's number. */
export const revisionNumber = z.number().int().positive();

/** Tags, params and the like. */
export const labels = z.record(z.string().min(1).max(250), z.string().max(5_000));

/** Versions that a rollback would not take. */
export const passedOver = z.array(z.object({ version: z.string(), why: z.string() }));

/** A moment. */
export const at = z.number().describe("ms since 1970-01-01 UTC");

/** A version at an endpoint, as answers name it. */
export const servedSchema = z.object({
  version: z.string(),
  revision: revisionNumber.nullable(),
  digest: digestSchema,
});

/** Who keeps an endpoint from going back by itself; null: nobody. */
export const pin = z.object({ by: z.string(), why: z.string(), until: at }).nullable();

/** Whether an endpoint goes back by itself. */
export const automatic = z.object({
  on: z.boolean(),
  /** Why it does not, or null. */
  why: z.string().nullable(),
});
