import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { LastgoodError } from "../../core/errors/index.ts";
import type { OutputValue, Tensor } from "../../core/tensor/index.ts";
import { connectPeer, socketFolder, type Peer, type PeerIdentity } from "../../link/peer/index.ts";
import type { ModelArguments } from "./model-arguments.ts";
import {
  decodeRan,
  describedSchema,
  encodeRun,
  type Described,
  type Ran,
} from "./model-requests.ts";
import type { TensorParts } from "./tensor-frame.ts";

/** Its engine blocks hello while it loads and runs, so silence is not death for this long, ms. */
const HELLO_TIMEOUT_MS = 30_000;
const START_TIMEOUT_MS = 30_000;
const LOAD_TIMEOUT_MS = 120_000;
/** Longest one sample may take, ms. */
const ALONE_TIMEOUT_MS = 30_000;
const POLL_MS = 3;
/** After `exit` a process has this long before TERM, and as long again before KILL, ms. */
const PATIENCE_MS = 1_000;
const LOG_BYTES = 5 * 1024 * 1024;
const SOCKET_PATH_BYTES = 107;

/** What every model process of one gateway has in common. */
export interface ProcessOptions {
  readonly dataDir: string;
  /** The bundle that runs as a model process. */
  readonly modelEntry: string;
  readonly self: PeerIdentity;
}

/** A model process that has loaded its version. */
export interface ModelProcess {
  readonly socket: string;
  readonly pid: number;
  readonly described: Described;
  /** Resolves with why when it ended without being asked to. */
  readonly died: Promise<string>;
  /**
   * @throws `runtime.failed` with what the version threw; `runtime.timeout` past `timeoutMs`;
   * `runtime.unavailable` when it died.
   */
  run(inputs: readonly TensorParts[], timeoutMs: number): Promise<Ran>;
  /** Ends it: asks, then TERM, then KILL. Resolves when it is gone. */
  stop(): Promise<void>;
}

