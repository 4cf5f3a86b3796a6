import { rmSync } from "node:fs";

import { LastgoodError } from "../../core/errors/index.ts";
import { listenPeers, ownIdentity, type Frame, type Reply } from "../../link/peer/index.ts";
import { inodeOf, OrphanWatch } from "./orphan-watch.ts";

/** One that could not get ready waits this long for someone to ask why, ms. */
const FAILED_MS = 5_000;

/** What a process says it holds, and where it listens. */
export interface Holding {
  readonly role: "model" | "shim";
  readonly socket: string;
  readonly build: string;
  readonly subject: string;
  readonly digest: string;
  /** Ends itself after this long without any connection, ms. */
  readonly orphanMs: number;
}

/** What this process holds. */
export interface Held {
  /** Rejects with why it will never serve. */
  readonly ready: Promise<unknown>;
  /** Answers all but `exit`. */
  answer(frame: Frame): Promise<Reply>;
  /** Lets go of all of it; the process ends after it. */
  release(): Promise<void>;
}

/** How what is held speaks up for itself. */
export interface HoldingProcess {
  /** Says something to everyone who is connected. */
  tell(kind: string, body: unknown): void;
  /** Ends this process in order. */
  end(): void;
}

/**
 * Makes this process the holder of a version: it answers on its socket until it is told to end (`exit`,
 * SIGTERM) or nobody has been connected for `orphanMs`.
 */
export async function holdClaim(
  holding: Holding,
  hold: (process: HoldingProcess) => Held,
): Promise<void> {
  const { role, socket, build, subject, digest, orphanMs } = holding;
  let isEnding = false;
  let inode: number | null = null;
  const leave = async (): Promise<void> => {
    // Nobody is to find one that ends. Not where a successor listens there already.
    if (inodeOf(socket) === inode) rmSync(socket, { force: true });
    await held.release();
    process.exit(0);
  };
  const end = (): void => {
    if (isEnding) return;
    isEnding = true;
    // Replies that are written already, `exit`'s own too, still leave.
    setImmediate(() => void leave());
  };
  const orphan = new OrphanWatch(orphanMs, end);
  const held = hold({ tell: (kind, body) => orphan.tell(kind, body), end });
  held.ready.catch((error: unknown) => {
    process.stderr.write(`${subject}: ${LastgoodError.from(error).message}\n`);
    orphan.shorten(FAILED_MS);
  });
  process.on("SIGTERM", end);
  // Ctrl-C in a terminal is the supervisor's business.
  process.on("SIGINT", () => undefined);
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  const onRequest = (frame: Frame): Promise<Reply> | Reply => {
    if (frame.kind !== "exit") return held.answer(frame);
    end();
    return { body: {} };
  };
  await listenPeers(
    socket,
    { self: ownIdentity(role, build, subject, digest), onRequest },
    (peer) => orphan.connected(peer),
  );
  inode = inodeOf(socket);
}
