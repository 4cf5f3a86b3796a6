import { z } from "zod";

import { LastgoodError } from "../../core/errors/index.ts";
import {
  isMapSequence,
  type MapSequence,
  type OutputValue,
  type Tensor,
} from "../../core/tensor/index.ts";
import {
  engineStampSchema,
  signatureSchema,
  type EngineStamp,
  type Signature,
} from "../../core/version/index.ts";
import type { Frame, Reply } from "../../link/peer/index.ts";
import {
  decodeTensors,
  encodeTensors,
  readFrameTensors,
  type ReadTensor,
  type TensorParts,
} from "./tensor-frame.ts";

/*
 * The requests a model process answers: `describe`, `run` and `exit`. A `run` carries one run's
 * inputs, whoever and however many they come from; splitting is the caller's business.
 */

/** Answer to `describe`, once the model is loaded. */
export const describedSchema = z.object({ signature: signatureSchema, engine: engineStampSchema });

/** Answer to `describe`. */
export interface Described {
  readonly signature: Signature;
  readonly engine: EngineStamp;
}

/** A run's outputs and the version's own time for it, ms. */
export interface Ran {
  readonly outputs: readonly OutputValue[];
  readonly modelMs: number;
}

function asTensor(output: OutputValue): TensorParts {
  if (!isMapSequence(output)) return { ...output, parts: [output.data] };
  return {
    name: output.name,
    dtype: output.values instanceof Float64Array ? "FP64" : "FP32",
    shape: [output.rows, output.keys.length],
    parts: [output.values],
  };
}

/** The answer to a `run`. Maps travel as the tensor of their values, with their keys. */
export function encodeRan(ran: Ran): Required<Reply> {
  const { tensors, payload } = encodeTensors(ran.outputs.map(asTensor));
  const outputs = tensors.map((entry, index): ReadTensor => {
    const output = ran.outputs[index];
    return output !== undefined && isMapSequence(output) ? { ...entry, keys: output.keys } : entry;
  });
  return { body: { outputs, modelMs: ran.modelMs }, payload };
}

function asMaps(tensor: Tensor, keys: MapSequence["keys"]): MapSequence {
  const { name, data, shape } = tensor;
  if (!(data instanceof Float32Array || data instanceof Float64Array) || shape[1] !== keys.length)
    throw new LastgoodError("link.invalid", `the maps of output ${name} do not fit their keys`);
  return { name, kind: "maps", keys, values: data, rows: shape[0] ?? 0 };
}

function readKeys(name: string, keys: unknown): MapSequence["keys"] {
  const areKeys =
    Array.isArray(keys) && keys.every((key) => typeof key === "string" || typeof key === "number");
  if (areKeys) return keys;
  throw new LastgoodError("link.invalid", `the keys of output ${name} were not understood`);
}

/** What a `run` gave, from its answer. @throws `link.invalid` when it is not understood. */
export function decodeRan({ body, payload }: Frame): Ran {
  const { outputs, modelMs } = (body ?? {}) as Partial<Record<string, unknown>>;
  if (typeof modelMs !== "number" || !(modelMs >= 0))
    throw new LastgoodError("link.invalid", "the answer to a run does not say how long it took");
  const entries = readFrameTensors(outputs);
  const tensors = decodeTensors(entries, payload);
  return {
    modelMs,
    outputs: tensors.map((tensor, index) => {
      const keys = entries[index]?.keys;
      return keys === undefined ? tensor : asMaps(tensor, readKeys(tensor.name, keys));
    }),
  };
}

/** The inputs of a `run`. @throws `link.invalid` when they are not understood. */
export function decodeRun({ body, payload }: Frame): readonly Tensor[] {
  const { inputs } = (body ?? {}) as Partial<Record<string, unknown>>;
  return decodeTensors(readFrameTensors(inputs), payload);
}

/** The body and payload of a `run`. */
export function encodeRun(inputs: readonly TensorParts[]): Required<Reply> {
  const { tensors, payload } = encodeTensors(inputs);
  return { body: { inputs: tensors }, payload };
}
