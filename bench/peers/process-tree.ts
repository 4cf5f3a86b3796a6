import { readdirSync, readFileSync } from "node:fs";

/** Ticks per second of /proc/<pid>/stat; 100 on every Linux platform that Node supports. */
const TICKS_PER_S = 100;

interface Stat {
  readonly parent: number;
  readonly cpuMs: number;
}

/** Null once the process is gone. */
function statOf(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const ticks = Number(fields[11]) + Number(fields[12]);
    return { parent: Number(fields[1]), cpuMs: (ticks * 1_000) / TICKS_PER_S };
  } catch {
    return null;
  }
}

/** Processes and all that descend from them. */
export function treeOf(roots: readonly number[]): readonly number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const parent = statOf(Number(entry))?.parent;
    if (parent === undefined) continue;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [Number(entry)]);
    else siblings.push(Number(entry));
  }
  const found: number[] = [];
  const open = [...roots];
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    found.push(pid);
    open.push(...(children.get(pid) ?? []));
  }
  return found;
}

/** Resident memory of the processes, MB. What they share counts once for each. */
export function residentMb(pids: readonly number[]): number {
  let kb = 0;
  for (const pid of pids) {
    try {
      kb += Number(
        /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0,
      );
    } catch {
      // It ended meanwhile.
    }
  }
  return kb / 1024;
}

/** Gives how much CPU time the processes that are still there have used since now, ms. */
export function cpuSince(pids: readonly number[]): () => number {
  const before = new Map(pids.map((pid) => [pid, statOf(pid)?.cpuMs ?? 0]));
  return () => {
    let used = 0;
    for (const [pid, ms] of before) used += Math.max(0, (statOf(pid)?.cpuMs ?? ms) - ms);
    return used;
  };
}

/** Ends a process and all that descend from it. */
export function endTree(root: number): void {
  for (const pid of treeOf([root])) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended meanwhile.
    }
  }
}
