import { InvalidArgumentError } from "commander";

import { LastgoodError } from "../../core/errors/index.ts";
import { parseDuration } from "../../core/time/index.ts";

/** Milliseconds of `30s`, `1h`; for commander. */
export function durationValue(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new InvalidArgumentError(LastgoodError.from(error).hint ?? "is not a duration.");
  }
}

/** Percent of `25` or `25%`; whether it is allowed is for the server to say. */
export function percentValue(text: string): number {
  const number = /^(\d{1,3}(?:\.\d+)?)%?$/.exec(text)?.[1];
  if (number === undefined) throw new InvalidArgumentError("accepted are 25 and 25%.");
  return Number(number);
}

/** A whole number from 1; for commander. */
export function countValue(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("accepted are 1, 2, 3, …");
  return Number(text);
}

/** A key that JSON readers drop without a word would be lost. */
function keyOf(key: string): string {
  if (key === "__proto__") throw new InvalidArgumentError(`"${key}" cannot be a key.`);
  return key;
}

/** Collects `key=value` pairs of an option that may be given more than once. */
export function pairValue(
  text: string,
  before: Readonly<Record<string, string>> | undefined,
): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError(`accepted is key=value, not "${text}".`);
  return { ...before, [keyOf(text.slice(0, at))]: text.slice(at + 1) };
}

/** Collects `key=number` pairs of an option that may be given more than once. */
export function numberPairValue(
  text: string,
  before: Readonly<Record<string, number>> | undefined,
): Record<string, number> {
  const at = text.indexOf("=");
  const number = text.slice(at + 1).trim();
  const value = Number(number);
  if (at < 1 || number === "" || !Number.isFinite(value))
    throw new InvalidArgumentError(`accepted is key=number, such as auc=0.94, not "${text}".`);
  return { ...before, [keyOf(text.slice(0, at))]: value };
}

/** Collects the values of an option that may be given more than once. */
export function listValue(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), text];
}
