import { isMapSequence, type OutputValue, type Tensor } from "../../core/tensor/index.ts";
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

function hasScores(tensor: Tensor): boolean {
  const last = tensor.shape.at(-1) ?? 0;
  return tensor.shape.length > 1 && last >= 2 && last <= MOST_SCORES;
}

function ofRows(rows: number, at: At): PredictedRows | null {
  if (rows < 1) return null;
  return { rows, values: Array.from({ length: Math.min(rows, MOST_ROWS) }, (_, row) => at(row)) };
}

/**
 * What each row of a request was predicted to be, by the rule that evidence counts classes by: the
 * first output that is no float, else the likeliest key of maps, else the place of the highest of up
 * to 64 scores, else the first number. Null where there is no row.
 */
export function predictedRows(outputs: readonly OutputValue[]): PredictedRows | null {
  const plain = outputs.filter((output): output is Tensor => !isMapSequence(output));
  const classes = plain.find((tensor) => !isFloat(tensor));
  if (classes !== undefined) {
    const width = perRow(classes);
    return ofRows(rowsOf(classes), (row) => written(classes.data[row * width]));
  }
  const maps = outputs.find(isMapSequence);
  if (maps !== undefined) {
    const { keys, values, rows } = maps;
    const width = keys.length;
    return ofRows(rows, (row) =>
      written(keys[argMax((index) => values[row * width + index] ?? 0, width)]),
    );
  }
  const scores = plain.find(hasScores);
  if (scores !== undefined) {
    const width = scores.shape.at(-1) ?? 1;
    const step = perRow(scores);
    return ofRows(rowsOf(scores), (row) =>
      argMax((index) => numberAt(scores, row * step + index), width),
    );
  }
  const [numbers] = plain;
  if (numbers === undefined) return null;
  const step = perRow(numbers);
  return ofRows(rowsOf(numbers), (row) =>
    written(rounded(numberAt(numbers, row * step), numbers.dtype)),
  );
}
