import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { LastgoodError } from "../../core/errors/index.ts";
import {
  connectPeer,
  socketFolder,
  type Frame,
  type Peer,
  type PeerIdentity,
} from "../../link/peer/index.ts";
import { isRunning } from "../../link/process-tree/index.ts";
import { startProgram } from "../../link/startup/index.ts";

const START_TIMEOUT_MS = 30_000;
const POLL_MS = 3;
const LOG_BYTES = 5 * 1024 * 1024;
const SOCKET_PATH_BYTES = 107;

/** A process that holds one version: one that runs already and agrees, else a new one. */
export interface Claim {
  /** The bundle it runs. */
  readonly entry: string;
  readonly role: "model" | "shim";
  readonly self: PeerIdentity;
  readonly socket: string;
  readonly build: string;
  /** `endpoint/revision`. */
  readonly subject: string;
  /** What its hello has to say it holds. */
  readonly digest: string;
  /** Its files lie there. */
  readonly dataDir: string;
  /** It is started with this, as JSON in its standard input. */
  readonly config: unknown;
  /** What it prints goes there. */
  readonly logFile: string;
  /** Silence is not death for this long: an engine blocks hello while it loads and runs, ms. */
  readonly helloTimeoutMs: number;
  /** After `exit` it has this long before TERM, and as long again before KILL, ms. */
  readonly patienceMs: number;
  /** Called before a new one is started: what a predecessor that was killed has left behind. */
  readonly beforeStart?: () => Promise<void>;
  /** What it says without being asked. */
  readonly onNotice?: (frame: Frame) => void;
}

/** A process that was started or adopted. */
export interface ClaimedProcess {
  readonly peer: Peer;
  readonly pid: number;
  /** Resolves with why when it ended without being asked to. */
  readonly died: Promise<string>;
  /** How it came to end; to be asked once its connection has ended. */
  whyItDied(): Promise<string>;
  /** Ends it: asks, then TERM, then KILL. Resolves when it is gone. */
  stop(): Promise<void>;
}

/**
 * Where the process of a subject and digest listens: the same for every gateway, so it is found again.
 * @throws `runtime.failed` when the path is longer than the system takes.
 */
export function claimSocket(dataDir: string, subject: string, digest: string): string {
  const name = createHash("sha256").update(`${subject}\n${digest}`).digest("hex").slice(0, 16);
  const path = join(socketFolder(dataDir), `m-${name}.sock`);
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES)
    throw new LastgoodError(
      "runtime.failed",
      `the socket path ${path} is longer than the system takes`,
      {
        hint: "set XDG_RUNTIME_DIR to a shorter folder",
      },
    );
  return path;
}

/** The file that the output of a subject's process goes to. */
export function processLog(dataDir: string, subject: string): string {
  const kind = subject.startsWith("inspect/") ? "inspect" : subject;
  return join(dataDir, "logs", `model-${kind.replaceAll(/[^A-Za-z0-9._-]/g, "-")}.log`);
}

/** A process and its connection; `child` is null where it was adopted. */
interface Started {
  readonly peer: Peer;
  readonly child: ChildProcess | null;
}

/** Anyone who may signal the process: its starter knows it is the same, others go by its pid. */
type Signal = (signal: "SIGTERM" | "SIGKILL") => void;

function signalOf({ peer, child }: Started): Signal {
  return (signal) => {
    if (child !== null) child.kill(signal);
    else if (peer.isOpen) {
      // While the connection stands the pid is still this process's own.
      try {
        process.kill(peer.other.pid, signal);
      } catch {
        // Gone between the two lines.
      }
    }
  };
}

async function gone(pid: number, ms: number): Promise<void> {
  for (let waitedMs = 0; isRunning(pid) && waitedMs < ms; waitedMs += POLL_MS) await sleep(POLL_MS);
}

async function endedWithin(peer: Peer, ms: number): Promise<boolean> {
  const timer = new AbortController();
  const ended = await Promise.race([
    peer.closed.then(() => true),
    sleep(ms, false, { signal: timer.signal, ref: true }).catch(() => false),
  ]);
  timer.abort();
  return ended;
}

async function stopProcess(started: Started, patienceMs: number): Promise<void> {
  const { peer } = started;
  const signal = signalOf(started);
  if (peer.isOpen) peer.request("exit", {}).catch(() => undefined);
  if (!(await endedWithin(peer, patienceMs))) signal("SIGTERM");
  if (!(await endedWithin(peer, patienceMs))) signal("SIGKILL");
  await peer.closed;
  await gone(peer.other.pid, 2 * patienceMs);
}

