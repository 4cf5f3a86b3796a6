import type * as z from "zod";

import { didYouMean, nearNames } from "./near.ts";

/** Something wrong with a value from outside, and where in it. */
export interface PlainIssue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

const KINDS: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "a mapping of keys",
  record: "a mapping of keys",
  array: "a list",
  null: "null",
};

/** Longest quotation of a value. */
const LONGEST_QUOTE = 60;
/** More names than these are not listed. */
const MOST_NAMES = 12;

const kindOf = (name: string): string => KINDS[name] ?? name;

/** A value as it was given, short. */
function quoted(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object" && value !== null) return "a mapping of keys";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text;
}

const wordOf = (value: unknown): string =>
  typeof value === "string" && value.length <= LONGEST_QUOTE ? value : quoted(value);

function enumerated(words: readonly string[]): string {
  const all = [...new Set(words)];
  const last = all.pop() ?? "";
  return all.length === 0 ? last : `${all.join(", ")} or ${last}`;
}

const UNITS: Readonly<Record<string, string>> = {
  string: "characters",
  array: "items",
  set: "items",
  map: "entries",
};

const ONE: Readonly<Record<string, string>> = {
  string: "character",
  array: "item",
  set: "item",
  map: "entry",
};

/** What is too large or too small: `is 2: accepted is at most 1`. */
function sizeWords(
  issue: z.core.$ZodRawIssue<z.core.$ZodIssueTooBig | z.core.$ZodIssueTooSmall>,
): string {
  const isBig = issue.code === "too_big";
  const limit = String(isBig ? issue.maximum : issue.minimum);
  const bound =
    issue.inclusive === false
      ? isBig
        ? "less than"
        : "more than"
      : isBig
        ? "at most"
        : "at least";
  const several = UNITS[issue.origin];
  const unit = limit === "1" ? ONE[issue.origin] : several;
  const { input } = issue;
  if (unit === undefined || several === undefined)
    return `is ${quoted(input)}: accepted is ${bound} ${limit}`;
  const size = typeof input === "string" || Array.isArray(input) ? input.length : Number.NaN;
  if (size === 0) return `is empty: accepted is ${bound} ${limit} ${unit}`;
  return Number.isNaN(size)
    ? `accepted is ${bound} ${limit} ${unit}`
    : `has ${size} ${several}: accepted is ${bound} ${limit}`;
}

/** The keys that the refusing schema knows; empty where it does not say. */
function knownKeys({ inst }: z.core.$ZodRawIssue): readonly string[] {
  const { shape } = (inst ?? {}) as { readonly shape?: object };
  return Object.keys(shape ?? {});
}

function unknownKeys(keys: readonly string[], known: readonly string[]): string {
  const names = keys.map((key) => quoted(key)).join(", ");
  const meant = didYouMean([...new Set(keys.flatMap((key) => nearNames(key, known)))]);
  const accepted =
    known.length > 0 && known.length <= MOST_NAMES ? `accepted are ${known.join(", ")}` : undefined;
  const rest = [meant, accepted].filter((part) => part !== undefined).join(" ");
  const are = keys.length === 1 ? `has an unknown key ${names}` : `has unknown keys ${names}`;
  return rest === "" ? are : `${are}: ${rest}`;
}

/** What each branch of a union would take, where all that is wrong is the kind; else null. */
function unionKinds(errors: readonly (readonly z.core.$ZodIssue[])[]): readonly string[] | null {
  const kinds: string[] = [];
  for (const [issue] of errors) {
    if (issue === undefined || issue.path.length > 0) return null;
    if (issue.code === "invalid_type") kinds.push(kindOf(issue.expected));
    else if (issue.code === "invalid_value") kinds.push(...issue.values.map(String));
    else if (issue.code === "invalid_union") {
      const inner = unionKinds(issue.errors);
      if (inner === null) return null;
      kinds.push(...inner);
    } else return null;
  }
  return kinds.length === 0 ? null : kinds;
}

function unionWords(issue: z.core.$ZodRawIssue<z.core.$ZodIssueInvalidUnion>): string | undefined {
  const { input } = issue;
  const { discriminator } = issue;
  if (discriminator !== undefined) {
    const options = "options" in issue && Array.isArray(issue["options"]) ? issue["options"] : [];
    const given = (input as Readonly<Record<string, unknown>> | undefined)?.[discriminator];
    const is = given === undefined ? "is missing" : `is ${wordOf(given)}`;
    return options.length === 0 ? is : `${is}: accepted are ${options.map(String).join(", ")}`;
  }
  const kinds = unionKinds(issue.errors);
  if (kinds === null) return undefined;
  return input === undefined
    ? "is missing"
    : `is ${quoted(input)}: accepted is ${enumerated(kinds)}`;
}

/**
 * What a schema says of a value where it has no words of its own: an error map of zod.
 * `is missing`, `is soon: accepted are hold, rollback`, `is 2: accepted is at most 1`.
 */
export function plainWords(issue: z.core.$ZodRawIssue): string | undefined {
  const { input } = issue;
  switch (issue.code) {
    case "invalid_value":
      return `${input === undefined ? "is missing" : `is ${wordOf(input)}`}: accepted are ${issue.values.map(String).join(", ")}`;
    case "invalid_type":
      return input === undefined ? "is missing" : `is not ${kindOf(issue.expected)}`;
    case "too_big":
    case "too_small":
      return sizeWords(issue);
    case "unrecognized_keys":
      return unknownKeys(issue.keys, knownKeys(issue));
    case "invalid_union":
      return unionWords(issue);
    case "invalid_key":
      return "is not accepted as a key";
    // What is left has words of its own where it is used.
    case "invalid_format":
    case "not_multiple_of":
    case "invalid_element":
    case "custom":
    default:
      return undefined;
  }
}

/** `rollout.canary.steps[0].weight`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    return text === "" ? String(key) : `${text}.${String(key)}`;
  }, "");
}

/** How deep inside the deepest mistake is. */
const depthOf = (branch: readonly z.core.$ZodIssue[]): number =>
  Math.max(0, ...branch.map(({ path }) => path.length));

/** Of the branches of a union the one that came furthest: what is wrong deep inside was meant. */
function branchOf(errors: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] {
  return errors.toSorted((a, b) => depthOf(b) - depthOf(a))[0] ?? [];
}

/** All that was wrong, in words; of a union, what the branch says that was probably meant. */
export function plainIssues({ issues }: z.core.$ZodError): readonly PlainIssue[] {
  return issues.flatMap((issue) => {
    if (issue.code !== "invalid_union" || unionKinds(issue.errors) !== null) return [issue];
    const branch = branchOf(issue.errors);
    if (branch.length === 0) return [issue];
    return branch.map(({ path, message }) => ({ path: [...issue.path, ...path], message }));
  });
}
