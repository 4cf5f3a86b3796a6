import type { DType, Tensor } from "../../core/tensor/index.ts";
import type { Signature, TensorSpec } from "../../core/version/index.ts";
import {
  acceptedCount,
  elementRefused,
  newElements,
  quoted,
  requestInvalid,
  shapeText,
  writeElements,
} from "../protocol/index.ts";

/** A table of rows, every row as wide as the others. Rows count from 0, as in pandas. */
export interface Frame {
  /** Names of the columns; null where the request gives none. */
  readonly columns: readonly string[] | null;
  readonly rows: number;
  readonly width: number;
  /** One row, as JSON values to be written as elements of this type. */
  row(index: number, dtype: DType): readonly unknown[];
  cell(row: number, column: number, dtype: DType): unknown;
}

function columnText(frame: Frame, column: number): string {
  const name = frame.columns?.[column];
  return name === undefined ? `column ${column}` : `column ${quoted(name)}`;
}

function frameShape(spec: TensorSpec, rows: number, width: number): readonly number[] {
  if (spec.shape.length === 2) return [rows, width];
  if (spec.shape.length === 1 && width === 1) return [rows];
  throw requestInvalid(
    `input ${quoted(spec.name)} has the shape ${shapeText(spec.shape)}, which a frame of ${width} columns does not fill`,
    { where: "body", accepted: `"inputs" or "instances" with nested arrays` },
  );
}

/** Where each column of the input stands in the frame; null where the frame's own order is the input's. */
function columnOrder(spec: TensorSpec, frame: Frame): readonly number[] | null {
  if (spec.columns === undefined || frame.columns === null) return null;
  const named = spec.columns.map((name) => ({ name }));
  const positions = positionsOf(named, frame.columns);
  const order = spec.columns.map((name) => positions.get(name) ?? 0);
  const isTheirs = order.length === frame.width && order.every((at, index) => at === index);
  return isTheirs ? null : order;
}

/**
 * The only input takes the whole frame: columns in the order given, or by their names where the input
 * has names for them (others are then ignored), as MLflow enforces a model's signature.
 */
function wholeFrame(spec: TensorSpec, frame: Frame, bodyBytes: number): Tensor {
  const { name, dtype } = spec;
  const order = columnOrder(spec, frame);
  const width = order === null ? frame.width : order.length;
  const shape = frameShape(spec, frame.rows, width);
  const out = newElements(dtype, acceptedCount(spec, shape, bodyBytes));
  for (let row = 0; row < frame.rows; row += 1) {
    const given = frame.row(row, dtype);
    const values = order === null ? given : order.map((at) => given[at]);
    const wrong = writeElements(dtype, out, { at: row * width, values, missing: "nan" });
    if (wrong >= 0) {
      const column = order === null ? wrong : (order[wrong] ?? wrong);
      throw elementRefused(dtype, `row ${row}, ${columnText(frame, column)}`, values[wrong]);
    }
  }
  return { name, dtype, shape, data: out };
}

/** One of several inputs takes the column of its name. */
function oneColumn(spec: TensorSpec, frame: Frame, column: number, bodyBytes: number): Tensor {
  const { name, dtype } = spec;
  const shape = spec.shape.length === 2 ? [frame.rows, 1] : [frame.rows];
  const out = newElements(dtype, acceptedCount(spec, shape, bodyBytes));
  const values: unknown[] = [];
  for (let row = 0; row < frame.rows; row += 1) values.push(frame.cell(row, column, dtype));
  const wrong = writeElements(dtype, out, { at: 0, values, missing: "nan" });
  if (wrong >= 0) {
    throw elementRefused(dtype, `row ${wrong}, ${columnText(frame, column)}`, values[wrong]);
  }
  return { name, dtype, shape, data: out };
}

function columnsByName(contract: Signature, frame: Frame): ReadonlyMap<string, number> {
  const accepted = contract.inputs.map((input) => input.name).join(", ");
  if (frame.columns === null) {
    throw requestInvalid("the frame names no columns", { where: "columns", accepted });
  }
  return positionsOf(contract.inputs, frame.columns);
}

/** @throws `request.invalid` for a wanted column that is missing, or there twice. */
function positionsOf(
  wanted: readonly { readonly name: string }[],
  columns: readonly string[],
): ReadonlyMap<string, number> {
  const accepted = wanted.map(({ name }) => name).join(", ");
  const positions = new Map<string, number>();
  const twice = new Set<string>();
  for (const [position, column] of columns.entries()) {
    if (positions.has(column)) twice.add(column);
    positions.set(column, position);
  }
  for (const { name } of wanted) {
    if (!positions.has(name)) {
      throw requestInvalid(`column ${quoted(name)} is missing`, { where: "columns", accepted });
    }
    if (twice.has(name)) {
      throw requestInvalid(`column ${quoted(name)} is given twice`, { where: "columns" });
    }
  }
  return positions;
}

/**
 * The inputs that a frame stands for, by the rule of MLflow's ONNX flavor: a single input takes the
 * whole frame, several take one column each by name (other columns are ignored). Unlike there, a
 * column also feeds an input of shape [rows, 1], and a number is cast to whatever numeric type the
 * contract wants as long as it is not changed by that, not only double to float. An empty cell is NaN
 * for floating-point inputs, as in pandas, and refused for others.
 * @throws `request.invalid` naming the row and column.
 */
export function frameInputs(
  frame: Frame,
  contract: Signature,
  bodyBytes: number,
): readonly Tensor[] {
  if (frame.rows === 0) {
    throw requestInvalid("the frame has no rows", { where: "body", accepted: "at least one row" });
  }
  const [only] = contract.inputs;
  if (only !== undefined && contract.inputs.length === 1) {
    return [wholeFrame(only, frame, bodyBytes)];
  }
  const positions = columnsByName(contract, frame);
  return contract.inputs.map((spec) =>
    oneColumn(spec, frame, positions.get(spec.name) ?? 0, bodyBytes),
  );
}
