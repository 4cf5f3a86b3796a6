import { z } from "zod";

import { LastgoodError } from "../../core/errors/index.ts";
import {
  allocate,
  DTYPES,
  elementCount,
  type DType,
  type Tensor,
  type TensorData,
} from "../../core/tensor/index.ts";
import type { Signature, TensorSpec } from "../../core/version/index.ts";
import { arrayText, parseJson } from "../protocol/index.ts";

/*
 * The Open Inference Protocol v2 as a client speaks it
 * (https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md).
 */

const specSchema = z.object({
  name: z.string(),
  datatype: z.enum(DTYPES),
  shape: z.array(z.coerce.number().int().min(-1)),
});

const metadataSchema = z.object({
  name: z.string(),
  versions: z.array(z.coerce.string()).optional(),
  platform: z.string().optional(),
  inputs: z.array(specSchema).default([]),
  outputs: z.array(specSchema).default([]),
});

const answerSchema = z.object({
  outputs: z.array(
    z.object({
      name: z.string(),
      datatype: z.enum(DTYPES),
      shape: z.array(z.number().int().nonnegative()),
      data: z.array(z.unknown()),
    }),
  ),
});

/** What a remote says of its model. */
export interface RemoteMetadata {
  /** `onnxruntime_onnx`, or `remote` where it does not say. */
  readonly platform: string;
  /** The versions it reports, comma between them. */
  readonly version: string;
  /** Null where it describes neither inputs nor outputs, as some servers do. */
  readonly signature: Signature | null;
}

function invalid(what: string, why: string): LastgoodError {
  return new LastgoodError(
    "runtime.failed",
    `the remote's ${what} is not as the protocol has it: ${why}`,
  );
}

function readJson<T>(what: string, schema: z.ZodType<T>, text: string): T {
  let value: unknown;
  try {
    value = parseJson(text, { exactIntegers: true, pythonNumbers: true });
  } catch (error) {
    throw invalid(what, LastgoodError.from(error).message);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(what, z.prettifyError(parsed.error));
}

function tensorSpec({ name, datatype, shape }: z.infer<typeof specSchema>): TensorSpec {
  return { name, kind: "tensor", dtype: datatype, shape };
}

/** @throws `runtime.failed` when it is not the protocol's model metadata. */
export function readMetadata(text: string): RemoteMetadata {
  const { versions = [], platform, inputs, outputs } = readJson("metadata", metadataSchema, text);
  const described = inputs.length > 0 && outputs.length > 0;
  return {
    platform: platform === undefined || platform === "" ? "remote" : platform,
    version: versions.length === 0 ? "unknown" : versions.join(", "),
    signature: described
      ? { inputs: inputs.map(tensorSpec), outputs: outputs.map(tensorSpec) }
      : null,
  };
}

/** The JSON of an inference request; 64-bit integers exact. */
export function writeRequest(inputs: readonly Tensor[]): string {
  const entries = inputs.map((input) => {
    const head = JSON.stringify({ name: input.name, shape: input.shape, datatype: input.dtype });
    return `${head.slice(0, -1)},"data":${arrayText(input, 0, input.data.length)}}`;
  });
  return `{"inputs":[${entries.join(",")}]}`;
}

/** One JSON value as an element, or null where the type cannot hold it. */
function elementOf(dtype: DType, value: unknown): number | bigint | null {
  if (dtype === "INT64" || dtype === "UINT64") {
    if (typeof value === "bigint") return value;
    return typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : null;
  }
  if (dtype === "BOOL") return typeof value === "boolean" ? Number(value) : null;
  // Python's NaN was read as null.
  if (value === null) return dtype === "FP32" || dtype === "FP64" ? NaN : null;
  if (typeof value === "bigint") return Number(value);
  return typeof value === "number" && dtype !== "FP16" ? value : null;
}

function dataOf(name: string, dtype: DType, values: readonly unknown[]): TensorData {
  const refuse = (index: number): never => {
    const value = JSON.stringify(values[index], (_key, each: unknown) => String(each));
    throw invalid("answer", `element ${index} of output ${name} is ${value}, not ${dtype}`);
  };
  if (dtype === "BYTES")
    return values.map((value, index) => (typeof value === "string" ? value : refuse(index)));
  const data = allocate(dtype, values.length);
  const floats = data instanceof Float32Array || data instanceof Float64Array;
  values.forEach((value, index) => {
    const element = elementOf(dtype, value);
    if (element === null) return refuse(index);
    data[index] = element;
    // A typed array takes what does not fit, and holds something else then.
    if (!floats && data[index] !== element) refuse(index);
  });
  return data;
}

/** The outputs of an inference answer. @throws `runtime.failed` when it is not the protocol's. */
export function readAnswer(text: string): Tensor[] {
  const { outputs } = readJson("answer", answerSchema, text);
  return outputs.map(({ name, datatype, shape, data }): Tensor => {
    // Flat or nested: the protocol allows both, in row-major order.
    const values: unknown[] = data.flat(Infinity);
    const count = elementCount(shape);
    if (values.length !== count)
      throw invalid("answer", `output ${name} has ${values.length} elements, not ${count}`);
    return { name, dtype: datatype, shape, data: dataOf(name, datatype, values) };
  });
}
