import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";

import { LastgoodError } from "../../core/errors/index.ts";
import { startProgram } from "../../link/startup/index.ts";

/** A process of ours that was just started. */
export interface StartedProcess {
  readonly pid: number;
  hasEnded(): boolean;
  /** Why it ended: the error it wrote to its log, else its last lines. */
  error(role: string): LastgoodError;
}

/** How much of a log's end is read for the reason of a failed start, bytes. */
const TAIL_BYTES = 16 * 1024;

/**
 * MB of a half of the young generation. Node lets it grow to 32 and keeps what it has grown to: in a
 * process that makes little garbage memory would only rise for hours. The gateway's workers, which
 * make much, have more.
 */
const YOUNG_GENERATION = "--max-semi-space-size=4";

/** Starts a bundle for a data folder, with its output in a file. */
export function startProcess(
  program: string,
  config: Readonly<Record<string, unknown>> & { readonly dataDir: string },
  logFile: string,
): StartedProcess {
  const log = openSync(logFile, "a", 0o600);
  const logStart = fstatSync(log).size;
  const child = startProgram({
    program,
    flags: [YOUNG_GENERATION],
    shown: [config.dataDir],
    config,
    output: log,
    folder: "/",
  });
  closeSync(log);
  let ended: string | null = null;
  child.once("exit", (code, signalName) => {
    ended = signalName === null ? `exit code ${code}` : signalName;
  });
  child.once("error", (error) => {
    ended = error.message;
  });
  return {
    pid: child.pid ?? -1,
    hasEnded: () => ended !== null,
    error: (role) => startError(role, ended ?? "unknown", { logFile, logStart }),
  };
}

function startError(
  role: string,
  ended: string,
  log: { readonly logFile: string; readonly logStart: number },
): LastgoodError {
  const lines = tailOf(log.logFile, log.logStart);
  const own = lines.map(errorIn).findLast((error) => error !== null);
  if (own !== undefined && own !== null) return own;
  return new LastgoodError("internal", `the ${role} did not start (${ended})`, {
    hint: `its log: ${log.logFile}`,
    details: { log: lines.slice(-5) },
  });
}

function tailOf(path: string, from: number): string[] {
  try {
    const bytes = readFileSync(path).subarray(from);
    const tail = bytes.subarray(Math.max(0, bytes.length - TAIL_BYTES)).toString("utf8");
    return tail.split("\n").filter((line) => line.trim() !== "");
  } catch {
    return [];
  }
}

/** The error of a line `{"error": {code, message, …}}`, which a process writes when it cannot start. */
function errorIn(line: string): LastgoodError | null {
  if (!line.startsWith("{")) return null;
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null || !("error" in value)) return null;
    const body = value.error as { code?: unknown; message?: unknown; hint?: unknown };
    if (typeof body.code !== "string" || typeof body.message !== "string") return null;
    const hint = typeof body.hint === "string" ? body.hint : null;
    return LastgoodError.fromBody({ code: body.code, message: body.message, hint });
  } catch {
    return null;
  }
}
