import { open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";

import type { DoctorCheck } from "../../core/api/index.ts";
import { fine, warning, wrong } from "./finding.ts";

const MIB = 1024 * 1024;
const LITTLE_BYTES = 1024 * MIB;
const TOO_LITTLE_BYTES = 64 * MIB;
const PROBE_BYTES = 4096;

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whether a file can be written and synced in the data folder. */
export async function checkWritable(dataDir: string): Promise<DoctorCheck> {
  const path = join(dataDir, `.doctor-${process.pid}`);
  try {
    const file = await open(path, "w", 0o600);
    try {
      await file.write(Buffer.alloc(PROBE_BYTES));
      await file.sync();
    } finally {
      await file.close();
    }
    return fine("data folder", `${dataDir} takes writes`);
  } catch (error) {
    return wrong(
      "data folder",
      `${dataDir} cannot be written: ${reasonOf(error)}`,
      "rollbacks still work, but nothing new is kept: free space or repair the permissions",
    );
  } finally {
    await rm(path, { force: true }).catch(() => undefined);
  }
}

/** How much room is left for versions and history. */
export async function checkFreeSpace(dataDir: string): Promise<DoctorCheck> {
  try {
    const { bavail, bsize } = await statfs(dataDir);
    return freeSpace(bavail * bsize);
  } catch (error) {
    return warning(
      "free space",
      `cannot be told: ${reasonOf(error)}`,
      "look at the disk of the data folder",
    );
  }
}

/** The finding for so many free bytes. */
export function freeSpace(bytes: number): DoctorCheck {
  const said = `${Math.round(bytes / MIB)} MiB free`;
  const hint = "make room on the disk of the data folder";
  if (bytes < TOO_LITTLE_BYTES) return wrong("free space", said, hint);
  return bytes < LITTLE_BYTES ? warning("free space", said, hint) : fine("free space", said);
}
