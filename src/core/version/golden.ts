import type { OutputValue, Tensor } from "../tensor/index.ts";
import { isMapSequence } from "../tensor/index.ts";

/** One input with the answer the version gave when it was registered. */
export interface GoldenSample {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly OutputValue[];
}

/** How far a replayed number may lie from the recorded one. */
export const GOLDEN_TOLERANCE = { relative: 1e-4, absolute: 1e-6 } as const;

/** How far two numbers may be apart. */
interface Apart {
  /** Of the larger one. */
  readonly relative: number;
  readonly absolute: number;
}

function numbersAgree(a: number, b: number, { relative, absolute }: Apart): boolean {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b);
  if (a === b) return true;
  // The distance to an infinity is infinite, and so would be its tolerance.
  if (!Number.isFinite(a) || !Number.isFinite(b)) return false;
  return Math.abs(a - b) <= absolute + relative * Math.max(Math.abs(a), Math.abs(b));
}

/** Value of an FP16 bit pattern (IEEE 754 binary16). */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function tensorDifference(recorded: Tensor, replayed: Tensor, apart: Apart): string | null {
  if (recorded.dtype !== replayed.dtype) return `${recorded.name} became ${replayed.dtype}`;
  if (recorded.shape.join() !== replayed.shape.join())
    return `${recorded.name} has shape [${replayed.shape.join(", ")}] (was [${recorded.shape.join(", ")}])`;
  const number = (value: string | number | bigint): number =>
    recorded.dtype === "FP16" ? halfToNumber(Number(value)) : Number(value);
  if (recorded.data.length !== replayed.data.length)
    return `${recorded.name} has ${replayed.data.length} elements (was ${recorded.data.length})`;
  const tolerant = ["FP16", "FP32", "FP64"].includes(recorded.dtype);
  for (let index = 0; index < recorded.data.length; index += 1) {
    const a = recorded.data[index] ?? 0;
    const b = replayed.data[index] ?? 0;
    const agree = tolerant ? numbersAgree(number(a), number(b), apart) : a === b;
    if (!agree) return `${recorded.name}[${index}] is ${String(b)} (was ${String(a)})`;
  }
  return null;
}

/**
 * The first difference between recorded and replayed outputs, or null when they agree: numbers
 * within relative 1e-4 and absolute 1e-6 (DESIGN.md section 6) or what is given instead, classes and
 * strings exactly.
 */
export function goldenDifference(
  recorded: readonly OutputValue[],
  replayed: readonly OutputValue[],
  apart: Apart = GOLDEN_TOLERANCE,
): string | null {
  for (const expected of recorded) {
    const actual = replayed.find((output) => output.name === expected.name);
    if (actual === undefined) return `${expected.name} is missing`;
    if (isMapSequence(expected) !== isMapSequence(actual))
      return `${expected.name} changed its kind`;
    if (isMapSequence(expected) && isMapSequence(actual)) {
      if (JSON.stringify(expected.keys) !== JSON.stringify(actual.keys))
        return `${expected.name} has other keys`;
      if (expected.rows !== actual.rows) return `${expected.name} has ${actual.rows} rows`;
      const off = expected.values.findIndex(
        (value, index) => !numbersAgree(value, actual.values[index] ?? NaN, apart),
      );
      if (off >= 0)
        return `${expected.name}[${off}] is ${actual.values[off]} (was ${expected.values[off]})`;
    } else if (!isMapSequence(expected) && !isMapSequence(actual)) {
      const difference = tensorDifference(expected, actual, apart);
      if (difference !== null) return difference;
    }
  }
  return null;
}

/** The first value of an output that is a NaN or an infinity, or null. */
export function notFiniteIn(
  output: OutputValue,
): { readonly at: number; readonly value: number } | null {
  if (!isMapSequence(output) && !["FP16", "FP32", "FP64"].includes(output.dtype)) return null;
  const values = isMapSequence(output) ? output.values : output.data;
  const isHalf = !isMapSequence(output) && output.dtype === "FP16";
  for (const [at, raw] of [...values].entries()) {
    const value = isHalf ? halfToNumber(Number(raw)) : Number(raw);
    if (!Number.isFinite(value)) return { at, value };
  }
  return null;
}

/**
 * What of the candidate's golden outputs is a NaN or an infinity in an output in which stable's golden
 * samples hold neither, in words; null where there is no such.
 */
export function notFiniteObjection(
  candidate: readonly Pick<GoldenSample, "outputs">[],
  stable: readonly Pick<GoldenSample, "outputs">[],
): string | null {
  const usual = new Set(
    stable.flatMap(({ outputs }) =>
      outputs.filter((output) => notFiniteIn(output) !== null).map(({ name }) => name),
    ),
  );
  for (const [at, { outputs }] of candidate.entries())
    for (const output of outputs) {
      const found = usual.has(output.name) ? null : notFiniteIn(output);
      if (found !== null)
        return `golden sample ${at + 1} of ${candidate.length}: ${output.name}[${found.at}] is ${found.value}`;
    }
  return null;
}
