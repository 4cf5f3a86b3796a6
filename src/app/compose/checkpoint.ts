import { appendFileSync, closeSync, openSync } from "node:fs";

/** Called with the name of each step between which a process may die. */
export type Checkpoint = (name: string) => void;

/**
 * What tests of sudden death inject: with `LASTGOOD_CRASH_AT=<point>` (or `<point>#<n>`, its nth
 * time) the process kills itself there, with `LASTGOOD_CRASH_FLAG=<file>` only as long as that file
 * does not exist, and `LASTGOOD_CRASH_TRACE=<file>` collects the names of the points it passes.
 * Without them it does nothing.
 */
export function checkpointFrom(
  env: NodeJS.ProcessEnv,
  kill: () => void = () => process.kill(process.pid, "SIGKILL"),
): Checkpoint {
  const trace = env["LASTGOOD_CRASH_TRACE"];
  const at = env["LASTGOOD_CRASH_AT"];
  const flag = env["LASTGOOD_CRASH_FLAG"];
  if (at === undefined && trace === undefined) return () => undefined;
  const [point, nth = "1"] = (at ?? "").split("#");
  let left = Number(nth);
  return (name) => {
    if (trace !== undefined) appendFileSync(trace, `${name}\n`);
    if (name !== point || --left !== 0) return;
    if (flag === undefined || isFirst(flag)) kill();
  };
}

/** True for whoever makes the file: a process started again does not die there once more. */
function isFirst(flag: string): boolean {
  try {
    closeSync(openSync(flag, "wx"));
    return true;
  } catch {
    return false;
  }
}
