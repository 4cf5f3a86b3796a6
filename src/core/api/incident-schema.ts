import * as z from "zod";

import {
  assessmentSchema,
  intervalSchema,
  labelsSchema,
  trafficSchema,
} from "../analysis/index.ts";
import { STRATEGIES, TRIGGERS } from "../endpoint/index.ts";
import { redactedInputsSchema } from "../redaction/index.ts";
import { endpointNameSchema } from "../version/index.ts";
import { at, servedSchema } from "./field-schema.ts";

/** A rollback as lists of incidents show it. */
export const incidentSummarySchema = z.object({
  /** The rollback's. */
  id: z.string(),
  /** The rollout that it ended; null where none was under way. */
  rollout: z.string().nullable(),
  endpoint: endpointNameSchema,
  /** `reinstated`: a person took it back. */
  state: z.enum(["underWay", "done", "failed", "reinstated"]),
  trigger: z.enum(TRIGGERS),
  from: servedSchema,
  /** Where it went; null where nothing held. */
  to: servedSchema.nullable(),
  actor: z.string(),
  reason: z.string().nullable(),
  at,
});

/** Incidents, the newest first. */
export const incidentsSchema = z.object({ incidents: z.array(incidentSummarySchema) });

/** Everything that is known of a rollback: computed from the history and the stored evidence. */
export const incidentSchema = incidentSummarySchema.extend({
  strategy: z.enum(STRATEGIES).nullable(),
  /** Metrics that made the decision. */
  blamed: z.array(z.string()),
  /** What the evidence said when it was decided; null where it was not decided by evidence. */
  assessment: assessmentSchema.nullable(),
  /** Distinct errors of what was left, the most frequent first, with one request id each. */
  errors: z
    .array(
      z.object({
        message: z.string(),
        count: z.number().int(),
        requestId: z.string().nullable(),
        /** What is left of that request's inputs; null: not kept. */
        inputs: redactedInputsSchema.nullable().default(null),
      }),
    )
    .max(20),
  /** What its log said last, where a source reads it. */
  logLines: z.array(z.string()),
  /** What became of the requests it was given; null where nothing was watched. */
  requests: z
    .object({
      assigned: z.number().int(),
      /** Failed by it. */
      errors: z.number().int(),
      /** Of these: answered by stable instead, and failed by stable as well. */
      answeredByStable: z.number().int(),
      failedByBoth: z.number().int(),
      /** What callers saw: failed, and not answered by stable. */
      seenByCallers: z.number().int(),
    })
    .nullable(),
  timeline: z.array(z.object({ at, what: z.string() })),
  /** From the first failed request to the decision, and from there to the verified return, ms. */
  detectionMs: z.number().nullable(),
  returnMs: z.number().nullable(),
  via: z.enum(["api", "gateway"]),
  switchMs: z.number().nullable(),
  verified: z.boolean().nullable(),
  /** Failed by the switch itself. */
  failedRequests: z.number().int().nullable(),
  /** The stored evidence it was made of, or null. */
  evidence: z
    .object({ id: z.string(), records: z.number().int(), gaps: z.number().int() })
    .nullable(),
  /** Commands to type next. */
  next: z.array(z.string()),
});

/** What was known when the evidence was looked at, beside it. */
export const assessmentContextSchema = z.object({
  now: z.number(),
  lastEvidenceAt: z.number().nullable(),
  listeningSince: z.number().optional(),
  phase: z.enum(["canary", "bake"]),
  plannedRequestsLeft: z.number().nullable(),
  candidateShare: z.number(),
});

/** What was decided about a rollout by its evidence, as the history has it. */
const recordedSchema = z.object({
  /** Of the history entry. */
  sequence: z.number().int(),
  at,
  /** That it led to; null: it ended the bake, and the candidate became stable. */
  rollback: z.string().nullable(),
  /** As it was stored. */
  assessment: z.unknown(),
  /** What it was asked, and the last record it knew; null in entries of older versions. */
  context: assessmentContextSchema.nullable(),
  position: z.number().int().nullable(),
});

/** A page of the stored evidence of a rollout: all it takes to compute its verdicts again. */
export const evidencePageSchema = z.object({
  /** Of the watch: the rollout's, with the number of its restarts. */
  id: z.string(),
  rollout: z.string(),
  endpoint: endpointNameSchema,
  candidate: servedSchema,
  stable: servedSchema.nullable(),
  /** Everything that the watch decided by, frozen when it began. */
  plan: z.record(z.string(), z.unknown()),
  recorded: recordedSchema.nullable(),
  /** Looks that held the rollout, let it go or took it on: up to which record, and what else was known. */
  looks: z
    .array(z.object({ position: z.number().int(), context: assessmentContextSchema }))
    .default([]),
  /** When its bake began; null: it did not, ms since 1970. */
  bakingSince: z.number().nullable().default(null),
  intervals: z.array(z.object({ position: z.number().int(), interval: intervalSchema })),
  /** Cursor of the next page; null: this is the last. */
  next: z.string().nullable(),
});

/** What an endpoint's stable revision did at rest. */
export const endpointTrafficSchema = z.object({
  endpoint: endpointNameSchema,
  revision: servedSchema.nullable(),
  /** Null: no traffic was seen. */
  traffic: trafficSchema.nullable(),
  /** How feedback came in the same time; null: none did. */
  labels: labelsSchema.nullable(),
});
