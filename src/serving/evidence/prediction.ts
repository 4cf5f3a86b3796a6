import { outputBin, outputBinLabel } from "../../core/analysis/index.ts";
import {
  isMapSequence,
  type MapSequence,
  type OutputValue,
  type Tensor,
} from "../../core/tensor/index.ts";
import { halfToNumber } from "../../core/version/index.ts";

/** A float output whose last axis is this long at the most holds a score for each class. */
const MOST_SCORES = 64;
/** Distinct labels of one rollout; further ones are one. */
const MOST_LABELS = 64;
/** The label of what is beyond them. */
const OTHER = "other";
const LABEL_CHARACTERS = 100;

/** A predicted class, or the bin of a number. */
export type Prediction = string | number | bigint;

const bins = new Map<number, string>();

function binOf(value: number): string {
  const bin = outputBin(value);
  let label = bins.get(bin);
  if (label === undefined) {
    label = outputBinLabel(bin);
    bins.set(bin, label);
  }
  return label;
}

function isFloat({ dtype }: Tensor): boolean {
  return dtype === "FP32" || dtype === "FP64" || dtype === "FP16";
}

function numberAt({ dtype, data }: Tensor, index: number): number {
  const value = Number(data[index] ?? Number.NaN);
  return dtype === "FP16" ? halfToNumber(value) : value;
}

/** Index of the largest of the first `length`. */
function argMax(at: (index: number) => number, length: number): number {
  let best = 0;
  for (let index = 1; index < length; index += 1) if (at(index) > at(best)) best = index;
  return best;
}

function likeliestKey({ keys, values }: MapSequence, row: number): Prediction {
  const from = row * keys.length;
  return keys[argMax((index) => values[from + index] ?? 0, keys.length)] ?? "";
}

function scoresOf(tensor: Tensor): number {
  const last = tensor.shape.at(-1) ?? 0;
  const isScores = tensor.shape.length > 1 && last >= 2 && last <= MOST_SCORES;
  return isScores && isFloat(tensor) && tensor.data.length >= last ? last : 0;
}

/**
 * The output that says what was predicted: the first that is no float, else maps, else up to 64 scores,
 * else numbers.
 */
function tellingOf(outputs: readonly OutputValue[]): OutputValue | null {
  let scores: Tensor | null = null;
  let scalar: Tensor | null = null;
  let maps: MapSequence | null = null;
  for (const output of outputs) {
    if (isMapSequence(output)) maps ??= output;
    else if (!isFloat(output)) return output;
    else if (scoresOf(output) > 0) scores ??= output;
    else scalar ??= output;
  }
  return maps ?? scores ?? scalar;
}

function bestScore(tensor: Tensor, row: number): number {
  const scores = scoresOf(tensor);
  return argMax((index) => numberAt(tensor, row * scores + index), scores);
}

/**
 * What the first row of a request was predicted to be: the value of the first output that is no
 * float, else the likeliest key of maps, else the place of the highest of up to 64 scores, else the
 * bin of the first number. Null where there is no row.
 */
export function predictionOf(outputs: readonly OutputValue[]): Prediction | null {
  const telling = tellingOf(outputs);
  if (telling === null) return null;
  if (isMapSequence(telling))
    return telling.rows === 0 || telling.keys.length === 0 ? null : likeliestKey(telling, 0);
  if (!isFloat(telling)) return telling.data[0] ?? null;
  if (scoresOf(telling) > 0) return bestScore(telling, 0);
  return telling.data.length === 0 ? null : binOf(numberAt(telling, 0));
}

/** The class of every row, by the same rule; null where the outputs are numbers, and name or rank none. */
export function classesOf(outputs: readonly OutputValue[]): readonly Prediction[] | null {
  const telling = tellingOf(outputs);
  if (telling === null) return null;
  if (isMapSequence(telling))
    return Array.from({ length: telling.rows }, (_, row) => likeliestKey(telling, row));
  if (!isFloat(telling)) return [...telling.data];
  const scores = scoresOf(telling);
  if (scores === 0) return null;
  return Array.from({ length: telling.data.length / scores }, (_, row) => bestScore(telling, row));
}

/**
 * The labels of a rollout, the same for both arms: which ones are told apart and which are `other`
 * must not depend on the arm, or one with less traffic would seem to predict other classes.
 */
export class Labels<T extends Prediction> {
  readonly #known = new Map<T, string>();

  of(prediction: T): string {
    const known = this.#known.get(prediction);
    if (known !== undefined) return known;
    if (this.#known.size >= MOST_LABELS) return OTHER;
    const label = String(prediction).slice(0, LABEL_CHARACTERS);
    this.#known.set(prediction, label);
    return label;
  }
}
