import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";

import { LastgoodError } from "../../../core/errors/index.ts";

const TEMPORARY = ".writing-";

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Writes a file so that its final name only ever shows whole content: `fill` writes to a temporary
 * name in the same folder and gives the final path; then sync, rename, sync of the folder. When
 * anything throws, nothing is left.
 */
export async function writeWhole(
  folder: string,
  fill: (handle: FileHandle) => Promise<string>,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const temporary = join(folder, `${TEMPORARY}${process.pid}-${randomBytes(9).toString("hex")}`);
  const handle = await open(temporary, "wx");
  try {
    const path = await fill(handle);
    await handle.sync();
    await handle.close();
    await rename(temporary, path);
    await syncFolder(dirname(path));
    return path;
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** Removes what an interrupted write left in a folder. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith(TEMPORARY)) await rm(join(folder, name), { force: true });
  }
}

/** True for the system's "there is no such file". */
export function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

/** `store.unavailable` for what the disk is to blame for; anything else as it was thrown. */
export function asUnavailable(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof LastgoodError || !("syscall" in error))
    return error;
  const full = "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
  return new LastgoodError("store.unavailable", `${path} is not available: ${error.message}`, {
    hint: full ? "the disk is full: free some space" : "check the disk and the folder's mode",
    details: { path },
    cause: error,
  });
}
