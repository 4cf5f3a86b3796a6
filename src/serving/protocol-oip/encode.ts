import { LastgoodError } from "../../core/errors/index.ts";
import { elementCount, isMapSequence, type OutputValue } from "../../core/tensor/index.ts";
import {
  arrayText,
  nameText,
  type AnswerContext,
  type ProtocolAnswer,
  outputBinary,
} from "../protocol/index.ts";

const JSON_HEADERS = { "content-type": "application/json" } as const;

interface Head {
  readonly datatype: string;
  readonly shape: readonly number[];
  /** JSON members of `parameters`, or nothing. */
  readonly parameters: string;
}

/** A sequence of maps becomes a matrix whose columns `parameters.labels` names. */
function headOf(output: OutputValue): Head {
  if (!isMapSequence(output)) {
    return { datatype: output.dtype, shape: output.shape, parameters: "" };
  }
  return {
    datatype: output.values instanceof Float64Array ? "FP64" : "FP32",
    shape: [output.rows, output.keys.length],
    parameters: `"labels":${JSON.stringify(output.keys)}`,
  };
}

function dataText(output: OutputValue): string {
  if (!isMapSequence(output)) return arrayText(output, 0, elementCount(output.shape));
  const { values } = output;
  return arrayText({ dtype: "FP64", data: values }, 0, values.length);
}

function outputText(output: OutputValue, bytes: Buffer | null): string {
  const { datatype, shape, parameters } = headOf(output);
  let text = `{"name":${nameText(output.name)},"datatype":"${datatype}","shape":[${shape.join(",")}]`;
  if (bytes === null) {
    if (parameters !== "") text += `,"parameters":{${parameters}}`;
    return `${text},"data":${dataText(output)}}`;
  }
  const size = `"binary_data_size":${bytes.length}`;
  return `${text},"parameters":{${parameters === "" ? size : `${parameters},${size}`}}}`;
}

interface Chosen {
  readonly output: OutputValue;
  readonly binary: boolean;
}

function chosen(outputs: readonly OutputValue[], { call }: AnswerContext): readonly Chosen[] {
  const { form } = call;
  const named = form.kind === "oip" ? form.outputs : null;
  if (named === null) {
    const binary = form.kind === "oip" && form.binary;
    return outputs.map((output) => ({ output, binary }));
  }
  return named.map(({ name, binary }) => {
    const output = outputs.find((each) => each.name === name);
    if (output !== undefined) return { output, binary };
    throw new LastgoodError("runtime.failed", `the version gave no output ${name}`);
  });
}

/**
 * Writes an inference answer: flat row-major `data`, or binary tensors after the JSON with
 * `inference-header-content-length` where any output is asked for as binary. FP16 in JSON is exact
 * numbers. NaN and the infinities in JSON: see `elementText`.
 * @throws `runtime.failed` where an output that was asked for is not there.
 */
export function encode(outputs: readonly OutputValue[], context: AnswerContext): ProtocolAnswer {
  const { id } = context.call;
  let text = `{"model_name":${nameText(context.endpoint)},"model_version":${nameText(context.version)}`;
  if (id !== null) text += `,"id":${JSON.stringify(id)}`;
  text += `,"outputs":[`;
  const binaries: Buffer[] = [];
  let binary = false;
  let separator = "";
  for (const each of chosen(outputs, context)) {
    const bytes = each.binary ? outputBinary(each.output) : null;
    if (bytes !== null) {
      binary = true;
      binaries.push(bytes);
    }
    text += separator + outputText(each.output, bytes);
    separator = ",";
  }
  text += "]}";
  if (!binary) return { status: 200, headers: JSON_HEADERS, body: text };
  const head = Buffer.from(text, "utf8");
  return {
    status: 200,
    headers: {
      "content-type": "application/octet-stream",
      "inference-header-content-length": String(head.length),
    },
    body: Buffer.concat([head, ...binaries]),
  };
}