function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return openSync(path, size > LOG_BYTES ? "w" : "a");
}

function lastLine(path: string): string {
  return readFileSync(path, "utf8").trim().split("\n").at(-1) ?? "";
}

function howItEnded(child: ChildProcess): string {
  return child.signalCode === null ? `exit code ${child.exitCode}` : `signal ${child.signalCode}`;
}

function dial({ socket, self, helloTimeoutMs, onNotice }: Claim): Promise<Peer> {
  return connectPeer(socket, {
    self,
    helloTimeoutMs,
    onRequest: (frame) => {
      if (frame.id === 0 && onNotice !== undefined) {
        onNotice(frame);
        return { body: {} };
      }
      throw new LastgoodError("link.invalid", `a gateway answers a model process no ${frame.kind}`);
    },
  });
}

/** Starts a process and waits for its hello. */
async function start(claim: Claim): Promise<Started> {
  const { entry, config, dataDir, logFile, socket, subject } = claim;
  const log = openLog(logFile);
  const shown = [subject, socket, dataDir];
  const child = startProgram({ program: entry, shown, config, output: log });
  closeSync(log);
  let failed: Error | null = null;
  child.on("error", (error) => {
    failed = error;
  });
  for (const deadline = performance.now() + START_TIMEOUT_MS; ; await sleep(POLL_MS)) {
    const peer = await dial(claim).catch(() => null);
    if (peer !== null && peer.other.pid === child.pid) return { peer, child };
    peer?.close();
    if (failed !== null || child.exitCode !== null || child.signalCode !== null)
      throw new LastgoodError(
        "runtime.failed",
        `the model process of ${subject} did not start (${failed === null ? howItEnded(child) : String(failed)}): ${lastLine(logFile)}`,
        { hint: `its log: ${logFile}`, ...(failed === null ? {} : { cause: failed }) },
      );
    if (performance.now() > deadline) {
      child.kill("SIGKILL");
      throw new LastgoodError(
        "runtime.timeout",
        `the model process of ${subject} did not listen within ${START_TIMEOUT_MS} ms`,
        { hint: `its log: ${logFile}` },
      );
    }
  }
}

/** The process that already listens for this subject, or null; one that is another is ended first. */
async function adopt(claim: Claim): Promise<Started | null> {
  const peer = await dial(claim).catch(() => null);
  if (peer === null) return null;
  const { role, subject, digest, build } = peer.other;
  const started = { peer, child: null };
  if (
    role === claim.role &&
    subject === claim.subject &&
    digest === claim.digest &&
    build === claim.build
  )
    return started;
  await stopProcess(started, claim.patienceMs);
  return null;
}

async function whyItDied({ peer, child }: Started): Promise<string> {
  const { pid, subject } = peer.other;
  if (child === null) return `the model process of ${subject} (pid ${pid}) ended`;
  // The end of the connection may be seen before the end of the process; it is worth a moment.
  for (
    let waitedMs = 0;
    child.exitCode === null && child.signalCode === null;
    waitedMs += POLL_MS
  ) {
    if (waitedMs > 20) {
      child.kill("SIGKILL");
      return `the model process of ${subject} (pid ${pid}) closed its connection`;
    }
    await sleep(POLL_MS);
  }
  return `the model process of ${subject} (pid ${pid}) ended with ${howItEnded(child)}`;
}

/**
 * The running process of a subject and version where there is one that agrees, else a new one that
 * has said hello.
 * @throws `runtime.failed`, `runtime.timeout` when no process came up.
 */
export async function claimProcess(claim: Claim): Promise<ClaimedProcess> {
  let started = await adopt(claim);
  if (started === null) {
    await claim.beforeStart?.();
    started = await start(claim);
  }
  return claimed(claim, started);
}

function claimed(claim: Claim, started: Started): ClaimedProcess {
  const { peer } = started;
  let stopping: Promise<void> | null = null;
  return {
    peer,
    pid: peer.other.pid,
    died: new Promise((resolve) => {
      void peer.closed.then(async () => {
        if (stopping === null) resolve(await whyItDied(started));
      });
    }),
    whyItDied: () => whyItDied(started),
    stop: () => {
      stopping ??= stopProcess(started, claim.patienceMs).then(() => {
        rmSync(claim.socket, { force: true });
      });
      return stopping;
    },
  };
}
