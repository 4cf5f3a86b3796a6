import * as z from "zod";

import { ENVIRONMENTS, REVISION_STATUSES } from "../endpoint/index.ts";
import { digestSchema, endpointNameSchema, modelNameSchema } from "../version/index.ts";
import { revisionNumber, at, servedSchema, pin, automatic } from "./field-schema.ts";
import { targetViewSchema } from "./rollback-schema.ts";
import { rolloutViewSchema } from "./rollout-schema.ts";
import { managedServerSchema } from "./version-schema.ts";

/** An endpoint at a glance. */
export const endpointViewSchema = z.object({
  name: endpointNameSchema,
  model: modelNameSchema,
  environment: z.enum(ENVIRONMENTS),
  current: servedSchema.nullable(),
  split: z.array(z.object({ version: z.string(), revision: revisionNumber, weight: z.number() })),
  rollout: rolloutViewSchema.nullable(),
  lastRollout: rolloutViewSchema.nullable(),
  rollback: targetViewSchema,
  revisions: z.array(
    z.object({
      revision: revisionNumber,
      version: z.string(),
      digest: digestSchema,
      status: z.enum(REVISION_STATUSES),
      reason: z.string().nullable(),
      createdAt: at,
      /** Loaded and proven in a gateway now. */
      warm: z.boolean(),
      proof: z.string().nullable(),
      /** What a managed server takes and is made of, while it is there. */
      process: managedServerSchema.extend({ launcher: z.string() }).optional(),
      requests: z.number().int(),
      errors: z.number().int(),
    }),
  ),
  /** Set while a person keeps it from going back by itself. */
  pin,
  automatic,
  alarms: z.array(z.string()),
  historyHead: z.string().nullable(),
});

/** All endpoints. */
export const statusSchema = z.object({
  endpoints: z.array(endpointViewSchema),
  gateways: z.array(
    z.object({
      gateway: z.string(),
      pid: z.number().int(),
      workers: z.number().int(),
      serveAddress: z.string(),
    }),
  ),
  alarms: z.array(z.string()),
});
