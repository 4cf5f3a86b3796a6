import { pino, type Logger } from "pino";

/** Lines that wait for a full disk or a slow reader, bytes; beyond it they are dropped. */
const MAX_WAITING_BYTES = 1024 * 1024;

/** A process's log: one JSON object a line on stdout. A log that cannot be written ends nothing. */
export function processLog(role: string): Logger {
  const stdout = pino.destination({ fd: 1, sync: true, maxLength: MAX_WAITING_BYTES });
  stdout.on("error", () => undefined);
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  const timestamp = pino.stdTimeFunctions.isoTime;
  return pino({ base: { role, pid: process.pid }, timestamp }, stdout);
}
