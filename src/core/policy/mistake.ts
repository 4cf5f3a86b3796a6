import type * as z from "zod";

import { LastgoodError } from "../errors/index.ts";

/** Something wrong, and where in the file. */
export interface Mistake {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

const KINDS: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  boolean: "true or false",
  object: "a mapping of keys",
  record: "a mapping of keys",
  array: "a list",
};

function wordOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/**
 * What a schema says of a value where it has no words of its own: an error map of zod.
 * `is missing`, `is soon: accepted are hold, rollback`.
 */
export function plainWords(issue: z.core.$ZodRawIssue): string | undefined {
  const { input } = issue;
  if (issue.code === "invalid_value")
    return `${input === undefined ? "is missing" : `is ${wordOf(input)}`}: accepted are ${issue.values.map(String).join(", ")}`;
  if (issue.code !== "invalid_type") return undefined;
  const expected = KINDS[issue.expected] ?? issue.expected;
  return input === undefined ? "is missing" : `is not ${expected}`;
}

/** `rollout.canary.steps[0].weight`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    return text === "" ? String(key) : `${text}.${String(key)}`;
  }, "");
}

/** @throws `config.invalid` always: the first mistake in words, all of them as details. */
export function refusePolicy(error: z.ZodError): never {
  const mistakes = error.issues.map(({ path, message }) => {
    const where = pathText(path);
    return where === "" ? message : `${where}: ${message}`;
  });
  const more = mistakes.length > 1 ? ` (and ${mistakes.length - 1} more)` : "";
  throw new LastgoodError("config.invalid", `policy: ${mistakes[0] ?? "is not valid"}${more}`, {
    hint: "`lastgood apply --schema` prints what a policy file may say",
    details: { mistakes },
  });
}
