import * as z from "zod";

import { assessmentSchema, outlookSchema } from "../analysis/index.ts";
import { ENVIRONMENTS, REVISION_STATUSES, STRATEGIES, TRIGGERS } from "../endpoint/index.ts";
import { wireSampleSchema } from "../tensor/index.ts";
import {
  artefactFileSchema,
  batchingSchema,
  digestSchema,
  endpointNameSchema,
  engineStampSchema,
  modelNameSchema,
  referenceSetSchema,
  runtimeSpecSchema,
  signatureSchema,
  startedProcessSchema,
  versionNameSchema,
} from "../version/index.ts";

const actor = z.string().min(1).max(200);
const reason = z.string().max(2_000).nullable();
const reference = z.string().min(1).max(300);
const endpointChoice = z.string().min(1).max(128).nullable();
const revisionNumber = z.number().int().positive();
const labels = z.record(z.string().min(1).max(250), z.string().max(5_000));
const passedOver = z.array(z.object({ version: z.string(), why: z.string() }));
const at = z.number().describe("ms since 1970-01-01 UTC");

/** A version's row in a list. */
export const versionSummarySchema = z.object({
  model: modelNameSchema,
  name: versionNameSchema.nullable(),
  sequence: z.number().int().positive(),
  digest: digestSchema,
  status: z.enum(["pending", "stable", "failed", "archived"]),
  statusReason: z.string().nullable(),
  statusAt: at,
  aliases: z.array(z.string()),
  tags: labels,
  metrics: z.record(z.string(), z.number()),
  registeredAt: at,
  registeredBy: z.string(),
});

/** A managed server that runs. */
const managedServerSchema = startedProcessSchema.extend({
  pid: z.number().int().nullable(),
  /** Of the server and all it started, bytes; null where the system does not say. */
  memoryBytes: z.number().nullable(),
});

/** Everything about a version. */
export const versionViewSchema = versionSummarySchema.extend({
  runtime: runtimeSpecSchema,
  files: z.array(artefactFileSchema),
  signature: signatureSchema,
  batching: batchingSchema,
  engine: engineStampSchema,
  params: labels,
  lineage: labels,
  inputExample: z.unknown(),
  reference: referenceSetSchema.nullable(),
  golden: z.array(wireSampleSchema),
  servedBy: z.array(z.object({ endpoint: endpointNameSchema, revision: revisionNumber })),
  /** Of its managed server, when it was registered. */
  process: startedProcessSchema.optional(),
  /** Its managed servers that run now. */
  servers: z.array(
    managedServerSchema.extend({ endpoint: endpointNameSchema, revision: revisionNumber }),
  ),
});

/** A registered model's row in a list. */
export const modelSummarySchema = z.object({
  name: modelNameSchema,
  versions: z.number().int(),
  newest: z.string().nullable(),
});

/** Answer to an upload of bytes. */
export const blobSchema = z.object({ digest: digestSchema, size: z.number().int().nonnegative() });

/** Rows of inputs that were uploaded before, as they are expected to look like. */
export const referenceFileSchema = z.object({
  digest: digestSchema,
  format: z.enum(["csv", "json"]),
});
const stepFile = artefactFileSchema.shape.path.nullable().default(null);

/** Which of the files is which step of an ONNX version; null: there is none, or (the model) it is found by its name. */
const stepsSchema = z.object({ preprocess: stepFile, model: stepFile, postprocess: stepFile });

/** Registers a version of files uploaded before. */
export const registerBodySchema = z.object({
  name: versionNameSchema.nullable().default(null),
  files: z
    .array(z.object({ path: artefactFileSchema.shape.path, digest: digestSchema }))
    .max(1_000)
    .default([]),
  runtime: z.enum(["onnx", "remote", "process"]).default("onnx"),
  /** Name under `remotes:` in the server's own configuration. */
  remote: z.string().nullable().default(null),
  /** Name of a launcher: built in, or under `launchers:` in the server's own configuration. */
  launcher: z.string().nullable().default(null),
  steps: stepsSchema.default({ preprocess: null, model: null, postprocess: null }),
  signature: signatureSchema.nullable().default(null),
  /** What the columns of the model's only input are called, in their order. */
  columns: z.array(z.string().max(1_000)).max(100_000).nullable().default(null),
  inputExample: z.unknown().default(null),
  reference: referenceFileSchema.nullable().default(null),
  metrics: z.record(z.string().min(1).max(250), z.number()).default({}),
  params: labels.default({}),
  tags: labels.default({}),
  lineage: labels.default({}),
  actor,
});

