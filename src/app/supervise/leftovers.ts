import { readdirSync } from "node:fs";
import { join } from "node:path";

import { connectPeer, type PeerIdentity } from "../../link/peer/index.ts";
import { endProcesses, markedProcesses } from "../../link/process-tree/index.ts";
import { commandLine, endProcess } from "./process-end.ts";

/**
 * Ends model processes of this data folder that nobody ended: those that answer on a socket in its
 * folder, and those that are too busy to, where `/proc` shows what they were started with.
 */
export async function endModelProcesses(socketFolder: string, self: PeerIdentity): Promise<number> {
  const pids = new Set([...(await answering(socketFolder, self)), ...started(socketFolder)]);
  await Promise.all([...pids].map((pid) => endProcess(pid, 500)));
  // A shim that had no time to could not end its server.
  await endProcesses(() => markedProcesses(`${socketFolder}/`));
  return pids.size;
}

function onRequest(): { readonly body: null } {
  return { body: null };
}

async function answering(socketFolder: string, self: PeerIdentity): Promise<number[]> {
  const sockets = list(socketFolder).filter((name) => name.endsWith(".sock"));
  const found = await Promise.all(
    sockets.map(async (name) => {
      const options = { self, onRequest, helloTimeoutMs: 500 };
      const peer = await connectPeer(join(socketFolder, name), options).catch(() => null);
      peer?.close();
      const isModel = peer?.other.role === "model" || peer?.other.role === "shim";
      return peer !== null && isModel ? [peer.other.pid] : [];
    }),
  );
  return found.flat();
}

function started(socketFolder: string): number[] {
  return list("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const line = commandLine(pid);
      return (
        line !== null &&
        line.some((argument) => /\/(model|shim)\.cjs$/.test(argument)) &&
        line.some((argument) => argument.includes(`${socketFolder}/`))
      );
    });
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
