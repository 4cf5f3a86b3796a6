import type * as z from "zod";

import { LastgoodError, pathText, plainIssues, type PlainIssue } from "../errors/index.ts";

/** Something wrong, and where in the file. */
export type Mistake = PlainIssue;

/** @throws `config.invalid` always: the first mistake in words, all of them as details. */
export function refusePolicy(error: z.ZodError): never {
  const mistakes = plainIssues(error).map(({ path, message }) => {
    const where = pathText(path);
    return where === "" ? message : `${where}: ${message}`;
  });
  const more = mistakes.length > 1 ? ` (and ${mistakes.length - 1} more)` : "";
  throw new LastgoodError("config.invalid", `policy: ${mistakes[0] ?? "is not valid"}${more}`, {
    hint: "`lastgood apply --schema` prints what a policy file may say",
    details: { mistakes },
  });
}
