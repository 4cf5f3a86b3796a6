import { z } from "zod";

import { DTYPES, elementCount, type Tensor } from "../../core/tensor/index.ts";
import type { Signature, TensorSpec } from "../../core/version/index.ts";
import { arrayText, isJsonObject } from "../protocol/index.ts";
import { accepted, dataOf, flat, invalid, parseText, readJson } from "./wire-json.ts";

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
  let text = '{"inputs":[';
  for (const [at, input] of inputs.entries()) {
    const { name, shape, dtype, data } = input;
    if (at > 0) text += ",";
    text += `{"name":${JSON.stringify(name)},"shape":[${shape.join(",")}],"datatype":"${dtype}","data":${arrayText(input, 0, data.length)}}`;
  }
  return `${text}]}`;
}

type AnswerOutput = z.infer<typeof answerSchema>["outputs"][number];

const DATATYPES: ReadonlySet<unknown> = new Set(DTYPES);

function isShape(value: unknown): value is number[] {
  if (!Array.isArray(value)) return false;
  for (const length of value) if (!Number.isSafeInteger(length) || length < 0) return false;
  return true;
}

/** What `answerSchema` accepts of an output, looked at without it: it looks at every element too. */
function isOutput(value: unknown): value is AnswerOutput {
  return (
    isJsonObject(value) &&
    typeof value["name"] === "string" &&
    DATATYPES.has(value["datatype"]) &&
    isShape(value["shape"]) &&
    Array.isArray(value["data"])
  );
}

function outputsOf(answer: unknown): readonly AnswerOutput[] {
  const outputs = isJsonObject(answer) ? answer["outputs"] : null;
  if (Array.isArray(outputs) && outputs.every(isOutput)) return outputs;
  return accepted("answer", answerSchema, answer).outputs;
}

/** The outputs of an inference answer. @throws `runtime.failed` when it is not the protocol's. */
export function readAnswer(text: string): Tensor[] {
  return outputsOf(parseText("answer", text)).map(({ name, datatype, shape, data }): Tensor => {
    // Flat or nested: the protocol allows both, in row-major order.
    const values = flat(data);
    const count = elementCount(shape);
    if (values.length !== count)
      throw invalid("answer", `output ${name} has ${values.length} elements, not ${count}`);
    return { name, dtype: datatype, shape, data: dataOf(name, datatype, values) };
  });
}
