import { fromBinary } from "@bufbuild/protobuf";

import type { Tensor } from "../../core/tensor/index.ts";
import type { Signature, TensorSpec } from "../../core/version/index.ts";
import {
  acceptedCount,
  inputText,
  quoted,
  readBinary,
  requestInvalid,
  type Call,
  type ProtocolRequest,
} from "../protocol/index.ts";
import { notAMessage } from "./address.ts";
import { readTyped } from "./contents.ts";
import { ModelInferRequestSchema, type ModelInferRequest } from "./inference_pb.ts";

type InputTensor = ModelInferRequest["inputs"][number];

/** Parameters that would change the answer and are not served: ignoring them would be a wrong answer. */
const REFUSED_OUTPUT_PARAMETERS = ["classification", "shared_memory_region"];

function message(body: Buffer): ModelInferRequest {
  try {
    return fromBinary(ModelInferRequestSchema, body);
  } catch (error) {
    throw notAMessage(error);
  }
}

function names(specs: readonly { readonly name: string }[]): string {
  return specs.map((each) => each.name).join(", ");
}

function specOf(contract: Signature, name: string, index: number): TensorSpec {
  const spec = contract.inputs.find((input) => input.name === name);
  if (spec !== undefined) return spec;
  throw requestInvalid(`there is no input ${quoted(name)}`, {
    where: `inputs[${index}].name`,
    accepted: names(contract.inputs),
  });
}

function shapeOf(shape: readonly bigint[], where: string): readonly number[] {
  const lengths = shape.map(Number);
  if (lengths.every((length) => Number.isSafeInteger(length) && length >= 0)) return lengths;
  throw requestInvalid(`${where}: shape is [${shape.join(", ")}]`, {
    where,
    accepted: "whole numbers, 0 and up",
  });
}

function readInput(
  input: InputTensor,
  spec: TensorSpec,
  { raw, bodyBytes }: { readonly raw: Uint8Array | null; readonly bodyBytes: number },
): Tensor {
  const { name, dtype } = spec;
  const where = inputText(name);
  if (input.datatype !== dtype) {
    throw requestInvalid(`${where} has datatype ${quoted(input.datatype)}`, {
      where,
      accepted: dtype,
    });
  }
  if (Object.hasOwn(input.parameters, "shared_memory_region")) {
    throw requestInvalid(`${where} is in shared memory, which is not served here`, {
      where,
      accepted: "contents in the message",
    });
  }
  const shape = shapeOf(input.shape, where);
  const count = acceptedCount(spec, shape, bodyBytes);
  const { contents } = input;
  if (raw !== null && contents !== undefined) {
    throw requestInvalid(`${where} has both contents and raw_input_contents`, {
      where,
      accepted: "one of the two",
    });
  }
  if (raw !== null) {
    const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.length);
    return { name, dtype, shape, data: readBinary({ dtype, count, where }, bytes) };
  }
  if (contents === undefined) {
    throw requestInvalid(`${where} has no elements`, {
      where,
      accepted: "contents, or raw_input_contents for all inputs",
    });
  }
  return { name, dtype, shape, data: readTyped({ dtype, count, where }, contents) };
}

function readInputs(
  { inputs, rawInputContents }: ModelInferRequest,
  contract: Signature,
  bodyBytes: number,
): readonly Tensor[] {
  if (rawInputContents.length > 0 && rawInputContents.length !== inputs.length) {
    throw requestInvalid(
      `raw_input_contents has ${rawInputContents.length} elements for ${inputs.length} inputs`,
      { where: "raw_input_contents", accepted: "one for each input, or none" },
    );
  }
  const read = new Map<string, Tensor>();
  for (const [index, input] of inputs.entries()) {
    const spec = specOf(contract, input.name, index);
    if (read.has(spec.name)) {
      throw requestInvalid(`input ${quoted(spec.name)} is given twice`, {
        where: `inputs[${index}]`,
      });
    }
    const raw = rawInputContents[index] ?? null;
    read.set(spec.name, readInput(input, spec, { raw, bodyBytes }));
  }
  return contract.inputs.map((spec) => {
    const tensor = read.get(spec.name);
    if (tensor !== undefined) return tensor;
    throw requestInvalid(`input ${quoted(spec.name)} is missing`, {
      where: "inputs",
      accepted: names(contract.inputs),
    });
  });
}

function readOutputs(
  { outputs }: ModelInferRequest,
  contract: Signature,
): readonly string[] | null {
  if (outputs.length === 0) return null;
  const named = new Set<string>();
  for (const [index, { name, parameters }] of outputs.entries()) {
    const where = `outputs[${index}]`;
    if (!contract.outputs.some((promised) => promised.name === name)) {
      throw requestInvalid(`there is no output ${quoted(name)}`, {
        where,
        accepted: names(contract.outputs),
      });
    }
    if (named.has(name)) {
      throw requestInvalid(`output ${quoted(name)} is asked for twice`, { where });
    }
    const refused = REFUSED_OUTPUT_PARAMETERS.find((each) => Object.hasOwn(parameters, each));
    if (refused !== undefined) {
      throw requestInvalid(`${where}: the parameter ${refused} is not served here`, { where });
    }
    named.add(name);
  }
  return [...named];
}

/**
 * Reads a ModelInferRequest: raw contents for all inputs, or typed contents. Data types, ranks, fixed
 * axes and counts have to be the contract's exactly; parameters that are not known are ignored, as the
 * protocol wants it.
 * @throws `request.invalid`.
 */
export function decode({ body }: ProtocolRequest, contract: Signature): Call {
  const request = message(body);
  const outputs = readOutputs(request, contract);
  const inputs = readInputs(request, contract, body.length);
  const raw = request.rawInputContents.length > 0;
  return {
    inputs,
    id: request.id === "" ? null : request.id,
    requestedOutputs: outputs,
    form: { kind: "grpc", outputs, raw },
  };
}
