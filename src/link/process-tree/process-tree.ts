import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Variable that marks everything a shim starts: its value begins with the shim's socket. It is inherited, so
 * that what a server forks is known as its own, whoever became its parent.
 */
export const PROCESS_MARK = "LASTGOOD_PROCESS";

const POLL_MS = 10;
/** KILL is obeyed at once, unless a process hangs in the kernel. */
const KILLED_MS = 3_000;

/** What `/proc/<pid>/stat` says of a process. */
interface Stat {
  readonly state: string;
  readonly parent: number;
  readonly session: number;
}

/** Null where there is no such process, or no `/proc`. */
function statOf(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // A program's name may hold spaces and brackets.
    const [state = "", parent, , session] = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state, parent: Number(parent), session: Number(session) };
  } catch {
    return null;
  }
}

function allPids(): number[] {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

/** True while the pid names a process that is more than a zombie. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = statOf(pid);
  return stat === null ? process.platform !== "linux" : stat.state !== "Z";
}

function markOf(pid: number): string | null {
  try {
    const entry = readFileSync(`/proc/${pid}/environ`, "latin1")
      .split("\0")
      .find((each) => each.startsWith(`${PROCESS_MARK}=`));
    return entry === undefined ? null : entry.slice(PROCESS_MARK.length + 1);
  } catch {
    // Another user's, or gone.
    return null;
  }
}

/** Running processes with a mark that begins so. Empty where the system has no `/proc`. */
export function markedProcesses(prefix: string): number[] {
  return allPids().filter(
    (pid) => markOf(pid)?.startsWith(prefix) === true && statOf(pid)?.state !== "Z",
  );
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It is gone, which is what was wanted.
  }
}

/** Ends what `find` finds with KILL, again and again: what forks meanwhile goes too. */
export async function endProcesses(find: () => readonly number[]): Promise<void> {
  for (let waitedMs = 0; waitedMs < KILLED_MS; waitedMs += POLL_MS) {
    const left = find();
    if (left.length === 0) return;
    for (const pid of left) kill(pid);
    await sleep(POLL_MS);
  }
}

/** A server that leads a session of its own, and everything that it started. */
export class ProcessTree {
  readonly #root: number;
  readonly #mark: string;
  /** Sessions that were seen to be of it; a process may leave the first one, and then lose its parent. */
  #sessions: ReadonlySet<number>;

  constructor(root: number, mark: string) {
    this.#root = root;
    this.#mark = mark;
    this.#sessions = new Set([root]);
  }

  /**
   * Running processes of the tree: of its sessions, marked as its own, or begun by one of these.
   * Without `/proc` the first one alone.
   */
  members(): number[] {
    const stats = new Map(allPids().map((pid) => [pid, statOf(pid)] as const));
    if (stats.size === 0) return isRunning(this.#root) ? [this.#root] : [];
    const known = new Set<number>();
    for (const [pid, stat] of stats)
      if (stat !== null && (this.#sessions.has(stat.session) || markOf(pid) === this.#mark))
        known.add(pid);
    for (let before = -1; before !== known.size;) {
      before = known.size;
      for (const [pid, stat] of stats) if (stat !== null && known.has(stat.parent)) known.add(pid);
    }
    this.#remember(
      [...known].map((pid) => stats.get(pid)?.session),
      known,
    );
    return [...known].filter((pid) => stats.get(pid)?.state !== "Z");
  }

  /** Only sessions that somebody is in: the number of another may come back as a stranger's. */
  #remember(found: readonly (number | undefined)[], known: ReadonlySet<number>): void {
    const sessions = new Set([this.#root]);
    for (const session of found) {
      if (session === undefined) continue;
      // One that is led from inside is its own; the session of whoever started us is not.
      if (known.has(session) || this.#sessions.has(session)) sessions.add(session);
    }
    this.#sessions = sessions;
  }

  /** Memory of all of it that is in use now, bytes; null where the system does not say. */
  residentBytes(): number | null {
    let total = 0;
    let isKnown = false;
    for (const pid of this.members()) {
      try {
        const found = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
        total += Number(found?.[1] ?? 0) * 1024;
        isKnown = true;
      } catch {
        // It ended meanwhile.
      }
    }
    return isKnown ? total : null;
  }

  /** Ends all of it: TERM to the first one's group, and KILL for what is left after `graceMs`. */
  async end(graceMs: number): Promise<void> {
    // While the first one lives: what it began is found by it, and known from then on by its session.
    this.members();
    this.#signalGroup("SIGTERM");
    const until = performance.now() + graceMs;
    while (performance.now() < until && this.members().length > 0) await sleep(POLL_MS);
    if (this.members().length === 0) return;
    this.#signalGroup("SIGKILL");
    await endProcesses(() => this.members());
  }

  #signalGroup(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.#root, signal);
    } catch {
      // The whole group is gone.
    }
  }
}
