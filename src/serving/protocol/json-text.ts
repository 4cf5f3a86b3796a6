import type { DType, MapSequence, Tensor, TensorData } from "../../core/tensor/index.ts";
import { halfToNumber } from "../../core/version/index.ts";

function numberText(value: number): string {
  // Not JSON.stringify: it says 0 for -0 and null for NaN.
  return value === 0 && 1 / value < 0 ? "-0" : String(value);
}

/** Names of outputs, endpoints and classes as JSON: they stand in every answer. */
const NAMES = new Map<string, string>();
const MAX_NAMES = 1_000;

/** A name as JSON, remembered. */
export function nameText(name: string): string {
  let text = NAMES.get(name);
  if (text === undefined) {
    text = JSON.stringify(name);
    if (NAMES.size < MAX_NAMES) NAMES.set(name, text);
  }
  return text;
}

/**
 * One element as JSON. 64-bit integers are plain digits, exact. NaN and the infinities are the tokens
 * `NaN`, `Infinity`, `-Infinity`, which JSON does not have but Python's parser and TensorFlow Serving
 * share: they get here only where a policy allows such outputs, null would say something else, and
 * binary tensors are there for strict clients.
 */
export function elementText(dtype: DType, data: TensorData, index: number): string {
  const value = data[index] ?? 0;
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return value.toString();
  if (dtype === "BOOL") return value === 0 ? "false" : "true";
  return numberText(dtype === "FP16" ? halfToNumber(value) : value);
}

/** The elements from `from` to before `to` as a flat JSON array. */
export function arrayText(
  tensor: Pick<Tensor, "dtype" | "data">,
  from: number,
  to: number,
): string {
  const { dtype, data } = tensor;
  let text = "[";
  if (data instanceof Float32Array || data instanceof Float64Array) {
    for (let index = from; index < to; index += 1) {
      const value = data[index] ?? 0;
      if (index > from) text += ",";
      text += value === 0 ? numberText(value) : value;
    }
  } else {
    for (let index = from; index < to; index += 1) {
      if (index > from) text += ",";
      text += elementText(dtype, data, index);
    }
  }
  return `${text}]`;
}

/** Part of a tensor as JSON nested as deep as its shape: part number `position` of `axis`. */
export function nestedText(tensor: Tensor, axis = 0, position = 0): string {
  const length = tensor.shape[axis];
  if (length === undefined) return elementText(tensor.dtype, tensor.data, position);
  if (axis === tensor.shape.length - 1) {
    return arrayText(tensor, position * length, (position + 1) * length);
  }
  let text = "[";
  for (let index = 0; index < length; index += 1) {
    if (index > 0) text += ",";
    text += nestedText(tensor, axis + 1, position * length + index);
  }
  return `${text}]`;
}

/** One row of a sequence of maps as a JSON object; keys are text, as Python's `json` writes them. */
export function mapText(maps: MapSequence, row: number): string {
  const width = maps.keys.length;
  let text = "{";
  for (let column = 0; column < width; column += 1) {
    if (column > 0) text += ",";
    const value = maps.values[row * width + column] ?? 0;
    text += `${nameText(String(maps.keys[column]))}:${numberText(value)}`;
  }
  return `${text}}`;
}
