import { existsSync } from "node:fs";
import { join } from "node:path";

import { configDefaults, defineConfig } from "vitest/config";

if (Number(process.versions.node.split(".")[0]) < 24) {
  throw new Error(
    `the tests need Node 24 or newer, this is ${process.version}: ` +
      "run them through npm (`npm test`), which finds the pinned Node",
  );
}

/** Set by `.ci/run`: where the counts of this run are to be written, as JSON. */
const resultsFile = process.env["TEST_RESULTS_FILE"];

/** A run of these passes while neither is there yet; a folder without tests fails it. */
const lateSuites = ["test/killpoints", "test/laws/sabotage"];

/** Laws over many rollouts or switches, in several shells, or with environments to install or long waits: too slow for every change on a desk. */
const atLength = [
  "test/conformance/runtime-process.test.ts",
  "test/laws/automatic-*.test.ts",
  "test/laws/completion.test.ts",
  "test/laws/aa-gate.test.ts",
  "test/laws/aa-servers.test.ts",
  "test/laws/import.test.ts",
  "test/laws/input-drift.test.ts",
  "test/laws/managed-servers.test.ts",
  "test/laws/switching.test.ts",
];

const seconds = 1_000;

/** Suites that start real processes: each file in a process of its own, most one at a time. */
const realProcesses = {
  pool: "forks",
  fileParallelism: false,
  maxWorkers: 1,
  globalSetup: "test/setup/build.ts",
  testTimeout: 60 * seconds,
  hookTimeout: 60 * seconds,
} as const;

export default defineConfig({
  test: {
    passWithNoTests: !lateSuites.some((folder) => existsSync(join(import.meta.dirname, folder))),
    reporters: resultsFile === undefined ? ["default"] : ["default", "json"],
    ...(resultsFile === undefined ? {} : { outputFile: { json: resultsFile } }),
    projects: [
      {
        test: {
          name: "unit",
          globalSetup: "test/setup/build.ts",
          // Property tests try hundreds of cases; a busy machine is no failure.
          testTimeout: 30 * seconds,
          include: ["src/**/*.test.ts", "test/**/*.test.ts", "tools/**/*.test.ts"],
          exclude: [
            ...configDefaults.exclude,
            "test/{laws,conformance,clients,browser,killpoints}/**",
          ],
          pool: "forks",
          maxWorkers: "100%",
          // Loading modules anew for each file is a third of what the suite costs; no file changes what others see.
          isolate: false,
          // Group 0 would run last: vitest puts what has one worker and no order at the end.
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...realProcesses,
          // Each file has servers and ports of its own; two at a time fill two cores. What they all
          // load is loaded once.
          isolate: false,
          fileParallelism: true,
          maxWorkers: 2,
          name: "laws",
          include: ["test/{laws,conformance,browser}/**/*.test.ts"],
          exclude: [...configDefaults.exclude, "test/laws/sabotage/**", ...atLength],
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          ...realProcesses,
          name: "at-length",
          include: atLength,
          sequence: { groupOrder: 5 },
        },
      },
      {
        test: {
          ...realProcesses,
          name: "clients",
          include: ["test/clients/**/*.test.ts"],
          // Libraries of models are large, and read from disk by each process anew.
          testTimeout: 300 * seconds,
          hookTimeout: 300 * seconds,
          sequence: { groupOrder: 6 },
        },
      },
      {
        test: {
          ...realProcesses,
          name: "killpoints",
          include: ["test/killpoints/**/*.test.ts"],
          testTimeout: 300 * seconds,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          ...realProcesses,
          name: "sabotage",
          include: ["test/laws/sabotage/**/*.test.ts"],
          testTimeout: 300 * seconds,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
});
