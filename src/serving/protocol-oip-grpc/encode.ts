import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";

import { LastgoodError } from "../../core/errors/index.ts";
import {
  DTYPES,
  isMapSequence,
  type DType,
  type OutputValue,
  type Tensor,
} from "../../core/tensor/index.ts";
import {
  outputBinary,
  readBinary,
  requestInvalid,
  type AnswerContext,
  type ProtocolAnswer,
} from "../protocol/index.ts";
import { notAMessage } from "./address.ts";
import { readTyped, typedContents } from "./contents.ts";
import {
  ModelInferRequestSchema,
  ModelInferResponseSchema,
  type ModelInferResponse,
} from "./inference_pb.ts";

const NO_HEADERS = {};

/** Bytes of a message as a Buffer, not copied. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

interface Head {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** A sequence of maps becomes a matrix whose columns the parameter `labels` names, as JSON. */
function headOf(output: OutputValue): Head {
  if (!isMapSequence(output)) return output;
  return {
    dtype: output.values instanceof Float64Array ? "FP64" : "FP32",
    shape: [output.rows, output.keys.length],
  };
}

type OutputInit = NonNullable<MessageInitShape<typeof ModelInferResponseSchema>["outputs"]>[number];

function outputInit(output: OutputValue, raw: boolean): OutputInit {
  const { dtype, shape } = headOf(output);
  const labels = isMapSequence(output) ? JSON.stringify(output.keys) : null;
  const data = isMapSequence(output) ? output.values : output.data;
  const contents = raw ? null : typedContents(dtype, data);
  return {
    name: output.name,
    datatype: dtype,
    shape: shape.map(BigInt),
    ...(labels === null
      ? {}
      : { parameters: { labels: { parameterChoice: { case: "stringParam", value: labels } } } }),
    ...(contents === null ? {} : { contents }),
  };
}

function chosen(outputs: readonly OutputValue[], { call }: AnswerContext): readonly OutputValue[] {
  const named = call.requestedOutputs;
  if (named === null) return outputs;
  return named.map((name) => {
    const output = outputs.find((each) => each.name === name);
    if (output !== undefined) return output;
    throw new LastgoodError("runtime.failed", `the version gave no output ${name}`);
  });
}

/**
 * Writes a ModelInferResponse: raw contents where the request's were raw, or an output is FP16 (which
 * has no typed contents), else typed ones.
 * @throws `runtime.failed` where an output that was asked for is not there.
 */
export function encode(outputs: readonly OutputValue[], context: AnswerContext): ProtocolAnswer {
  const { endpoint, version, call } = context;
  const given = chosen(outputs, context);
  const wantsRaw = call.form.kind === "grpc" && call.form.raw;
  const raw = wantsRaw || given.some((output) => headOf(output).dtype === "FP16");
  const response = create(ModelInferResponseSchema, {
    modelName: endpoint,
    modelVersion: version,
    id: call.id ?? "",
    outputs: given.map((output) => outputInit(output, raw)),
    rawOutputContents: raw ? given.map(outputBinary) : [],
  });
  return {
    status: 0,
    headers: NO_HEADERS,
    body: bufferOf(toBinary(ModelInferResponseSchema, response)),
  };
}

/** The request of some inputs, raw. */
export function inferMessage(endpoint: string, inputs: readonly Tensor[]): Buffer {
  const request = create(ModelInferRequestSchema, {
    modelName: endpoint,
    inputs: inputs.map(({ name, dtype, shape }) => ({
      name,
      datatype: dtype,
      shape: shape.map(BigInt),
    })),
    rawInputContents: inputs.map(outputBinary),
  });
  return bufferOf(toBinary(ModelInferRequestSchema, request));
}

function isDtype(text: string): text is DType {
  return DTYPES.some((dtype) => dtype === text);
}

function readOutput({ outputs, rawOutputContents }: ModelInferResponse, index: number): Tensor {
  const output = outputs[index];
  const where = `outputs[${index}]`;
  const raw = rawOutputContents[index];
  if (output === undefined || !isDtype(output.datatype))
    throw requestInvalid(`${where} has no data type that is known`, { where });
  const { name, datatype: dtype, contents } = output;
  const shape = output.shape.map(Number);
  const count = shape.reduce((product, axis) => product * axis, 1);
  if (raw !== undefined)
    return { name, dtype, shape, data: readBinary({ dtype, count, where }, bufferOf(raw)) };
  if (contents === undefined) throw requestInvalid(`${where} has no elements`, { where });
  return { name, dtype, shape, data: readTyped({ dtype, count, where }, contents) };
}

/** The outputs of a ModelInferResponse. @throws `request.invalid` where the bytes are none. */
export function readOutputs(message: Buffer): readonly Tensor[] {
  let response: ModelInferResponse;
  try {
    response = fromBinary(ModelInferResponseSchema, message);
  } catch (error) {
    throw notAMessage(error);
  }
  return response.outputs.map((_, index) => readOutput(response, index));
}
