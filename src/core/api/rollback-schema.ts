import * as z from "zod";

import { TRIGGERS } from "../endpoint/index.ts";
import { endpointNameSchema } from "../version/index.ts";
import {
  actor,
  reason,
  reference,
  endpointChoice,
  revisionNumber,
  passedOver,
  at,
  servedSchema,
} from "./field-schema.ts";

/** Rolls an endpoint back. */
export const rollbackBodySchema = z.object({
  endpoint: endpointChoice.default(null),
  /** A name, sequence number, alias or full reference; null: the target. */
  version: reference.nullable().default(null),
  toRevision: revisionNumber.nullable().default(null),
  dryRun: z.boolean().default(false),
  force: z.boolean().default(false),
  again: z.boolean().default(false),
  keepStatus: z.boolean().default(false),
  ifCurrent: reference.nullable().default(null),
  trigger: z.enum(TRIGGERS).default("manual"),
  reason: reason.default(null),
  actor,
});

/** Answer to rollback (DESIGN.md section 10); measured fields are null in a dry run. */
export const rolledBackSchema = z.object({
  endpoint: endpointNameSchema,
  from: servedSchema,
  to: servedSchema,
  why: z.string(),
  passedOver,
  warm: z.boolean(),
  verified: z.boolean().nullable(),
  durable: z.boolean().nullable(),
  via: z.enum(["api", "gateway"]),
  switchMs: z.number().nullable(),
  lastOldAdmittedMs: z.number().nullable(),
  lastOldResponseMs: z.number().nullable(),
  failedRequests: z.number().int().nullable(),
  trigger: z.enum(TRIGGERS),
  actor: z.string(),
  reason: z.string().nullable(),
  at: at.nullable(),
  historyHead: z.string().nullable(),
  dryRun: z.boolean(),
  /** True when an earlier rollback had done it; the measurements are that one's. */
  already: z.boolean(),
  notes: z.array(z.string()),
});

/** Takes back the endpoint's last rollback. */
export const reinstateBodySchema = z.object({
  endpoint: endpointChoice.default(null),
  rollback: z.string().nullable().default(null),
  dryRun: z.boolean().default(false),
  reason: z.string().min(1).max(2_000),
  actor,
});

/** What a rollback would do now. */
export const targetViewSchema = z.object({
  target: servedSchema.nullable(),
  why: z.string(),
  warm: z.boolean(),
  provenAt: at.nullable(),
  /** Expected seconds until it answers; near 0 when warm. */
  expectedSeconds: z.number(),
  passedOver,
});
