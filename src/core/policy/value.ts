import * as z from "zod";

import { didYouMean, LastgoodError, nearNames } from "../errors/index.ts";
import { parseDuration } from "../time/index.ts";

const DURATION = "(\\d+(\\.\\d+)? ?(ms|s|min|m|h|d) ?)+";
const PERCENT = /^\d+(\.\d+)? ?%$/;

/** What a value may be: in words for people, and its ends, under the names that JSON Schema has for them. */
export interface Range {
  readonly words: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
}

function has(range: Range, value: number): boolean {
  const { minimum = -Infinity, exclusiveMinimum = -Infinity } = range;
  const { maximum = Infinity, exclusiveMaximum = Infinity } = range;
  return (
    value >= minimum && value > exclusiveMinimum && value <= maximum && value < exclusiveMaximum
  );
}

/** A number, with the range's ends told to editors; whoever reads it says the range in words. */
function numberIn(range: Range): z.ZodNumber {
  const { minimum, exclusiveMinimum, maximum, exclusiveMaximum } = range;
  return z.number().meta({ minimum, exclusiveMinimum, maximum, exclusiveMaximum });
}

function orMistake<T>(context: z.RefinementCtx, read: () => T): T {
  try {
    return read();
  } catch (error) {
    context.addIssue({ code: "custom", message: LastgoodError.from(error).message });
    return z.NEVER;
  }
}

function within(value: number, text: string | number, range: Range): number {
  if (has(range, value)) return value;
  throw new LastgoodError("config.invalid", `is ${text}: accepted is ${range.words}`);
}

function readTime(text: string, words: string): number {
  try {
    return parseDuration(text);
  } catch (cause) {
    throw new LastgoodError("config.invalid", words, { cause });
  }
}

/** A time such as `30s` in ms, to the `step`; `0` needs no unit. */
function time(range: Range, step: number): z.ZodType<number, string | 0> {
  const words =
    "is not a time: write a number with a unit, such as 30s, 10m or 1h30m (366d at most)";
  return z
    .union([z.string().regex(new RegExp(`^${DURATION}$|^0$`), words), z.literal(0)], {
      error: words,
    })
    .transform((text, context) =>
      orMistake(context, () => {
        const ms = Math.round(readTime(String(text), words) / step) * step;
        // A step of 0.001 is not exact in binary: cut what the product added.
        return within(Number(ms.toFixed(3)), text, range);
      }),
    );
}

/** A duration of the policy, whole ms. */
export function duration(range: Range): z.ZodType<number, string | 0> {
  return time(range, 1);
}

/** A latency, ms with fractions. */
export function latency(range: Range): z.ZodType<number, string | 0> {
  return time(range, 0.001);
}

/** The number with its decimal point moved; exact where a product would not be. */
function shifted(text: string, digits: number): number {
  const [mantissa = "", exponent = "0"] = text.split("e");
  return Number(`${mantissa}e${Number(exponent) + digits}`);
}

function percentOf(text: string): string {
  return text.replace(/ ?%$/, "");
}

/** A fraction: `25%` or 0.25. */
export function share(range: Range): z.ZodType<number, string | number> {
  const words = "is not a share: write 5% or 0.05";
  return z
    .union([z.string().regex(PERCENT, words), numberIn(range)], { error: words })
    .transform((value, context) =>
      orMistake(context, () => {
        const fraction = typeof value === "number" ? value : shifted(percentOf(value), -2);
        return within(fraction, value, range);
      }),
    );
}

/** A percentage of the traffic: `25%` or 25. */
export function percent(least: number, most: number): z.ZodType<number, string | number> {
  const words = "is not a percentage: write 10% or 10";
  const range: Range = {
    words: `${least}% to ${most}%`,
    minimum: least,
    maximum: most,
  };
  return z
    .union([z.string().regex(PERCENT, words), numberIn(range)], { error: words })
    .transform((value, context) =>
      orMistake(context, () => within(Number(percentOf(String(value))), value, range)),
    );
}

const PER_TIME = "is not a count per time: write 3 per 24h";

/** `3 per 24h`. */
export const perTime: z.ZodType<{ readonly count: number; readonly withinMs: number }, string> = z
  .string(PER_TIME)
  .regex(new RegExp(`^\\d{1,4} per ${DURATION}$`), PER_TIME)
  .transform((text, context) =>
    orMistake(context, () => {
      const [count = "", withinText = ""] = text.split(" per ");
      const withinMs = within(Math.round(readTime(withinText, PER_TIME)), withinText, {
        words: "1s or more",
        minimum: 1_000,
      });
      return { count: Number(count), withinMs };
    }),
  );

/** An object that takes these keys and no other, and says so. */
export function keyed<S extends z.core.$ZodLooseShape>(shape: S): z.ZodObject<S, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== "unrecognized_keys") return undefined;
      const [key = ""] = issue.keys;
      const near = didYouMean(nearNames(key, known).slice(0, 1));
      const accepted = known.length === 0 ? "nothing is" : `accepted are ${known.join(", ")}`;
      const unknown =
        issue.keys.length > 1 ? `unknown keys ${issue.keys.join(", ")}` : `unknown key ${key}`;
      return `${unknown}: ${near === undefined ? "" : `${near} `}${accepted}`;
    },
  });
}

const UNITS = [
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/** A duration as the file has it: `1h30m`; exact, unlike what is shown to people. */
export function durationText(ms: number): string {
  const days = ms / 86_400_000;
  if (days >= 2 && Number.isInteger(days)) return `${days}d`;
  let left = ms;
  let text = "";
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    if (count > 0) text += `${count}${unit}`;
    left -= count * size;
  }
  if (left > 0) text += `${Number(left.toFixed(3))}ms`;
  return text === "" ? "0s" : text;
}

/** A fraction as the file has it: `0.1%`, or the number where a percentage would not be exact. */
export function shareText(fraction: number): string | number {
  const text = String(shifted(String(fraction), 2));
  return !text.includes("e") && shifted(text, -2) === fraction ? `${text}%` : fraction;
}
