import { z } from "zod";

import { LastgoodError } from "../../core/errors/index.ts";
import { allocate, type DType, type TensorData } from "../../core/tensor/index.ts";
import { parseJson } from "../protocol/index.ts";

/** More than the libraries behind these servers have. */
const MAX_AXES = 64;

/** The error of an answer that is not understood: an invalid one, which hard limits count. */
export function invalid(what: string, why: string): LastgoodError {
  const message = `the server's ${what} is not as the protocol has it: ${why}`;
  return new LastgoodError("runtime.failed", message, { details: { invalid: message } });
}

/** The value of JSON text, as Python writes it too. @throws `runtime.failed` when it is none. */
export function parseText(what: string, text: string): unknown {
  if (text === "") throw invalid(what, "it is empty");
  try {
    return parseJson(text, { exactIntegers: true, pythonNumbers: true });
  } catch (error) {
    throw invalid(what, LastgoodError.from(error).message);
  }
}

/** JSON text that a schema accepts. @throws `runtime.failed` when it is not so. */
export function readJson<T>(what: string, schema: z.ZodType<T>, text: string): T {
  return accepted(what, schema, parseText(what, text));
}

/** A value that a schema accepts. @throws `runtime.failed` when it is not so. */
export function accepted<T>(what: string, schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(what, z.prettifyError(parsed.error));
}

/**
 * The members of lists within a list, in order; the same list where it has none.
 * @throws `runtime.failed` when it is nested more deeply than any tensor.
 */
export function flat(values: readonly unknown[]): readonly unknown[] {
  for (let index = 0; index < values.length; index += 1)
    if (Array.isArray(values[index])) {
      const all: unknown[] = [];
      putInto(all, values, 1);
      return all;
    }
  return values;
}

function putInto(all: unknown[], values: readonly unknown[], axes: number): void {
  if (axes > MAX_AXES) throw invalid("answer", `its lists are nested more than ${MAX_AXES} deep`);
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    if (Array.isArray(value)) putInto(all, value, axes + 1);
    else all.push(value);
  }
}

/** One JSON value as an integer or a truth value, or null where the type cannot hold it. */
function elementOf(dtype: DType, value: unknown): number | bigint | null {
  if (dtype === "INT64" || dtype === "UINT64") {
    if (typeof value === "bigint") return value;
    return typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : null;
  }
  if (dtype === "BOOL") return typeof value === "boolean" ? Number(value) : null;
  if (typeof value === "bigint") return Number(value);
  return typeof value === "number" && dtype !== "FP16" ? value : null;
}

/** Writes floats; the index of the first value that is none, or -1. */
function writeFloats(data: Float32Array | Float64Array, values: readonly unknown[]): number {
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    if (typeof value === "number") data[index] = value;
    // Python's NaN was read as null.
    else if (value === null) data[index] = NaN;
    else if (typeof value === "bigint") data[index] = Number(value);
    else return index;
  }
  return -1;
}

/** Writes integers and truth values; the index of the first value that does not fit, or -1. */
function writeIntegers(
  dtype: Exclude<DType, "BYTES">,
  data: Exclude<TensorData, readonly string[]>,
  values: readonly unknown[],
): number {
  for (let index = 0; index < values.length; index += 1) {
    const element = elementOf(dtype, values[index]);
    if (element === null) return index;
    data[index] = element;
    // A typed array takes what does not fit, and holds something else then.
    if (data[index] !== element) return index;
  }
  return -1;
}

/** JSON values as elements. @throws `runtime.failed` naming the first that does not fit. */
export function dataOf(name: string, dtype: DType, values: readonly unknown[]): TensorData {
  const refuse = (index: number): never => {
    const value = JSON.stringify(values[index], (_key, each: unknown) => String(each));
    throw invalid("answer", `element ${index} of output ${name} is ${value}, not ${dtype}`);
  };
  if (dtype === "BYTES")
    return values.map((value, index) => (typeof value === "string" ? value : refuse(index)));
  const data = allocate(dtype, values.length);
  const isFloat = data instanceof Float32Array || data instanceof Float64Array;
  const wrong = isFloat ? writeFloats(data, values) : writeIntegers(dtype, data, values);
  return wrong < 0 ? data : refuse(wrong);
}
