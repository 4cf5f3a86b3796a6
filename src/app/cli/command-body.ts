import type * as z from "zod";

import {
  isErrorCode,
  LastgoodError,
  pathText,
  plainIssues,
  plainWords,
} from "../../core/errors/index.ts";

/**
 * A request's body from the arguments and options of a command.
 * @throws `usage.invalid` naming what is not accepted, or the code of a name that is none.
 */
export function commandBody<S extends z.ZodType>(schema: S, given: unknown): z.infer<S> {
  const parsed = schema.safeParse(given, { error: plainWords });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const params: Readonly<Record<string, unknown>> =
    issue?.code === "custom" ? (issue.params ?? {}) : {};
  const { code, hint } = params;
  throw new LastgoodError(
    isErrorCode(code) ? code : "usage.invalid",
    plainIssues(parsed.error)
      .map(({ path, message }) => `${pathText(path)} ${message}`)
      .join("; "),
    { hint: typeof hint === "string" ? hint : "--help shows what is understood" },
  );
}
