import {
  isMapSequence,
  type MapSequence,
  type OutputValue,
  type Tensor,
} from "../../core/tensor/index.ts";
import { halfToNumber } from "../../core/version/index.ts";

/** A float output whose last axis is this long at the most holds a score for each class. */
const MOST_SCORES = 64;
/** Of a request, so many rows are logged. */
const MOST_ROWS = 100;
const LONGEST_TEXT = 200;
/** What FP32 holds; further digits are noise of its binary form. */
const DIGITS = 8;

/** What was predicted for one request. */
export interface PredictedRows {
  readonly rows: number;
  /** Class or number of each of the first rows. */
  readonly values: readonly (string | number)[];
}

type At = (row: number) => string | number;

function isFloat({ dtype }: Tensor): boolean {
  return dtype === "FP32" || dtype === "FP64" || dtype === "FP16";
}

function rowsOf({ shape }: Tensor): number {
  return shape[0] ?? 1;
}

function perRow(tensor: Tensor): number {
  return Math.max(1, tensor.data.length / Math.max(1, rowsOf(tensor)));
}

function numberAt({ dtype, data }: Tensor, index: number): number {
  const value = Number(data[index] ?? Number.NaN);
  return dtype === "FP16" ? halfToNumber(value) : value;
}

function rounded(value: number, dtype: Tensor["dtype"]): number {
  return dtype === "FP64" ? value : Number(value.toPrecision(DIGITS));
}

function argMax(at: (index: number) => number, length: number): number {
  let best = 0;
  for (let index = 1; index < length; index += 1) if (at(index) > at(best)) best = index;
  return best;
}

function written(value: string | number | bigint | undefined): string | number {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (typeof value === "string") return value.slice(0, LONGEST_TEXT);
  const number = value ?? Number.NaN;
  return Number.isFinite(number) ? number : String(number);
}

/** How many scores each row has, or 0. */
function scoresOf({ shape }: Tensor): number {
  const last = shape.at(-1) ?? 0;
  return shape.length > 1 && last >= 2 && last <= MOST_SCORES ? last : 0;
}

function ofRows(rows: number, at: At): PredictedRows | null {
  if (rows < 1) return null;
  if (rows === 1) return { rows, values: [at(0)] };
  const values: (string | number)[] = [];
  for (let row = 0; row < rows && row < MOST_ROWS; row += 1) values.push(at(row));
  return { rows, values };
}

function ofMaps({ keys, values, rows }: MapSequence): PredictedRows | null {
  const width = keys.length;
  return ofRows(rows, (row) =>
    written(keys[argMax((index) => values[row * width + index] ?? 0, width)]),
  );
}

function ofFloats(tensor: Tensor): PredictedRows | null {
  const step = perRow(tensor);
  const scores = scoresOf(tensor);
  return ofRows(rowsOf(tensor), (row) =>
    scores > 0
      ? argMax((index) => numberAt(tensor, row * step + index), scores)
      : written(rounded(numberAt(tensor, row * step), tensor.dtype)),
  );
}

/**
 * What each row of a request was predicted to be, by the rule that evidence counts classes by: the
 * first output that is no float, else the likeliest key of maps, else the place of the highest of up
 * to 64 scores, else the first number. Null where there is no row.
 */
export function predictedRows(outputs: readonly OutputValue[]): PredictedRows | null {
  let maps: MapSequence | null = null;
  let scores: Tensor | null = null;
  let numbers: Tensor | null = null;
  for (const output of outputs) {
    if (isMapSequence(output)) maps ??= output;
    else if (!isFloat(output)) {
      const width = perRow(output);
      return ofRows(rowsOf(output), (row) => written(output.data[row * width]));
    } else if (scoresOf(output) > 0) scores ??= output;
    else numbers ??= output;
  }
  if (maps !== null) return ofMaps(maps);
  const floats = scores ?? numbers;
  return floats === null ? null : ofFloats(floats);
}

/** The same as JSON, `<rows>,[<class or number>, …]`: by hand, for it is made for each request. */
export function predictedText(outputs: readonly OutputValue[]): string | null {
  const predicted = predictedRows(outputs);
  if (predicted === null) return null;
  let text = "";
  for (const value of predicted.values) {
    if (text !== "") text += ",";
    text += typeof value === "number" ? String(value) : JSON.stringify(value);
  }
  return `${predicted.rows},[${text}]`;
}
