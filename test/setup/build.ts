import { buildIfStale } from "../../tools/build.ts";

/** Suites that start real processes run what a user runs: the bundles in dist. */
export async function setup(): Promise<void> {
  await buildIfStale();
}
