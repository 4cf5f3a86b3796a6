import * as z from "zod";

import { LastgoodError } from "../../core/errors/index.ts";
import { readStartup } from "../../link/startup/index.ts";
import {
  checkpointFrom,
  controlConfigSchema,
  startControl,
  type ControlConfig,
  type ControlPlane,
} from "../compose/index.ts";
import { processLog } from "../log/index.ts";

/** An orderly end that takes longer is cut off, ms. */
const STOP_LIMIT_MS = 5_000;

const log = processLog("control");
let plane: ControlPlane | null = null;
let stopping = false;

/** What went wrong ends the process; its supervisor starts it again. */
function fail(thrown: unknown): never {
  const error = LastgoodError.from(thrown);
  const { stack } = thrown instanceof Error ? thrown : error;
  log.fatal({ error: error.toBody(), stack }, error.message);
  process.exit(1);
}

function stop(): void {
  if (stopping) return;
  stopping = true;
  log.info("stopping");
  setTimeout(() => process.exit(0), STOP_LIMIT_MS).unref();
  // Asked to end while it still starts: nothing that was begun needs more than the next start.
  const stopped = plane?.stop() ?? Promise.resolve();
  stopped.then(() => process.exit(0)).catch(fail);
}

function readConfig(): ControlConfig {
  const { data, error } = controlConfigSchema.safeParse(readStartup());
  if (data !== undefined) return data;
  throw new LastgoodError(
    "config.invalid",
    `the control plane's configuration was not understood: ${z.prettifyError(error)}`,
    { hint: "start it with: lastgood serve", cause: error },
  );
}

async function main(): Promise<void> {
  const config = readConfig();
  const checkpoint = checkpointFrom(process.env);
  plane = await startControl(config, { log, checkpoint, onShutdown: stop });
  log.info({ api: `${plane.apiHost}:${plane.apiPort}` }, "the control plane is up");
}

process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);
process.on("SIGTERM", stop);
// Ctrl-C in a terminal is the supervisor's business.
process.on("SIGINT", () => undefined);
main().catch(fail);
