import { readdir } from "node:fs/promises";
import { join } from "node:path";

import type { DoctorCheck } from "../../core/api/index.ts";
import { connectPeer, type PeerIdentity } from "../../link/peer/index.ts";
import { fine, warning } from "./finding.ts";

const HELLO_MS = 1_000;
const onRequest = (): { body: null } => ({ body: null });

/** A model process that answered on a socket of the data folder. */
export interface FoundProcess {
  readonly pid: number;
  /** `endpoint/revision`, or `inspect/…`. */
  readonly subject: string;
}

/** The finding for these processes; `named` are the subjects that routes name. */
export function orphansAmong(
  found: readonly FoundProcess[],
  named: ReadonlySet<string>,
): DoctorCheck {
  const orphans = found.filter(
    ({ subject }) => !named.has(subject) && !subject.startsWith("inspect/"),
  );
  if (orphans.length === 0)
    return fine("processes", `${found.length} model processes, each named by a route`);
  const listed = orphans.map(({ pid, subject }) => `${subject} (pid ${pid})`).join(", ");
  return warning(
    "processes",
    `no route names ${listed}`,
    "they end themselves 30 s after nobody uses them; if they stay, end them by their pid",
  );
}

/** Model processes that listen in the data folder's socket folder; a busy one is left out. */
export async function findModelProcesses(
  socketFolder: string,
  self: PeerIdentity,
): Promise<readonly FoundProcess[]> {
  const names = await readdir(socketFolder).catch(() => []);
  const found = await Promise.all(
    names
      .filter((name) => name.endsWith(".sock") && name !== "control.sock")
      .map(async (name) => {
        const options = { self, onRequest, helloTimeoutMs: HELLO_MS };
        const peer = await connectPeer(join(socketFolder, name), options).catch(() => null);
        peer?.close();
        const isModel = peer?.other.role === "model" || peer?.other.role === "shim";
        return peer !== null && isModel
          ? [{ pid: peer.other.pid, subject: peer.other.subject }]
          : [];
      }),
  );
  return found.flat();
}
