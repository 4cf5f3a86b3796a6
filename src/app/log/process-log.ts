import { pino, type Logger } from "pino";

import { LogStream } from "./log-stream.ts";

const STANDARD_OUTPUT = 1;

/** A process's log: one JSON object a line on stdout. A log that cannot be written ends nothing. */
export function processLog(role: string): Logger {
  const stdout = new LogStream(STANDARD_OUTPUT);
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  const timestamp = pino.stdTimeFunctions.isoTime;
  return pino({ base: { role, pid: process.pid }, timestamp }, stdout);
}
