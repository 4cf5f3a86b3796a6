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
import type { Frame } from "../../link/peer/index.ts";
import {
  decodeTensors,
  encodeTensors,
  frameTensorSchema,
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

/** Body of a `run`. */
export const runSchema = z.object({ inputs: z.array(frameTensorSchema) });

/** Body of a `run`'s answer. Maps travel as the tensor of their values, with their keys. */
const ranSchema = z.object({
  outputs: z.array(
    frameTensorSchema.extend({ keys: z.array(z.union([z.string(), z.number()])).optional() }),
  ),
  modelMs: z.number().nonnegative(),
});

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

/** The answer to a `run`. */
export function encodeRan(ran: Ran): { readonly body: unknown; readonly payload: Uint8Array[] } {
  const { tensors, payload } = encodeTensors(ran.outputs.map(asTensor));
  const outputs = tensors.map((entry, index) => {
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

/** What a `run` gave, from its answer. @throws `link.invalid` when it is not understood. */
export function decodeRan(frame: Frame): Ran {
  const { outputs, modelMs } = ranSchema.parse(frame.body);
  const tensors = decodeTensors(outputs, frame.payload);
  return {
    modelMs,
    outputs: tensors.map((tensor, index) => {
      const keys = outputs[index]?.keys;
      return keys === undefined ? tensor : asMaps(tensor, keys);
    }),
  };
}

/** The body and payload of a `run`. */
export function encodeRun(inputs: readonly TensorParts[]): {
  readonly body: unknown;
  readonly payload: Uint8Array[];
} {
  const { tensors, payload } = encodeTensors(inputs);
  return { body: { inputs: tensors }, payload };
}
