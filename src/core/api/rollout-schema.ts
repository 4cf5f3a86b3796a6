import * as z from "zod";

import { assessmentSchema, outlookSchema } from "../analysis/index.ts";
import { ENVIRONMENTS, STRATEGIES } from "../endpoint/index.ts";
import { endpointNameSchema } from "../version/index.ts";
import {
  actor,
  reason,
  reference,
  endpointChoice,
  at,
  servedSchema,
  pin,
  automatic,
} from "./field-schema.ts";
import { policyFile } from "./policy-schema.ts";

/** Starts a rollout, and makes the endpoint where there is none yet. */
export const deployBodySchema = z.object({
  reference,
  endpoint: endpointChoice.default(null),
  environment: z.enum(ENVIRONMENTS).nullable().default(null),
  /** Null: the policy's. */
  strategy: z.enum(STRATEGIES).nullable().default(null),
  /** Percent of the traffic in the first canary step. */
  weight: z.number().nullable().default(null),
  bakeMs: z.number().nonnegative().nullable().default(null),
  /** Put in force at the endpoint first. */
  policy: policyFile.nullable().default(null),
  force: z.boolean().default(false),
  replace: z.boolean().default(false),
  dryRun: z.boolean().default(false),
  ifCurrent: reference.nullable().default(null),
  reason: reason.default(null),
  actor,
});

/** State of a rollout. */
export const rolloutViewSchema = z.object({
  id: z.string(),
  endpoint: endpointNameSchema,
  phase: z.enum([
    "Preparing",
    "Progressing",
    "Baking",
    "Succeeded",
    "RollingBack",
    "RolledBack",
    "Aborted",
    "Rejected",
    "NoTarget",
  ]),
  strategy: z.enum(STRATEGIES),
  from: servedSchema.nullable(),
  to: servedSchema,
  /** Percent of the traffic the candidate carries. */
  weight: z.number(),
  /** Below this path of the serving port the candidate alone answers, whatever its weight; null once it is over. */
  preview: z.string().nullable(),
  /** Where a rollout of several steps is; null before and after them. */
  step: z
    .object({
      /** From 1. */
      number: z.number().int(),
      of: z.number().int(),
      kind: z.enum(["weight", "mirror", "pause", "analysis"]),
      /** Percent carried or mirrored. */
      percent: z.number().nullable(),
      /** A person takes the steps. */
      byHand: z.boolean(),
      /** Requests (of mirrored ones, pairs) that have to come; null where none are asked for. */
      requests: z.number().int().nullable(),
      /** Left of the step's time, ms; null where it has none. */
      timeLeftMs: z.number().nullable(),
      /** It goes no further by itself before then, after a rollback by itself (`cooldown`); else null. */
      coolingUntil: at.nullable(),
    })
    .nullable(),
  /** What the evidence keeps it from, or null. */
  held: z.object({ why: z.string(), since: at }).nullable(),
  /** Its evidence came to nothing by the deadline: a person has to decide. */
  undecided: z.boolean(),
  /** What only a person can give it, and the commands that do, the likeliest first; null: it goes on by itself. */
  waitsFor: z.object({ why: z.string(), next: z.array(z.string()) }).nullable(),
  paused: z.object({ by: z.string(), why: z.string().nullable(), until: at.nullable() }).nullable(),
  bakeMs: z.number(),
  bakeEndsAt: at.nullable(),
  /** Left of its steps and bake by their clocks, ms; what a person or requests end counts for nothing. */
  plannedLeftMs: z.number(),
  startedAt: at,
  endedAt: at.nullable(),
  reason: z.string().nullable(),
});

/** Answer to deploy. */
export const deployedSchema = z.object({
  endpoint: endpointNameSchema,
  /** False when this content was there or on its way already. */
  started: z.boolean(),
  rollout: rolloutViewSchema.nullable(),
  current: servedSchema.nullable(),
  verified: z.boolean(),
  switchMs: z.number().nullable(),
  failedRequests: z.number().int().nullable(),
  /** What comes next and what it can see; null where nothing is compared (an endpoint's first revision). */
  outlook: outlookSchema.nullable(),
  dryRun: z.boolean(),
  notes: z.array(z.string()),
});

/** Steers a rollout by hand. */
export const rolloutCommandSchema = z.discriminatedUnion("command", [
  z.object({
    command: z.literal("set-weight"),
    endpoint: endpointChoice,
    weight: z.number(),
    actor,
    reason,
  }),
  z.object({
    command: z.literal("pause"),
    endpoint: endpointChoice,
    forMs: z.number().positive().nullable(),
    actor,
    reason,
  }),
  z.object({ command: z.literal("resume"), endpoint: endpointChoice, actor, reason }),
  z.object({
    command: z.literal("promote"),
    endpoint: endpointChoice,
    full: z.boolean(),
    actor,
    reason,
  }),
  z.object({ command: z.literal("abort"), endpoint: endpointChoice, actor, reason }),
  z.object({
    command: z.literal("pin"),
    endpoint: endpointChoice,
    forMs: z
      .number()
      .positive()
      .max(30 * 86_400_000)
      .nullable(),
    actor,
    reason: z.string().min(1).max(2_000),
  }),
  z.object({ command: z.literal("unpin"), endpoint: endpointChoice, actor, reason }),
]);

/** Answer to a rollout command. */
export const rolloutAnswerSchema = z.object({
  endpoint: endpointNameSchema,
  rollout: rolloutViewSchema.nullable(),
  current: servedSchema.nullable(),
  /** In words: what was done, or why nothing had to be. */
  done: z.string(),
  /** What the evidence says; null before there is any, and of a rollout that nothing is compared in. */
  assessment: assessmentSchema.nullable(),
  /** What has come so far; null where nothing is watched. */
  seen: z
    .object({
      /** Requests that the candidate was assigned, and pairs of mirrored ones. */
      candidate: z.number().int(),
      pairs: z.number().int(),
      /** Of either, what the step under way asks for, since it began; null outside of steps. */
      inStep: z.number().int().nullable(),
      /** Failed by the candidate: answered by stable, and failed by it too. */
      fallback: z.number().int(),
      fallbackFailed: z.number().int(),
    })
    .nullable(),
  pin,
  automatic,
});
