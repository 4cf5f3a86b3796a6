import { execFileSync } from "node:child_process";

/** What is measured runs on this core… */
export const MEASURED_CORE = 0;
/** …and what measures it, on this one. */
export const LOAD_CORE = 1;

function taskset(core: number, pid: number): boolean {
  try {
    execFileSync("taskset", ["-a", "-c", "-p", String(core), String(pid)], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Keeps this process, all its threads and what they start to a core. False where that cannot be done. */
export function stayOn(core: number): boolean {
  return taskset(core, process.pid);
}

/** Keeps processes that run already to a core. */
export function moveTo(core: number, pids: readonly number[]): void {
  for (const pid of pids) taskset(core, pid);
}

/** What `start` starts at once, before it first waits, stays on the core, and all that comes of it. */
export function startedOn<T>(core: number, start: () => T): T {
  stayOn(core);
  try {
    return start();
  } finally {
    stayOn(LOAD_CORE);
  }
}
