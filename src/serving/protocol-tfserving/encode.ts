import { isMapSequence, type OutputValue, type Tensor } from "../../core/tensor/index.ts";
import {
  mapText,
  nameText,
  nestedText,
  requestInvalid,
  type AnswerContext,
  type ProtocolAnswer,
} from "../protocol/index.ts";
import { base64Text } from "./base64.ts";

const JSON_HEADERS = { "content-type": "application/json" } as const;

/** TensorFlow Serving's rule: an output whose name ends so is bytes, and answered as base64. */
const BYTES_NAME = /_bytes$/;

function base64Nested(tensor: Tensor, axis: number, position: number): string {
  const length = tensor.shape[axis];
  if (length === undefined) return base64Text(String(tensor.data[position]));
  const parts = Array.from({ length }, (_, index) =>
    base64Nested(tensor, axis + 1, position * length + index),
  );
  return `[${parts.join(",")}]`;
}

function tensorText(tensor: Tensor, axis = 0, position = 0): string {
  return tensor.dtype === "BYTES" && BYTES_NAME.test(tensor.name)
    ? base64Nested(tensor, axis, position)
    : nestedText(tensor, axis, position);
}

function rowText(output: OutputValue, row: number): string {
  return isMapSequence(output) ? mapText(output, row) : tensorText(output, 1, row);
}

function rowCount(output: OutputValue): number {
  return isMapSequence(output) ? output.rows : (output.shape[0] ?? 0);
}

function members(outputs: readonly OutputValue[], text: (output: OutputValue) => string): string {
  return `{${outputs.map((each) => `${nameText(each.name)}:${text(each)}`).join(",")}}`;
}

function rowsText(outputs: readonly OutputValue[]): string {
  const [first] = outputs;
  const rows = first === undefined ? 0 : rowCount(first);
  const odd = outputs.find((output) => rowCount(output) !== rows);
  if (odd !== undefined) {
    throw requestInvalid(
      `the outputs have different numbers of rows (${odd.name} has ${rowCount(odd)}, ${first?.name} has ${rows})`,
      { where: "instances", accepted: 'the column form: "inputs"' },
    );
  }
  const isSingle = outputs.length === 1 && first !== undefined;
  const parts = Array.from({ length: rows }, (_, row) =>
    isSingle ? rowText(first, row) : members(outputs, (output) => rowText(output, row)),
  );
  return `[${parts.join(",")}]`;
}

function columnText(output: OutputValue): string {
  if (!isMapSequence(output)) return tensorText(output);
  return `[${Array.from({ length: output.rows }, (_, row) => mapText(output, row)).join(",")}]`;
}

function columnsText(outputs: readonly OutputValue[]): string {
  const [first] = outputs;
  return outputs.length === 1 && first !== undefined
    ? columnText(first)
    : members(outputs, columnText);
}

/**
 * Writes a `:predict` answer in the form of its request: `{"predictions": …}`, a value or object for
 * each row, or `{"outputs": …}`. The name of an only output is left out.
 * @throws `request.invalid` where rows were asked for and the outputs have different numbers of them.
 */
export function encode(outputs: readonly OutputValue[], { call }: AnswerContext): ProtocolAnswer {
  const body =
    call.form.kind === "rows"
      ? `{"predictions":${rowsText(outputs)}}`
      : `{"outputs":${columnsText(outputs)}}`;
  return { status: 200, headers: JSON_HEADERS, body };
}