/** Answer to a registration; `created` is false when these bytes had this name already. */
export const registeredSchema = z.object({
  created: z.boolean(),
  version: versionViewSchema,
  notes: z.array(z.string()),
});

/** Sets and removes tags. */
export const tagBodySchema = z.object({
  set: labels.default({}),
  unset: z.array(z.string()).default([]),
  actor,
});

/** Points an alias at a version. */
export const aliasBodySchema = z.object({ version: reference, actor });

/** A person's verdict on a version. */
export const markBodySchema = z.object({
  status: z.enum(["stable", "failed", "pending"]),
  reason,
  actor,
});

/** What a mark did, beside changing the status. */
export const markedSchema = z.object({
  version: versionSummarySchema,
  /** In words, one per endpoint it touched. */
  consequences: z.array(z.string()),
});

/** Archives a version. */
export const archiveBodySchema = z.object({ reason, actor, dryRun: z.boolean().default(false) });

/** One compared field of two versions. */
export const diffRowSchema = z.object({
  section: z.enum([
    "version",
    "metrics",
    "params",
    "tags",
    "lineage",
    "signature",
    "files",
    "samples",
  ]),
  field: z.string(),
  left: z.unknown(),
  right: z.unknown(),
  equal: z.boolean(),
  /** Right minus left for numbers. */
  change: z.number().nullable(),
});

/** Two versions side by side. */
export const diffSchema = z.object({
  model: modelNameSchema,
  left: z.string(),
  right: z.string(),
  rows: z.array(diffRowSchema),
});

/** A version at an endpoint, as answers name it. */
export const servedSchema = z.object({
  version: z.string(),
  revision: revisionNumber.nullable(),
  digest: digestSchema,
});

/** A policy as a file says it; which keys there are, GET /schemas/lastgood.json tells. */
const policyFile = z
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
  paused: z.object({ by: z.string(), why: z.string().nullable(), until: at.nullable() }).nullable(),
  bakeMs: z.number(),
  bakeEndsAt: at.nullable(),
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

const pin = z.object({ by: z.string(), why: z.string(), until: at }).nullable();

/** Whether an endpoint goes back by itself. */
const automatic = z.object({
  on: z.boolean(),
  /** Why it does not, or null. */
  why: z.string().nullable(),
});

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

/** One finding of doctor. */
export const doctorCheckSchema = z.object({
  check: z.string(),
  ok: z.boolean(),
  level: z.enum(["ok", "note", "warning", "error"]),
  message: z.string(),
  hint: z.string().nullable(),
});

/** What doctor found. */
export const doctorSchema = z.object({ ok: z.boolean(), checks: z.array(doctorCheckSchema) });

/** Removes what no version within reach of a rollback needs. */
export const collectBodySchema = z.object({ dryRun: z.boolean(), actor });

const collectedItemSchema = z.object({
  kind: z.literal("environment"),
  name: z.string(),
  bytes: z.number(),
  /** Registered versions that were seen to use it. */
  versions: z.array(z.string()),
  why: z.string(),
});

/** What was removed, or would be. */
export const collectedSchema = z.object({
  dryRun: z.boolean(),
  removed: z.array(collectedItemSchema),
  kept: z.array(collectedItemSchema),
  /** Of all that was removed. */
  bytes: z.number(),
});

const truth = z.union([z.string().max(1_000), z.number(), z.boolean()]);

/** What a caller knows of one prediction: whether it was right, what was true, or how good it was. */
export const feedbackItemSchema = z
  .strictObject({
    /** The `x-lastgood-request-id` of the answer. */
    requestId: z.string().min(1).max(300),
    correct: z.boolean().optional(),
    /** What was true: a class or a number, for a request of several rows a list of them. */
    label: z.union([truth, z.array(truth).min(1).max(1_000)]).optional(),
    /** In [0, 1], the higher the better. */
    score: z.number().min(0).max(1).optional(),
  })
  .refine(
    ({ correct, label, score }) =>
      [correct, label, score].filter((each) => each !== undefined).length === 1,
    "needs exactly one of correct, label and score",
  );

/** What became of feedback; the four numbers add up to what was sent. */
export const feedbackTakenSchema = z.object({
  /** Stored; it counts once a rollout that compares the revision is under watch. */
  accepted: z.number().int(),
  /** Ignored: the request's feedback was counted before. */
  duplicates: z.number().int(),
  /** Ignored: the prediction is older than feedback is kept. */
  late: z.number().int(),
  /** Refused: no request that is compared has this id. */
  refused: z.number().int(),
  /** The first 100 of those that were refused. */
  unknown: z.array(z.object({ requestId: z.string(), why: z.string() })),
});
