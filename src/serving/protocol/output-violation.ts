import {
  elementCount,
  isMapSequence,
  type MapSequence,
  type OutputValue,
  type Tensor,
} from "../../core/tensor/index.ts";
import type { MapsSpec, OutputSpec, Signature, TensorSpec } from "../../core/version/index.ts";
import { shapeText } from "./shape.ts";

/** Index of the first NaN or infinity, or -1. */
function firstNotFinite(data: Float32Array | Float64Array): number {
  for (let index = 0; index < data.length; index += 1) {
    const value = data[index] ?? 0;
    if (value - value !== 0) return index;
  }
  return -1;
}

const HALF_EXPONENT = 0x7c00;

function notFiniteAt(tensor: Tensor): number {
  const { data, dtype } = tensor;
  if (data instanceof Float32Array || data instanceof Float64Array) return firstNotFinite(data);
  return dtype === "FP16" && data instanceof Uint16Array
    ? data.findIndex((bits) => (bits & HALF_EXPONENT) === HALF_EXPONENT)
    : -1;
}

function shapeFits(spec: readonly number[], shape: readonly number[]): boolean {
  if (spec.length !== shape.length) return false;
  for (let axis = 0; axis < spec.length; axis += 1) {
    if (spec[axis] !== -1 && spec[axis] !== shape[axis]) return false;
  }
  return true;
}

function tensorViolation(tensor: Tensor, spec: TensorSpec, allowNaN: boolean): string | null {
  const { name, dtype, shape, data } = tensor;
  if (dtype !== spec.dtype) return `output ${name} is ${dtype}, promised ${spec.dtype}`;
  if (!shapeFits(spec.shape, shape)) {
    return `output ${name} has shape ${shapeText(shape)}, promised ${shapeText(spec.shape)}`;
  }
  if (data.length !== elementCount(shape)) {
    return `output ${name} has ${data.length} elements for the shape ${shapeText(shape)}`;
  }
  const at = allowNaN ? -1 : notFiniteAt(tensor);
  if (at < 0) return null;
  const shown = dtype === "FP16" ? "NaN or Infinity" : String(data[at]);
  return `output ${name} holds ${shown} at element ${at}`;
}

function mapsViolation(maps: MapSequence, spec: MapsSpec, allowNaN: boolean): string | null {
  const { name, keys, values, rows } = maps;
  const keyType = spec.keyDtype === "INT64" ? "number" : "string";
  if (keys.some((key) => typeof key !== keyType)) {
    return `output ${name} has keys that are not ${spec.keyDtype}`;
  }
  if (values.length !== rows * keys.length) {
    return `output ${name} has ${values.length} values for ${rows} rows of ${keys.length} keys`;
  }
  const at = allowNaN ? -1 : firstNotFinite(values);
  return at < 0 ? null : `output ${name} holds ${values[at]} at element ${at}`;
}

function violation(output: OutputValue, spec: OutputSpec, allowNaN: boolean): string | null {
  if (isMapSequence(output)) {
    return spec.kind === "maps"
      ? mapsViolation(output, spec, allowNaN)
      : `output ${output.name} is a sequence of maps, promised a tensor`;
  }
  return spec.kind === "tensor"
    ? tensorViolation(output, spec, allowNaN)
    : `output ${output.name} is a tensor, promised a sequence of maps`;
}

/**
 * What is wrong with a version's outputs, in words for a log, or null: a promised output that is
 * missing or has another type or shape, or, unless `allowNaN`, a NaN or an infinity (DESIGN.md
 * section 5). Outputs that nobody promised are no violation.
 */
export function outputViolation(
  outputs: readonly OutputValue[],
  signature: Signature,
  { allowNaN }: { readonly allowNaN: boolean },
): string | null {
  for (let index = 0; index < signature.outputs.length; index += 1) {
    const spec = signature.outputs[index];
    if (spec === undefined) continue;
    const inPlace = outputs[index];
    const output =
      inPlace?.name === spec.name ? inPlace : outputs.find((each) => each.name === spec.name);
    if (output === undefined) return `output ${spec.name} is missing`;
    const found = violation(output, spec, allowNaN);
    if (found !== null) return found;
  }
  return null;
}
