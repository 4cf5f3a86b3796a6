/**
 * Runs the tests with real Python servers and clients, in environments that are made first.
 *
 *   node test/clients/run.ts [arguments of vitest]…
 */
import { spawnSync } from "node:child_process";

import { makeEnvironments, pythonOf } from "./environments.ts";

makeEnvironments();
const { status } = spawnSync("vitest", ["run", "--project", "clients", ...process.argv.slice(2)], {
  stdio: "inherit",
  env: { ...process.env, LASTGOOD_CLIENTS_PYTHON: pythonOf("clients") },
});
process.exitCode = status ?? 1;
