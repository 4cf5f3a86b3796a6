import type { LastgoodError } from "../../core/errors/index.ts";

/** What callers read of an error: its message and what to do about it. */
export function publicText(error: LastgoodError): string {
  // What nobody foresaw may hold paths or data in its message: it goes to the log, not to callers.
  if (error.code === "internal") return error.traits.title;
  return error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
}
