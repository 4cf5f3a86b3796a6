import { isUtf8 } from "node:buffer";

import type { Signature } from "../../core/version/index.ts";
import { requestInvalid } from "./refuse.ts";

/** How a JSON body is read. */
export interface JsonReading {
  /** Integers of 16 digits and more become bigints, exact to the last digit. */
  readonly exactIntegers: boolean;
  /** Python's `NaN` becomes null and `Infinity` a number, as Python's own parser takes them. */
  readonly pythonNumbers: boolean;
}

/** True where a signature has inputs whose integers a JSON number may not hold. */
export function wantsExactIntegers(signature: Signature): boolean {
  return signature.inputs.some((input) => input.dtype === "INT64" || input.dtype === "UINT64");
}

/**
 * A body as text.
 * @throws `request.invalid` where it is not UTF-8.
 */
export function utf8Text(body: Buffer): string {
  if (!isUtf8(body)) {
    throw requestInvalid("the body is not UTF-8 text", { where: "body", accepted: "UTF-8" });
  }
  return body.toString("utf8");
}

/*
 * Not the digits behind a point: floats of that length are common, and reading exactly is slow. Three
 * patterns, each of which is looked for ten times as fast as one that says it all: that took as long as
 * reading the JSON.
 */
const DIGITS = /\d{16}/;
const LONG_MEMBER = /[[,:\s-]\d{16}/;
const LONG_ALONE = /^\d{16}/;

/** Whether a text may hold an integer that a number does not hold exactly. */
function hasLongInteger(text: string): boolean {
  return DIGITS.test(text) && (LONG_MEMBER.test(text) || LONG_ALONE.test(text));
}
/** No longer than any 64-bit integer: longer ones stay numbers, and are refused as out of range. */
const EXACT_INTEGER = /^-?\d{16,20}$/;

function reviveInteger(
  _key: string,
  value: unknown,
  context?: { readonly source?: string },
): unknown {
  const source = context?.source;
  return typeof value === "number" && source !== undefined && EXACT_INTEGER.test(source)
    ? BigInt(source)
    : value;
}

/** A string (also one that does not end, so that no text is looked at twice) or one of the tokens. */
const PYTHON_NUMBERS = /"[^"\\]*(?:\\[^][^"\\]*)*(?:"|\\?$)|\bNaN\b|\bInfinity\b/g;

function withoutPythonNumbers(text: string): string {
  return text.replace(PYTHON_NUMBERS, (token) => {
    if (token === "NaN") return "null";
    return token === "Infinity" ? "1e999" : token;
  });
}

function parse(text: string, exactIntegers: boolean): unknown {
  return exactIntegers && hasLongInteger(text) ? JSON.parse(text, reviveInteger) : JSON.parse(text);
}

/**
 * The value of JSON text.
 * @throws `request.invalid` where it is not JSON, or nested too deeply to be read exactly.
 */
export function parseJson(text: string, reading: JsonReading): unknown {
  try {
    return parse(text, reading.exactIntegers);
  } catch (error) {
    const python = /\bNaN\b|\bInfinity\b/.test(text);
    if (reading.pythonNumbers && python) {
      const plain = withoutPythonNumbers(text);
      if (plain !== text) return parseJson(plain, { ...reading, pythonNumbers: false });
    }
    if (error instanceof RangeError) {
      throw requestInvalid("the JSON of the body is nested too deeply", { where: "body" });
    }
    throw requestInvalid(`the body is not JSON: ${error instanceof Error ? error.message : "?"}`, {
      where: "body",
      ...(python
        ? { hint: "JSON has no NaN or Infinity; send such values as binary tensors" }
        : {}),
    });
  }
}
