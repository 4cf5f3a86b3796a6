import * as z from "zod";

import { TRIGGERS } from "../../core/endpoint/index.ts";
import { endpointNameSchema } from "../../core/version/index.ts";
import { measuredSchema, routeOrderSchema } from "../route/index.ts";

/**
 * What a gateway did on its own. It wins over any route that does not acknowledge its id, is kept on
 * disk, and becomes history when the control plane is back.
 */
export const overrideSchema = z.object({
  id: z.string().min(1),
  endpoint: endpointNameSchema,
  kind: z.literal("rollback"),
  /** The route it was laid over. */
  over: routeOrderSchema,
  from: z.number().int().positive(),
  to: z.number().int().positive(),
  /** ms since 1970. */
  at: z.number(),
  actor: z.string(),
  reason: z.string().nullable(),
  keepStatus: z.boolean(),
  trigger: z.enum(TRIGGERS).default("manual"),
  /** The `Idempotency-Key` of the command. */
  key: z.string().optional(),
  /** The command named the version: no other target is taken instead. */
  isNamed: z.literal(true).optional(),
  measured: measuredSchema,
});

/** What a gateway did on its own. */
export type Override = z.infer<typeof overrideSchema>;
