import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";

import { z } from "zod";

import type { StoreOrder } from "../store.ts";

const orderSchema = z.object({
  generation: z.number().int().nonnegative(),
  epoch: z.number().int().nonnegative(),
});

/** Makes the names in a folder durable, where the system can. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** The order as noted beside the database, or null when there is no readable note. */
export function readGenerationFile(databasePath: string): StoreOrder | null {
  try {
    const text = readFileSync(join(dirname(databasePath), "generation"), "utf8");
    return orderSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Notes the order beside the database, so that a lost or older database shows. */
export function writeGenerationFile(databasePath: string, order: StoreOrder): void {
  const folder = dirname(databasePath);
  const path = join(folder, "generation");
  const temporary = `${path}.tmp-${process.pid}`;
  const handle = openSync(temporary, "w");
  try {
    writeSync(handle, `${JSON.stringify(order)}\n`);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, path);
  syncFolder(folder);
}
