import * as z from "zod";

import { wireSampleSchema, wireTensorSchema } from "../../core/tensor/index.ts";
import {
  artefactFileSchema,
  batchingSchema,
  digestSchema,
  endpointNameSchema,
  engineStampSchema,
  runtimeSpecSchema,
  signatureSchema,
  startedProcessSchema,
} from "../../core/version/index.ts";
import { countSchema, evidenceSchema } from "../count/index.ts";
import { overrideSchema } from "../override/index.ts";
import { routeOrderSchema, routeSchema } from "../route/index.ts";

/** All times named `…At` in acknowledgements are CLOCK_MONOTONIC, ms with fractions. */
const monotonic = z.number();

/** What a managed server takes and is made of, as its shim measured it. */
const processFactsSchema = startedProcessSchema.extend({
  /** Of the server and everything it started, bytes; null where the system does not say. */
  memoryBytes: z.number().nullable(),
});

/** What a managed server takes and is made of. */
export type ProcessFacts = z.infer<typeof processFactsSchema>;

/** State of one revision in a gateway. */
const revisionStateSchema = z.object({
  endpoint: endpointNameSchema,
  revision: z.number().int().positive(),
  digest: digestSchema,
  state: z.enum(["loading", "ready", "failed", "gone"]),
  /** What was checked while loading and since: `digest verified, 3 samples agree`. */
  proof: z.string(),
  /** ms since 1970 of the last time all of it agreed; null where it never did. */
  provenAt: z.number().nullable(),
  /** Golden samples that are replayed on it: what it is proven by beside its bytes. */
  samples: z.number().int().nonnegative().default(0),
  /** Why it failed, or null. */
  why: z.string().nullable(),
  /** Code of the error it failed with, or null: `preflight.rejected` is a sample that disagrees. */
  code: z.string().nullable(),
  engine: engineStampSchema.nullable(),
  pid: z.number().int().nullable(),
  /** Whether it may be given copies of what another revision answered; not known before it is loaded. */
  takesCopies: z.boolean().optional(),
  /** Of a managed server, while it is there. */
  process: processFactsSchema.optional(),
});

/** State of one revision in a gateway. */
export type RevisionState = z.infer<typeof revisionStateSchema>;

/** Gateway to control, at each connection: what it is and what it serves now. */
export const gatewayStatusSchema = z.object({
  gateway: z.string(),
  incarnation: z.string(),
  workers: z.number().int().positive(),
  serveAddress: z.string(),
  /** Where gRPC is spoken; null: nowhere. */
  grpcAddress: z.string().nullable().default(null),
  routes: z.array(routeSchema),
  overrides: z.array(overrideSchema),
  revisions: z.array(revisionStateSchema),
});

/** Gateway to control, at each connection. */
export type GatewayStatus = z.infer<typeof gatewayStatusSchema>;

/** Answer to `route.publish`: every worker has swapped. */
export const routeAcknowledgedSchema = z.object({
  order: routeOrderSchema,
  /** False when it was not newer than what the gateway serves, or an override stands above it. */
  taken: z.boolean(),
  why: z.string().nullable(),
  workers: z.array(
    z.object({
      worker: z.number().int(),
      swappedAt: monotonic,
      /** Last admission to a revision that left the split; null when there was none. */
      lastOldAdmittedAt: monotonic.nullable(),
      oldInFlight: z.number().int(),
    }),
  ),
  durable: z.boolean(),
});

/** Answer to `route.publish`. */
export type RouteAcknowledged = z.infer<typeof routeAcknowledgedSchema>;

/** Answer to `route.drained`: nothing is in flight on what left the split, or time ran out. */
export const routeDrainedSchema = z.object({
  drained: z.boolean(),
  inFlight: z.number().int(),
  lastOldResponseAt: monotonic.nullable(),
  /** Dropped connections and 5xx of the gateway's own making since `since`. */
  failedRequests: z.number().int(),
});

/** Answer to `route.drained`. */
export type RouteDrained = z.infer<typeof routeDrainedSchema>;

