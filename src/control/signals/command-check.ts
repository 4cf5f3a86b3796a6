import { spawn } from "node:child_process";

import type { ArmName } from "./placeholders.ts";

const LONGEST_SAID = 300;

/**
 * Runs a program without a shell: 0 is healthy. Its revision is in LASTGOOD_ENDPOINT,
 * LASTGOOD_REVISION and LASTGOOD_VERSION. Past its time it is killed with all that it started.
 * @throws why it is not healthy.
 */
export function checkCommand(
  [program = "", ...args]: readonly string[],
  arm: ArmName,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      // A group of its own, so that what it started ends with it.
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        ...process.env,
        LASTGOOD_ENDPOINT: arm.endpoint,
        LASTGOOD_REVISION: String(arm.revision),
        LASTGOOD_VERSION: arm.version,
      },
    });
    let said = "";
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (text: string) => {
      said = `${said}${text}`.slice(-LONGEST_SAID);
    });
    const kill = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // Gone already.
      }
    };
    signal.addEventListener("abort", kill, { once: true });
    const ended = (why: string | null): void => {
      signal.removeEventListener("abort", kill);
      if (why === null) resolve();
      else reject(new Error(why));
    };
    child.on("error", (error) => ended(error.message));
    // Not `close`: a process that it left behind may hold its output open.
    child.on("exit", (code, by) => {
      child.stderr.destroy();
      const last = said.trim().split("\n").at(-1) ?? "";
      const how = by === null ? `exit code ${code}` : `ended by ${by}`;
      ended(code === 0 ? null : `${how}${last === "" ? "" : `: ${last}`}`);
    });
  });
}
