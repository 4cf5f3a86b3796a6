import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";

import { LastgoodError } from "../../core/errors/index.ts";
import type { MapSequence, OutputValue, Tensor } from "../../core/tensor/index.ts";
import type { OutputSpec, Signature, TensorSpec } from "../../core/version/index.ts";
import { dtypeOf, fromEngine, type Engine } from "./engine.ts";
import { prepareModel, type PreparedModel, type ZipMap } from "./onnx-graph.ts";

/** A loaded ONNX model. */
export interface OnnxSession {
  readonly signature: Signature;
  /**
   * Runs the model once; blocks the thread meanwhile.
   * @throws `runtime.failed` with the engine's own message.
   */
  run(inputs: readonly Tensor[]): Promise<readonly OutputValue[]>;
  release(): Promise<void>;
}

function tensorSpec(what: string, metadata: InferenceSession.ValueMetadata): TensorSpec {
  const dtype = metadata.isTensor ? dtypeOf(metadata.type) : null;
  if (!metadata.isTensor || dtype === null)
    throw new LastgoodError(
      "artifact.invalid",
      `${what} ${metadata.name} is ${metadata.isTensor ? `a tensor of ${metadata.type}` : "no tensor"}, which is not supported`,
      { hint: "tensors of all common types and ZipMap outputs are: export the model without it" },
    );
  return {
    name: metadata.name,
    kind: "tensor",
    dtype,
    shape: metadata.shape.map((axis) => (typeof axis === "number" ? axis : -1)),
  };
}

function outputSpec(name: string, model: PreparedModel, session: InferenceSession): OutputSpec {
  const zipMap = model.zipMaps.find((each) => each.output === name);
  if (zipMap !== undefined)
    return { name, kind: "maps", keyDtype: zipMap.keyDtype, valueDtype: "FP32" };
  const metadata = session.outputMetadata.find((each) => each.name === name);
  if (metadata === undefined)
    throw new LastgoodError("artifact.invalid", `the engine does not know output ${name}`);
  return tensorSpec("output", metadata);
}

function toMaps({ output, keys }: ZipMap, tensor: OrtTensor): MapSequence {
  const values = tensor.data as Float32Array;
  const rows = tensor.dims.length < 2 ? 1 : (tensor.dims[0] ?? 0);
  if (values.length !== rows * keys.length)
    throw new LastgoodError(
      "runtime.failed",
      `output ${output} has shape [${tensor.dims.join(", ")}] for ${keys.length} classes`,
    );
  return { name: output, kind: "maps", keys, values, rows };
}

async function createSession(engine: Engine, bytes: Uint8Array): Promise<InferenceSession> {
  try {
    return await engine.createSession(bytes);
  } catch (cause) {
    throw new LastgoodError(
      "artifact.invalid",
      `${engine.stamp.name} ${engine.stamp.version} cannot load the model: ${LastgoodError.from(cause).message}`,
      { cause, hint: "check it with onnx.checker.check_model, or export it for an older opset" },
    );
  }
}

/**
 * Loads an ONNX model from its bytes.
 * @throws `artifact.invalid` for what is no whole ONNX model, or holds what is not supported.
 */
export async function openSession(engine: Engine, bytes: Uint8Array): Promise<OnnxSession> {
  const model = prepareModel(bytes);
  const session = await createSession(engine, model.bytes);
  const signature: Signature = {
    inputs: session.inputMetadata.map((metadata) => tensorSpec("input", metadata)),
    outputs: model.outputs.map((name) => outputSpec(name, model, session)),
  };
  const zipMaps = new Map(model.zipMaps.map((zipMap) => [zipMap.output, zipMap]));

  async function run(inputs: readonly Tensor[]): Promise<readonly OutputValue[]> {
    let results: InferenceSession.OnnxValueMapType;
    try {
      const feeds = Object.fromEntries(inputs.map((input) => [input.name, engine.toEngine(input)]));
      results = await session.run(feeds);
    } catch (cause) {
      throw new LastgoodError("runtime.failed", LastgoodError.from(cause).message, { cause });
    }
    return model.outputs.map((name) => {
      const zipMap = zipMaps.get(name);
      const value = results[zipMap?.tensor ?? name];
      if (value === undefined)
        throw new LastgoodError("runtime.failed", `the model gave no output ${name}`);
      return zipMap === undefined ? fromEngine(name, value) : toMaps(zipMap, value);
    });
  }

  return { signature, run, release: () => session.release() };
}
