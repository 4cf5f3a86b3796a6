import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The pid that listens on a TCP port of this machine, where `/proc` shows it, else null. */
export function listenerPid(port: number): number | null {
  const inodes = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of readLines(table)) {
      const fields = line.trim().split(/\s+/);
      const isListening = fields[3] === "0A";
      const localPort = Number.parseInt(fields[1]?.split(":").at(-1) ?? "", 16);
      if (isListening && localPort === port) inodes.add(`socket:[${fields[9]}]`);
    }
  }
  if (inodes.size === 0) return null;
  const pids = list("/proc").filter((name) => /^\d+$/.test(name));
  const owner = pids.find((pid) =>
    list(`/proc/${pid}/fd`).some((fd) => inodes.has(target(`/proc/${pid}/fd/${fd}`))),
  );
  return owner === undefined ? null : Number(owner);
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, "latin1").split("\n").slice(1);
  } catch {
    return [];
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function target(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
