import { join } from "node:path";

import { buildIfStale } from "../../tools/build.ts";

/**
 * Tests that start real processes start what a user runs: the bundles in dist. The many processes
 * keep what V8 compiled of them between starts: that saves the laws about a tenth of their processor time.
 */
export async function setup(): Promise<void> {
  process.env["NODE_COMPILE_CACHE"] ??= join(import.meta.dirname, "../../.tmp/compile-cache");
  await buildIfStale();
}
