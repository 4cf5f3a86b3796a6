import { z } from "zod";

import { LastgoodError } from "../../core/errors/index.ts";
import { allocate, type DType, type TensorData } from "../../core/tensor/index.ts";
import { parseJson } from "../protocol/index.ts";

/** The error of an answer that is not understood. */
export function invalid(what: string, why: string): LastgoodError {
  return new LastgoodError(
    "runtime.failed",
    `the remote's ${what} is not as the protocol has it: ${why}`,
  );
}

/** JSON text that a schema accepts. @throws `runtime.failed` when it is not so. */
export function readJson<T>(what: string, schema: z.ZodType<T>, text: string): T {
  let value: unknown;
  try {
    value = parseJson(text, { exactIntegers: true, pythonNumbers: true });
  } catch (error) {
    throw invalid(what, LastgoodError.from(error).message);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(what, z.prettifyError(parsed.error));
}

/** One JSON value as an element, or null where the type cannot hold it. */
function elementOf(dtype: DType, value: unknown): number | bigint | null {
  if (dtype === "INT64" || dtype === "UINT64") {
    if (typeof value === "bigint") return value;
    return typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : null;
  }
  if (dtype === "BOOL") return typeof value === "boolean" ? Number(value) : null;
  // Python's NaN was read as null.
  if (value === null) return dtype === "FP32" || dtype === "FP64" ? NaN : null;
  if (typeof value === "bigint") return Number(value);
  return typeof value === "number" && dtype !== "FP16" ? value : null;
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
  const floats = data instanceof Float32Array || data instanceof Float64Array;
  values.forEach((value, index) => {
    const element = elementOf(dtype, value);
    if (element === null) return refuse(index);
    data[index] = element;
    // A typed array takes what does not fit, and holds something else then.
    if (!floats && data[index] !== element) refuse(index);
  });
  return data;
}
