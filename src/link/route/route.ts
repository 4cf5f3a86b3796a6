import * as z from "zod";

import { wireSampleSchema } from "../../core/tensor/index.ts";
import {
  artefactFileSchema,
  batchingSchema,
  digestSchema,
  endpointNameSchema,
  featureBinsSchema,
  MOST_FEATURES,
  modelNameSchema,
  runtimeSpecSchema,
  signatureSchema,
  versionNameSchema,
} from "../../core/version/index.ts";

/**
 * When a route was decided. Generation rises when the store is rebuilt or restored, epoch at each
 * start of a control plane, sequence with each route of the endpoint.
 */
export const routeOrderSchema = z.object({
  generation: z.number().int().nonnegative(),
  epoch: z.number().int().nonnegative(),
  sequence: z.number().int().nonnegative(),
});

/** When a route was decided. */
export type RouteOrder = z.infer<typeof routeOrderSchema>;

/** Bounds on what one revision takes at a time. */
const limitsSchema = z.object({
  /** Longest request body, bytes. */
  bodyBytes: z.number().int().positive(),
  /** Requests waiting or running per worker before more are shed. */
  queue: z.number().int().positive(),
  /** Longest a request may take, ms. */
  timeoutMs: z.number().positive(),
});

/** Bounds on what one revision takes at a time. */
export type Limits = z.infer<typeof limitsSchema>;

/** The limits of a revision that names none. */
export const DEFAULT_LIMITS: Limits = {
  bodyBytes: 16 * 1024 * 1024,
  queue: 1024,
  timeoutMs: 30_000,
};

/** Everything a gateway needs to load and serve one revision. */
const routeRevisionSchema = z.object({
  revision: z.number().int().positive(),
  version: z.object({
    model: modelNameSchema,
    name: versionNameSchema.nullable(),
    sequence: z.number().int().positive(),
  }),
  digest: digestSchema,
  runtime: runtimeSpecSchema,
  files: z.array(artefactFileSchema),
  signature: signatureSchema,
  /** What requests of this revision's arm are judged against. */
  contract: signatureSchema,
  batching: batchingSchema,
  golden: z.array(wireSampleSchema),
  limits: limitsSchema,
});

/** Everything a gateway needs to load and serve one revision. */
export type RouteRevision = z.infer<typeof routeRevisionSchema>;

/** What a switch was measured to have done; times are ms after the command was read. */
export const measuredSchema = z.object({
  switchMs: z.number(),
  lastOldAdmittedMs: z.number().nullable(),
  lastOldResponseMs: z.number().nullable(),
  failedRequests: z.number().int(),
  verified: z.boolean(),
  durable: z.boolean(),
});

/** What a rollback would take, in order. */
const routeTargetSchema = z.object({
  revision: z.number().int().positive().nullable(),
  version: z.string(),
  digest: digestSchema,
  /** ms since 1970; null when it is cold and would be proven in the path. */
  provenAt: z.number().nullable(),
  why: z.string(),
});

/** What a rollback would take. */
export type RouteTarget = z.infer<typeof routeTargetSchema>;

/** A rollout whose arms are compared. */
const watchSchema = z.object({
  rollout: z.string(),
  candidate: z.number().int().positive(),
  /** Null where nothing served before. */
  stable: z.number().int().positive().nullable(),
  /** What chance gives the candidate of the traffic, a fraction; null where it is not the arms' to say. */
  candidateShare: z.number().min(0).max(1).nullable().default(null),
  /** Length of an interval, ms. */
  flushMs: z.number().positive(),
  /** A request that has not ended this long after its admission is an error, ms. */
  deadlineMs: z.number().positive(),
  /** This share of what `of` answers is also sent to `to`; whoever called sees `of`'s answer. */
  mirror: z
    .object({
      of: z.number().int().positive(),
      to: z.number().int().positive(),
      percent: z.number().positive().max(100),
    })
    .nullable(),
  /** When two answers to a mirrored request are different ones; left out: another class, or 5 % off. */
  disagreement: z
    .object({
      by: z.enum(["class", "value"]),
      /** Of numbers: what is tolerated, of the larger one and in all. */
      relative: z.number().nonnegative(),
      absolute: z.number().nonnegative(),
    })
    .optional(),
  /** Features whose inputs are counted, as the reference set cuts them; null: none. */
  inputs: z.array(featureBinsSchema).max(MOST_FEATURES).nullable().default(null),
  /** What is kept of the inputs that the candidate failed; absent: nothing. */
  errorInputs: z.literal("redacted").optional(),
});

