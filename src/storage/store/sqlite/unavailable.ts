import { LastgoodError } from "../../../core/errors/index.ts";

/** Primary result codes of SQLite that say the place is at fault, not the statement. */
const PLACE_AT_FAULT: Readonly<Record<number, string>> = {
  3: "the file may not be accessed: check its owner and mode",
  5: "another process holds the store: close whatever has the file open",
  6: "another process holds the store: close whatever has the file open",
  7: "memory is short",
  8: "the file or its disk is read-only",
  10: "the disk reports an error: look at the system's log",
  11: "the file is damaged: stop the server, keep a copy, start it again",
  13: "the disk is full: free some space",
  14: "the file cannot be opened: check that its folder is there",
  15: "another process changes the store at the same time",
  26: "the file is not a database: stop the server, keep a copy, start it again",
};

/** SQLite's primary result code of an error, or null when it is none of SQLite's. */
function sqliteCode(error: unknown): number | null {
  if (!(error instanceof Error) || !("errcode" in error)) return null;
  return typeof error.errcode === "number" ? error.errcode & 0xff : null;
}

/** True for a file that SQLite cannot read as a database. */
export function isUnreadable(error: unknown): boolean {
  const cause = error instanceof LastgoodError ? error.cause : error;
  const code = sqliteCode(cause);
  return code === 11 || code === 26;
}

/** `store.unavailable` for what the place is to blame for; anything else as it was thrown. */
export function asUnavailable(error: unknown, path: string): unknown {
  if (error instanceof LastgoodError) return error;
  const code = sqliteCode(error);
  const system = error instanceof Error && "syscall" in error;
  const hint = code === null ? undefined : PLACE_AT_FAULT[code];
  if (!system && hint === undefined) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new LastgoodError("store.unavailable", `the store ${path} is not available: ${message}`, {
    hint,
    details: { path, sqliteCode: code },
    cause: error,
  });
}
