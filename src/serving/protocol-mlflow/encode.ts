import { isMapSequence, type OutputValue, type Tensor } from "../../core/tensor/index.ts";
import {
  elementText,
  mapText,
  nameText,
  nestedText,
  type AnswerContext,
  type ProtocolAnswer,
} from "../protocol/index.ts";

const JSON_HEADERS = { "content-type": "application/json" } as const;

/** Elements after flattening: all of them, or one for each map. */
function flatLength(output: OutputValue): number {
  return isMapSequence(output) ? output.rows : output.data.length;
}

function rowCount(output: OutputValue): number {
  return isMapSequence(output) ? output.rows : (output.shape[0] ?? 0);
}

function flatCell(output: OutputValue, index: number): string {
  return isMapSequence(output)
    ? mapText(output, index)
    : elementText(output.dtype, output.data, index);
}

function rowCell(output: OutputValue, row: number): string {
  return isMapSequence(output) ? mapText(output, row) : nestedText(output, 1, row);
}

type Cell = (output: OutputValue, index: number) => string;

function recordsText(outputs: readonly OutputValue[], length: number, cell: Cell): string {
  const names = outputs.map((output) => `${nameText(output.name)}:`);
  let text = "[";
  for (let row = 0; row < length; row += 1) {
    text += row === 0 ? "{" : ",{";
    for (let column = 0; column < outputs.length; column += 1) {
      const output = outputs[column];
      if (output === undefined) continue;
      text += (column === 0 ? "" : ",") + (names[column] ?? "") + cell(output, row);
    }
    text += "}";
  }
  return `${text}]`;
}

function tensorsText(outputs: readonly OutputValue[]): string {
  let text = "";
  for (const output of outputs) {
    text += `${text === "" ? "{" : ","}${nameText(output.name)}:`;
    if (isMapSequence(output)) {
      const rows = Array.from({ length: output.rows }, (_, row) => mapText(output, row));
      text += `[${rows.join(",")}]`;
    } else text += nestedText(output);
  }
  return text === "" ? "{}" : `${text}}`;
}

/**
 * A list of records keyed by output name. MLflow's ONNX flavor flattens each output to a column, so
 * that one output of shape [rows, 3] becomes three records for each row: kept as it is. Where outputs
 * flatten to different lengths (labels [rows] beside scores [rows, 3]) MLflow answers with an error;
 * here each record then holds its row of each output, and where even the rows differ the answer is
 * that of tensors.
 */
function frameText(outputs: readonly OutputValue[]): string {
  const [first] = outputs;
  if (first === undefined) return "[]";
  const length = flatLength(first);
  if (outputs.every((output) => flatLength(output) === length)) {
    return recordsText(outputs, length, flatCell);
  }
  const rows = rowCount(first);
  return outputs.every((output) => rowCount(output) === rows)
    ? recordsText(outputs, rows, rowCell)
    : tensorsText(outputs);
}

/** The only output of a model whose library gives it no name (scikit-learn): MLflow answers with its values. */
function namelessOutput(
  [first, ...rest]: readonly OutputValue[],
  signature: AnswerContext["signature"],
): Tensor | null {
  if (first === undefined || isMapSequence(first) || rest.length > 0) return null;
  const [spec] = signature.outputs;
  return spec?.kind === "tensor" && spec.nameless === true ? first : null;
}

/**
 * Writes a scoring answer: as the version's own server wrote it, since whether it is of records, lists or
 * values alone is for what the model returned to say; else `{"predictions": …}`, records where the
 * request was a frame, else an object with a nested array for each output.
 */
export function encode(
  outputs: readonly OutputValue[],
  { call, signature, scoring }: AnswerContext,
): ProtocolAnswer {
  if (scoring !== undefined) return { status: 200, headers: JSON_HEADERS, body: scoring };
  const nameless = namelessOutput(outputs, signature);
  const named = (): string =>
    call.form.kind === "frame" ? frameText(outputs) : tensorsText(outputs);
  const predictions = nameless === null ? named() : nestedText(nameless);
  return { status: 200, headers: JSON_HEADERS, body: `{"predictions":${predictions}}` };
}
