import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** A held lock; the kernel lets go of it when the process ends, however it ends. */
export interface KernelLock {
  release(): void;
}

/** Databases of held locks: one that nothing refers to is collected, and its lock would end with it. */
const held = new Set<DatabaseSync>();

/**
 * Takes the lock that the file stands for, or null when another process holds it. It is an open
 * `BEGIN EXCLUSIVE` on a database of its own, so there is no stale lock to clean up. A process must
 * not take the same lock twice: closing one handle would let go of both.
 */
export function takeKernelLock(path: string): KernelLock | null {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (isBusy(error)) return null;
    throw error;
  }
  held.add(database);
  return {
    release: () => {
      held.delete(database);
      database.close();
    },
  };
}

function isBusy(error: unknown): boolean {
  const SQLITE_BUSY = 5;
  return error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY;
}
