import { allocate, type DType, type TensorData } from "../../core/tensor/index.ts";
import { described, requestInvalid } from "./refuse.ts";

/** Elements that can still be written. */
export type WritableData = Exclude<TensorData, readonly string[]> | string[];

/** What null stands for: NaN in floating-point tensors, as in pandas, or nothing. */
export type Missing = "nan" | "refuse";

/** Room for `count` elements. */
export function newElements(dtype: DType, count: number): WritableData {
  return dtype === "BYTES" ? [] : allocate(dtype, count);
}

const INTEGER_RANGES = {
  UINT8: [0, 255],
  UINT16: [0, 65_535],
  UINT32: [0, 4_294_967_295],
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-2_147_483_648, 2_147_483_647],
} as const;

const BIG_RANGES = {
  INT64: [-(2n ** 63n), 2n ** 63n - 1n],
  UINT64: [0n, 2n ** 64n - 1n],
} as const;

function isSmallInteger(dtype: DType): dtype is keyof typeof INTEGER_RANGES {
  return Object.hasOwn(INTEGER_RANGES, dtype);
}

function isBigInteger(dtype: DType): dtype is keyof typeof BIG_RANGES {
  return dtype === "INT64" || dtype === "UINT64";
}

type NumberData = Exclude<WritableData, string[] | BigInt64Array | BigUint64Array>;

interface Write {
  readonly at: number;
  readonly values: readonly unknown[];
  readonly missing: Missing;
}

function writeFloats(out: Float32Array | Float64Array, { at, values, missing }: Write): number {
  const single = out instanceof Float32Array;
  const strict = missing === "refuse";
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    if (typeof value === "number") {
      const kept = single ? Math.fround(value) : value;
      // What became infinite only here does not fit; Infinity itself passes where Python's JSON does.
      if (kept - kept !== 0 && (strict || kept !== value)) return index;
      out[at + index] = kept;
    } else if (typeof value === "bigint") out[at + index] = Number(value);
    else if (value === null && !strict) out[at + index] = NaN;
    else return index;
  }
  return -1;
}

function writeIntegers(
  out: NumberData,
  { at, values }: Write,
  [least, most]: readonly [number, number],
): number {
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
      return index;
    }
    out[at + index] = value;
  }
  return -1;
}

function writeBigIntegers(
  out: BigInt64Array | BigUint64Array,
  { at, values }: Write,
  [least, most]: readonly [bigint, bigint],
): number {
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    const exact =
      typeof value === "bigint"
        ? value
        : typeof value === "number" && Number.isSafeInteger(value)
          ? BigInt(value)
          : null;
    if (exact === null || exact < least || exact > most) return index;
    out[at + index] = exact;
  }
  return -1;
}

function writeBooleans(out: NumberData, { at, values }: Write): number {
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    if (typeof value !== "boolean") return index;
    out[at + index] = value ? 1 : 0;
  }
  return -1;
}

/** UTF-8 has no lone surrogates, and a NUL ends a text in the engine: the rest would be lost without a word. */
function isText(value: string): boolean {
  return value.isWellFormed() && !value.includes("\0");
}

function writeTexts(out: string[], { at, values }: Write): number {
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    if (typeof value !== "string" || !isText(value)) return index;
    out[at + index] = value;
  }
  return -1;
}

/**
 * Writes JSON values as elements from position `at` on, in one pass.
 * @returns the index of the first value that the element type cannot hold, or -1.
 */
export function writeElements(dtype: DType, out: WritableData, write: Write): number {
  if (out instanceof Float32Array || out instanceof Float64Array) return writeFloats(out, write);
  if (Array.isArray(out)) return writeTexts(out, write);
  if (out instanceof BigInt64Array || out instanceof BigUint64Array) {
    return isBigInteger(dtype) ? writeBigIntegers(out, write, BIG_RANGES[dtype]) : 0;
  }
  if (dtype === "BOOL") return writeBooleans(out, write);
  return isSmallInteger(dtype) ? writeIntegers(out, write, INTEGER_RANGES[dtype]) : 0;
}

function acceptedValues(dtype: DType): string {
  if (dtype === "BYTES") return "strings without NUL and lone surrogates";
  if (dtype === "BOOL") return "true and false";
  if (isSmallInteger(dtype)) return `integers from ${INTEGER_RANGES[dtype].join(" to ")}`;
  if (isBigInteger(dtype))
    return `integers from ${BIG_RANGES[dtype].join(" to ")}, in plain digits`;
  return dtype === "FP32" ? "numbers within ±3.4028235e38" : "finite numbers";
}

/** The error of a value that an element type cannot hold, naming the place, the value and what fits. */
export function elementRefused(dtype: DType, where: string, value: unknown): Error {
  if (dtype === "FP16") {
    return requestInvalid(`${where} is FP16, which is not taken as JSON or CSV`, {
      where,
      accepted: "binary tensors of the Open Inference Protocol",
    });
  }
  return requestInvalid(`${where} is ${described(value)}, which ${dtype} cannot hold`, {
    where,
    accepted: acceptedValues(dtype),
  });
}
