import * as z from "zod";

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
import { actor, reason, reference, revisionNumber, labels, at } from "./field-schema.ts";

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
export const managedServerSchema = startedProcessSchema.extend({
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

/** Longest file that a server takes where its configuration says nothing, bytes. */
export const DEFAULT_MAX_FILE_BYTES = 64 * 2 ** 30;
/** Schema of what a server takes as a file. */
export const blobLimitSchema = z.object({ maxFileBytes: z.number().int().positive() });

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
  /** The model takes arrays, also where a table is sent. */
  arrays: z.boolean().default(false),
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