/** Answer to `endpoint.probe`: one probe through the public port per protocol in use. */
export const probedSchema = z.object({
  ok: z.boolean(),
  probes: z.array(
    z.object({
      protocol: z.string(),
      ok: z.boolean(),
      status: z.number().int().nullable(),
      answeredBy: z.number().int().nullable(),
      ms: z.number(),
      why: z.string().nullable(),
    }),
  ),
});

/** Answer to `endpoint.probe`. */
export type Probed = z.infer<typeof probedSchema>;

/** Answer to `version.inspect`: what a version is, found out by loading and running it. */
export const inspectedSchema = z.object({
  signature: signatureSchema,
  golden: z.array(wireSampleSchema),
  /** Inputs that threw and so became no sample, with why. */
  dropped: z.array(z.string()),
  batching: batchingSchema,
  engine: engineStampSchema,
  /** What a person should know of how it runs: an environment that is not managed. */
  notes: z.array(z.string()).optional(),
  /** How its managed server started. */
  process: startedProcessSchema.optional(),
});

/** Answer to `version.inspect`. */
export type Inspected = z.infer<typeof inspectedSchema>;

/** A rollback through the gateway alone: the answer it gives. */
export const gatewayRolledBackSchema = z.object({
  override: overrideSchema.nullable(),
  endpoint: endpointNameSchema,
  from: z.object({ version: z.string(), revision: z.number().int(), digest: digestSchema }),
  to: z.object({ version: z.string(), revision: z.number().int(), digest: digestSchema }),
  why: z.string(),
  passedOver: z.array(z.object({ version: z.string(), why: z.string() })),
  already: z.boolean(),
});

/** A rollback through the gateway alone: the answer it gives. */
export type GatewayRolledBack = z.infer<typeof gatewayRolledBackSchema>;

/** Bodies of the requests the control plane (or, for rollback and status, the CLI) sends a gateway. */
export const GATEWAY_REQUESTS = {
  "route.publish": z.object({ route: routeSchema }),
  "route.drained": z.object({
    endpoint: endpointNameSchema,
    order: routeOrderSchema,
    since: monotonic,
    timeoutMs: z.number().positive(),
  }),
  "endpoint.probe": z.object({
    endpoint: endpointNameSchema,
    revision: z.number().int().positive(),
    /** Asks the revision itself, whatever the split sends callers to; else it has to be what they get. */
    apart: z.boolean().default(false),
  }),
  "version.inspect": z.object({
    digest: digestSchema,
    runtime: runtimeSpecSchema,
    files: z.array(artefactFileSchema),
    /** A signature that was given beside the files; checked against the model's own. */
    signature: signatureSchema.nullable(),
    /** From the input example; empty: samples are generated from the signature. */
    examples: z.array(z.array(wireTensorSchema)),
    /** Nothing but the signature is wanted: a server is asked no generated sample. */
    describeOnly: z.boolean().optional(),
  }),
  "gateway.rollback": z.object({
    /** Null: the only endpoint. */
    endpoint: z.string().nullable(),
    /** A version's name or sequence number; null: the first target that is loaded and proven. */
    version: z.string().nullable(),
    ifCurrent: z.string().nullable(),
    actor: z.string(),
    reason: z.string().nullable(),
    keepStatus: z.boolean(),
    again: z.boolean(),
    dryRun: z.boolean(),
    /** The `Idempotency-Key` it came under: what was done under it, by either plane, is not done again. */
    key: z.string().optional(),
  }),
  "gateway.status": z.object({}),
  "gateway.drain": z.object({ timeoutMs: z.number().positive() }),
} as const;

/** Bodies of what a gateway sends the control plane on its own. */
export const CONTROL_REQUESTS = {
  "gateway.connected": gatewayStatusSchema,
  "revision.state": revisionStateSchema,
  "override.made": overrideSchema,
  counts: z.object({ counts: z.array(countSchema) }),
  /** Answered once all of it is stored; until then it is sent again. */
  evidence: z.object({ evidence: z.array(evidenceSchema).max(1_000) }),
} as const;
