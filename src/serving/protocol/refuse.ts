import { LastgoodError } from "../../core/errors/index.ts";

const LONGEST_QUOTE = 80;

/** Text of the caller in an error message: as JSON, cut to a bounded length. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text);
}

/** An input as error messages name it. */
export function inputText(name: string): string {
  return `input ${quoted(name)}`;
}

/** What a JSON value is, for error messages behind `is`: `an array`, `the number 1.5`, `missing`. */
export function described(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "string") return `the string ${quoted(value)}`;
  if (typeof value === "number" || typeof value === "bigint") return `the number ${String(value)}`;
  return typeof value === "boolean" ? String(value) : "an object";
}

/** What is wrong with a request, and how to put it right. */
export interface Refusal {
  /** Where in the request: `inputs[0].shape`. */
  readonly where?: string;
  /** What would have been taken there. */
  readonly accepted?: string;
  readonly hint?: string;
}

/** The error of a request that breaks the contract or its protocol: `request.invalid`, the caller's mistake. */
export function requestInvalid(message: string, refusal: Refusal = {}): LastgoodError {
  const { where, accepted, hint } = refusal;
  const text = accepted === undefined ? message : `${message}; accepted: ${accepted}`;
  return new LastgoodError("request.invalid", text, {
    hint,
    details: {
      ...(where === undefined ? {} : { where }),
      ...(accepted === undefined ? {} : { accepted }),
    },
  });
}

/** True for a JSON object: neither null nor an array. */
export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An own member of a JSON object, never one that it inherits (`constructor`, `__proto__`). */
export function member(object: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** The same where null means that there is none, as clients say it that write every field they know. */
export function optionalMember(object: Readonly<Record<string, unknown>>, name: string): unknown {
  return member(object, name) ?? undefined;
}
