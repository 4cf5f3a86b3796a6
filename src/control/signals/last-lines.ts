import { open } from "node:fs/promises";

import { redacted } from "./redact.ts";

/** Lines of a log that an incident keeps. */
export const MOST_LINES = 20;
/** So much of the end of a file is looked through for them. */
const TAIL_BYTES = 64 * 1_024;

/** The last lines of a file that say something, redacted; none where it is not there. */
export async function lastLinesOf(path: string): Promise<readonly string[]> {
  const file = await open(path, "r").catch(() => null);
  if (file === null) return [];
  try {
    const { size } = await file.stat();
    const from = Math.max(0, size - TAIL_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
    const lines = buffer.toString("utf8", 0, bytesRead).split("\n");
    // What begins in the middle could begin in the middle of a secret.
    return (from > 0 ? lines.slice(1) : lines)
      .map(redacted)
      .filter((line) => line !== "")
      .slice(-MOST_LINES);
  } finally {
    await file.close();
  }
}