/** A rollout whose arms are compared. */
export type Watch = z.infer<typeof watchSchema>;

const safeguardsSchema = z.object({
  /** Stable answers eligible requests that the candidate failed. */
  fallback: z.boolean(),
  /** Hard limits act at once, on what the split assigns most traffic to or the candidate. */
  breaker: z.boolean(),
});

/** A self-contained, immutable description of what an endpoint serves. */
export const routeSchema = z.object({
  endpoint: endpointNameSchema,
  model: modelNameSchema,
  environment: z.string(),
  order: routeOrderSchema,
  /** Shares of the traffic in percent, summing to 100; empty while the endpoint serves nothing. */
  split: z.object({
    salt: z.string(),
    arms: z.array(
      z.object({ revision: z.number().int().positive(), weight: z.number().min(0).max(100) }),
    ),
  }),
  /** Every revision to keep loaded: the arms, a candidate being prepared, warm targets. */
  revisions: z.array(routeRevisionSchema),
  /**
   * `recreate`: free the others before the arms are loaded; requests wait meanwhile, this long at
   * the most (ms).
   */
  hold: z.object({ maxMs: z.number().positive() }).nullable(),
  /** What is counted and mirrored for a rollout under watch; null while nothing is watched. */
  watch: watchSchema.nullable().default(null),
  /** What the gateway may do on its own when a revision fails. */
  safeguards: safeguardsSchema.default({ fallback: false, breaker: false }),
  /** What is predicted is logged, for labels that come later. */
  predictions: z.boolean().default(false),
  historyHead: z.string().nullable(),
  /** Overrides this route has taken in. */
  acknowledges: z.array(z.string()),
  /**
   * The rollback that put the endpoint where it is, or is doing so: typed twice is once, whichever
   * plane is asked. Its measurements are null while it is under way.
   */
  rolledBack: z
    .object({
      id: z.string(),
      /** ms since 1970. */
      at: z.number(),
      from: z.number().int().positive(),
      to: z.number().int().positive(),
      actor: z.string(),
      reason: z.string().nullable(),
      measured: measuredSchema.nullable(),
      /** Commands that asked for it; each begins with the `Idempotency-Key` it came under. */
      operations: z.array(z.string()).default([]),
    })
    .nullable(),
  targets: z.array(routeTargetSchema),
  passedOver: z.array(z.object({ version: z.string(), why: z.string() })),
});

/** A self-contained, immutable description of what an endpoint serves. */
export type Route = z.infer<typeof routeSchema>;

/** Negative when `a` was decided before `b`, 0 when they are one. */
export function compareOrder(a: RouteOrder, b: RouteOrder): number {
  return a.generation - b.generation || a.epoch - b.epoch || a.sequence - b.sequence;
}

/**
 * The least generation, not below ours, in which whatever we send is newer than these orders. Orders of our
 * own epoch and generation are ours. A store that was restored may have begun fewer epochs than are known.
 */
export function generationOver(
  ours: Pick<RouteOrder, "generation" | "epoch">,
  known: readonly RouteOrder[],
): number {
  const needed = known.map(({ generation, epoch }) => {
    if (generation < ours.generation) return ours.generation;
    const isLater = epoch > ours.epoch || (epoch === ours.epoch && generation > ours.generation);
    return isLater ? generation + 1 : generation;
  });
  return Math.max(ours.generation, ...needed);
}

/** The one revision that carries the most traffic, or null where nothing is served. */
export function mainArm(route: Route): number | null {
  const arms = route.split.arms.toSorted((a, b) => b.weight - a.weight);
  return arms[0]?.revision ?? null;
}
