import * as z from "zod";

import { DTYPES, wireSampleSchema } from "../tensor/index.ts";
import { outputFromWire, outputToWire, tensorFromWire, tensorToWire } from "../tensor/index.ts";
import type { WireSample } from "../tensor/index.ts";
import type { GoldenSample } from "./golden.ts";
import { digestSchema, modelNameSchema, versionNameSchema } from "./name-schema.ts";
import { referenceSetSchema } from "./reference-set.ts";

/** Schema of a tensor's name, element type and shape. */
export const tensorSpecSchema = z.object({
  name: z.string(),
  kind: z.literal("tensor"),
  dtype: z.enum(DTYPES),
  shape: z.array(z.number().int().min(-1)),
  columns: z.array(z.string()).optional(),
  array: z.boolean().optional(),
  nameless: z.boolean().optional(),
});

/** Schema of a signature. */
export const signatureSchema = z.object({
  inputs: z.array(tensorSpecSchema),
  outputs: z.array(
    z.discriminatedUnion("kind", [
      tensorSpecSchema,
      z.object({
        name: z.string(),
        kind: z.literal("maps"),
        keyDtype: z.enum(["INT64", "BYTES"]),
        valueDtype: z.enum(["FP32", "FP64"]),
      }),
    ]),
  ),
});

/** Schema of one stored file of a version; its path stays inside the version. */
export const artefactFileSchema = z.object({
  path: z
    .string()
    .min(1)
    .max(512)
    .refine(
      (path) =>
        !path.includes("\0") &&
        !path.includes("\\") &&
        path.split("/").every((part) => part !== "" && part !== "." && part !== ".."),
      "is not a relative path inside the version",
    ),
  digest: digestSchema,
  size: z.number().int().nonnegative(),
});

/** Schema of the runtime that serves a version. */
export const runtimeSpecSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("onnx"),
    file: z.string(),
    preprocess: z.string().optional(),
    postprocess: z.string().optional(),
  }),
  z.object({ kind: z.literal("remote"), remote: z.string() }),
  z.object({ kind: z.literal("process"), launcher: z.string() }),
]);

/** Schema of whether requests may share a frame. */
export const batchingSchema = z.discriminatedUnion("on", [
  z.object({ on: z.literal(true) }),
  z.object({ on: z.literal(false), why: z.string() }),
]);

/** Schema of the engine that recorded golden outputs. */
export const engineStampSchema = z.object({
  name: z.string(),
  version: z.string(),
  threads: z.number().int(),
});

/** Schema of how a managed server was seen to start. */
export const startedProcessSchema = z.object({
  /** From its start until it was ready, ms. */
  startedInMs: z.number(),
  /** `sha256:… (locked)`, or `unmanaged` with why. */
  environment: z.string(),
});

/** Schema of what never changes about a version, as stored: golden samples in their JSON form. */
export const manifestSchema = z.object({
  model: modelNameSchema,
  name: versionNameSchema.nullable(),
  sequence: z.number().int().positive(),
  runtime: runtimeSpecSchema,
  files: z.array(artefactFileSchema),
  signature: signatureSchema,
  batching: batchingSchema,
  engine: engineStampSchema,
  golden: z.array(wireSampleSchema),
  inputExample: z.unknown(),
  reference: referenceSetSchema.nullable().default(null),
  metrics: z.record(z.string(), z.number()),
  params: z.record(z.string(), z.string()),
  lineage: z.record(z.string(), z.string()),
  registeredAt: z.number(),
  registeredBy: z.string(),
  /** Of its managed server, when it was registered. */
  process: startedProcessSchema.optional(),
});

/** The JSON form of a golden sample. */
export function sampleToWire(sample: GoldenSample): WireSample {
  return { inputs: sample.inputs.map(tensorToWire), outputs: sample.outputs.map(outputToWire) };
}

/** The golden sample of a JSON form that its schema accepted. */
export function sampleFromWire(wire: WireSample): GoldenSample {
  return { inputs: wire.inputs.map(tensorFromWire), outputs: wire.outputs.map(outputFromWire) };
}