/** Where the process of a subject and version listens: the same for every gateway, so it is found again. */
export function modelSocket(dataDir: string, subject: string, digest: string): string {
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

/** A process and its connection; `child` is null where it was adopted. */
interface Started {
  readonly peer: Peer;
  readonly child: ChildProcess | null;
}

/** Anyone who may signal the process: its starter knows it is the same, others go by its pid. */
type Signal = (signal: "SIGTERM" | "SIGKILL") => void;

function signalOf(peer: Peer, child: ChildProcess | null): Signal {
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

/** True while the pid names a process that is more than a zombie. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return !/^\d+ \(.*\) Z /s.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return process.platform !== "linux";
  }
}

async function gone(pid: number): Promise<void> {
  for (let waitedMs = 0; isAlive(pid) && waitedMs < 2 * PATIENCE_MS; waitedMs += POLL_MS)
    await sleep(POLL_MS);
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

async function stopPeer(peer: Peer, signal: Signal): Promise<void> {
  if (peer.isOpen) peer.request("exit", {}).catch(() => undefined);
  if (!(await endedWithin(peer, PATIENCE_MS))) signal("SIGTERM");
  if (!(await endedWithin(peer, PATIENCE_MS))) signal("SIGKILL");
  await peer.closed;
  await gone(peer.other.pid);
}

function openLog(dataDir: string, subject: string): { readonly fd: number; readonly path: string } {
  const folder = join(dataDir, "logs");
  mkdirSync(folder, { recursive: true });
  const kind = subject.startsWith("inspect/") ? "inspect" : subject;
  const path = join(folder, `model-${kind.replaceAll(/[^A-Za-z0-9._-]/g, "-")}.log`);
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return { fd: openSync(path, size > LOG_BYTES ? "w" : "a"), path };
}

function lastLine(path: string): string {
  return readFileSync(path, "utf8").trim().split("\n").at(-1) ?? "";
}

function howItEnded(child: ChildProcess): string {
  return child.signalCode === null ? `exit code ${child.exitCode}` : `signal ${child.signalCode}`;
}

function dial(socket: string, self: PeerIdentity): Promise<Peer> {
  return connectPeer(socket, {
    self,
    helloTimeoutMs: HELLO_TIMEOUT_MS,
    onRequest: (frame) => {
      throw new LastgoodError("link.invalid", `a gateway answers a model process no ${frame.kind}`);
    },
  });
}

/** Starts a process and waits for its hello. */
async function start(options: ProcessOptions, args: ModelArguments): Promise<Started> {
  const log = openLog(options.dataDir, args.subject);
  const child = spawn(process.execPath, [options.modelEntry, JSON.stringify(args)], {
    detached: true,
    stdio: ["ignore", log.fd, log.fd],
  });
  closeSync(log.fd);
  let failed: Error | null = null;
  child.on("error", (error) => {
    failed = error;
  });
  child.unref();
  for (const deadline = performance.now() + START_TIMEOUT_MS; ; await sleep(POLL_MS)) {
    const peer = await dial(args.socket, options.self).catch(() => null);
    if (peer !== null && peer.other.pid === child.pid) return { peer, child };
    peer?.close();
    if (failed !== null || child.exitCode !== null || child.signalCode !== null)
      throw new LastgoodError(
        "runtime.failed",
        `the model process of ${args.subject} did not start (${failed === null ? howItEnded(child) : String(failed)}): ${lastLine(log.path)}`,
        { hint: `its log: ${log.path}`, ...(failed === null ? {} : { cause: failed }) },
      );
    if (performance.now() > deadline) {
      child.kill("SIGKILL");
      throw new LastgoodError(
        "runtime.timeout",
        `the model process of ${args.subject} did not listen within ${START_TIMEOUT_MS} ms`,
        { hint: `its log: ${log.path}` },
      );
    }
  }
}

/** The process that already listens for this subject, or null; one that is another is ended first. */
async function adopt(options: ProcessOptions, args: ModelArguments): Promise<Peer | null> {
  const peer = await dial(args.socket, options.self).catch(() => null);
  if (peer === null) return null;
  const { role, subject, digest, build } = peer.other;
  if (
    role === "model" &&
    subject === args.subject &&
    digest === args.digest &&
    build === args.build
  )
    return peer;
  await stopPeer(peer, signalOf(peer, null));
  return null;
}

async function whyItDied(peer: Peer, child: ChildProcess | null): Promise<string> {
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

/** Runs one set of inputs by itself. @throws as `ModelProcess.run` does. */
export async function runAlone(
  model: ModelProcess,
  inputs: readonly Tensor[],
): Promise<readonly OutputValue[]> {
  const parts = inputs.map((input) => ({ ...input, parts: [input.data] }));
  return (await model.run(parts, ALONE_TIMEOUT_MS)).outputs;
}

async function run(
  { peer, child }: Started,
  inputs: readonly TensorParts[],
  timeoutMs: number,
): Promise<Ran> {
  const { body, payload } = encodeRun(inputs);
  try {
    return decodeRan(await peer.request("run", body, { timeoutMs, payload }));
  } catch (cause) {
    if (LastgoodError.from(cause).code !== "server.unreachable") throw cause;
    if (peer.isOpen)
      throw new LastgoodError(
        "runtime.timeout",
        `the model did not answer within ${timeoutMs} ms`,
        {
          cause,
        },
      );
    throw new LastgoodError("runtime.unavailable", await whyItDied(peer, child), { cause });
  }
}

/**
 * The running process of a subject and version where there is one that agrees, else a new one;
 * resolves when it has loaded the version.
 * @throws what the load threw: `artifact.*`, `runtime.unavailable`; `runtime.failed` when no process
 * came up.
 */
export async function claimModelProcess(
  options: ProcessOptions,
  args: ModelArguments,
): Promise<ModelProcess> {
  const adopted = await adopt(options, args);
  const started: Started =
    adopted === null ? await start(options, args) : { peer: adopted, child: null };
  const { peer, child } = started;
  let stopping: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopping ??= stopPeer(peer, signalOf(peer, child)).then(() => {
      rmSync(args.socket, { force: true });
    });
    return stopping;
  };
  try {
    const reply = await peer.request("describe", {}, { timeoutMs: LOAD_TIMEOUT_MS });
    return {
      socket: args.socket,
      pid: peer.other.pid,
      described: describedSchema.parse(reply.body),
      died: new Promise((resolve) => {
        void peer.closed.then(async () => {
          if (stopping === null) resolve(await whyItDied(peer, child));
        });
      }),
      run: (inputs, timeoutMs) => run(started, inputs, timeoutMs),
      stop,
    };
  } catch (error) {
    const died = peer.isOpen ? null : await whyItDied(peer, child);
    await stop();
    throw died === null
      ? error
      : new LastgoodError("runtime.failed", `${died} while it loaded the version`, {
          cause: error,
        });
  }
}
