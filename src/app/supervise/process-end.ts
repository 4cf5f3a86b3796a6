import { readdirSync, readFileSync } from "node:fs";

/** True while a process with this pid exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/**
 * Ended, but not yet waited for by its parent: nothing of it is left but the number. While other
 * threads than the first are still ending, its files and ports are not free yet.
 */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const isEnded = stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
    return isEnded && readdirSync(`/proc/${pid}/task`).length <= 1;
  } catch {
    return false;
  }
}

/** The arguments of a process where `/proc` shows them, else null. */
export function commandLine(pid: number): readonly string[] | null {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
  } catch {
    return null;
  }
}

/** Waits until the process is gone; false when it still is there after `timeoutMs`. */
export async function waitForEnd(pid: number, timeoutMs: number): Promise<boolean> {
  const until = performance.now() + timeoutMs;
  while (isAlive(pid)) {
    if (performance.now() >= until) return false;
    await pause(15);
  }
  return true;
}

/** Ends a process: TERM, and KILL when it is still there after `graceMs`. */
export async function endProcess(pid: number, graceMs: number): Promise<void> {
  signal(pid, "SIGTERM");
  if (await waitForEnd(pid, graceMs)) return;
  signal(pid, "SIGKILL");
  await waitForEnd(pid, 2_000);
}

/** Sends a signal to a process that may be gone already. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone, which is what was wanted.
  }
}

/** Resolves after `ms`. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
