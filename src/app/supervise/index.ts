export { checkAddress } from "./free-address.ts";
export { type ProcessEvent } from "./kept-process.ts";
export { isAlive } from "./process-end.ts";
export { readServerFile, type ServerFile } from "./server-file.ts";
export { runningError, Supervisor, type ServerOptions } from "./supervisor.ts";
