import * as z from "zod";

import { endpointNameSchema } from "../version/index.ts";
import { actor, reason } from "./field-schema.ts";

/** A policy as a file says it; which keys there are, GET /schemas/lastgood.json tells. */
export const policyFile = z
  .record(z.string(), z.unknown())
  .describe("What lastgood.yaml says, as JSON; its JSON Schema: GET /schemas/lastgood.json");

/** Puts a policy in force at an endpoint, which is made where there is none yet. */
export const applyPolicyBodySchema = z.object({
  policy: policyFile,
  dryRun: z.boolean().default(false),
  reason: reason.default(null),
  actor,
});

/** What applying a policy did, or would do. */
export const appliedPolicySchema = z.object({
  endpoint: endpointNameSchema,
  /** True when there was no such endpoint. */
  created: z.boolean(),
  /** False when this policy was in force already. */
  changed: z.boolean(),
  /** Each key that differs, as it is written in the file; null where it is not there. */
  changes: z.array(
    z.object({ key: z.string(), before: z.string().nullable(), after: z.string().nullable() }),
  ),
  /** Every key written out. */
  policy: policyFile,
  dryRun: z.boolean(),
  notes: z.array(z.string()),
});

/** The policy in force at an endpoint. */
export const policyViewSchema = z.object({
  endpoint: endpointNameSchema,
  /** True when none was applied. */
  isDefault: z.boolean(),
  policy: policyFile,
});
