import { buildIfStale } from "../../tools/build.ts";

/** Tests that start real processes start what a user runs: the bundles in dist. */
export async function setup(): Promise<void> {
  await buildIfStale();
}
