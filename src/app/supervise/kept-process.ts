import { createHash } from "node:crypto";

import { LastgoodError } from "../../core/errors/index.ts";
import { connectPeer, type Peer, type PeerIdentity } from "../../link/peer/index.ts";
import { commandLine, endProcess, pause, signal, waitForEnd } from "./process-end.ts";
import { startProcess, type StartedProcess } from "./started-process.ts";

/** Which process is kept alive, and how it is started and reached. */
export interface KeptProcessOptions {
  readonly role: "control" | "gateway";
  readonly program: string;
  /** Given to it as JSON in its standard input. */
  readonly config: Readonly<Record<string, unknown>> & { readonly dataDir: string };
  /** Unix socket on which it answers hello. */
  readonly socket: string;
  readonly logFile: string;
  /** Of the supervisor; `build` and `subject` are what the process must say too. */
  readonly self: PeerIdentity;
  readonly onEvent: (event: ProcessEvent) => void;
  /** It is being started, and `record` names it. */
  readonly onStarting: () => void;
}

/** What became of a kept process. */
export type ProcessEvent =
  | {
      readonly kind: "adopted" | "started" | "replaced";
      readonly role: string;
      readonly pid: number;
    }
  | {
      readonly kind: "ended";
      readonly role: string;
      readonly pid: number;
      readonly againInMs: number;
    }
  | {
      readonly kind: "failed";
      readonly role: string;
      readonly why: string;
      readonly againInMs: number;
    };

/** Longest wait for a started process's hello, ms; its machine may be very busy. */
const HELLO_MS = 20_000;
const DIAL_EVERY_MS = 10;
/** Longest wait for the hello of one that runs already, ms. */
const ADOPT_MS = 2_000;
const FIRST_BACKOFF_MS = 100;
/** Without the gateway nobody is served: it is never left down for longer than this. */
const MAX_BACKOFF_MS = 1_000;
/** A process that lived this long was well: the next restart is at once again. */
const WELL_AFTER_MS = 10_000;

/**
 * Keeps one process alive: takes over the one that runs, else starts it, sees its death as the end of
 * the connection and starts it again (0, 100, 200 … 5000 ms later, at once after 10 s of life).
 */
export class KeptProcess {
  readonly #role: "control" | "gateway";
  readonly #configDigest: string;
  readonly #options: KeptProcessOptions;
  #peer: Peer | null = null;
  #starting: StartedProcess | null = null;
  #ending = false;
  #loop: Promise<void> | null = null;

  constructor(options: KeptProcessOptions) {
    this.#role = options.role;
    this.#options = options;
    const text = JSON.stringify(options.config);
    this.#configDigest = createHash("sha256").update(text).digest("hex").slice(0, 16);
  }

  /** What `server.json` says of the process, so that the next supervisor knows it again; also one that starts. */
  record(): { readonly pid: number; readonly config: string } | null {
    const pid = this.#starting?.pid ?? this.#peer?.other.pid;
    return pid === undefined ? null : { pid, config: this.#configDigest };
  }

  /**
   * Takes over the process that listens on the socket when it is of this build and was started with
   * this configuration (`recorded` says with which one); ends it otherwise. True when it was taken.
   */
  async adopt(
    recorded: { readonly pid: number; readonly config: string } | null,
  ): Promise<boolean> {
    const peer = await this.#find(recorded);
    if (peer === null) {
      // Nobody answers, but one that hangs may still hold the port.
      if (recorded !== null && this.#isOurProgram(recorded.pid))
        await endProcess(recorded.pid, 500);
      return false;
    }
    const { self } = this.#options;
    const sameConfig = recorded?.pid === peer.other.pid && recorded.config === this.#configDigest;
    const isOurs = peer.other.role === this.#role && peer.other.subject === self.subject;
    if (isOurs && sameConfig && peer.other.build === self.build) {
      this.#peer = peer;
      this.#options.onEvent({ kind: "adopted", role: this.#role, pid: peer.other.pid });
      this.#loop = this.#keep(peer);
      return true;
    }
    if (isOurs) {
      this.#options.onEvent({ kind: "replaced", role: this.#role, pid: peer.other.pid });
      await this.#askToEnd(peer, 10_000);
      await endProcess(peer.other.pid, 3_000);
    }
    peer.close();
    return false;
  }

  /**
   * Starts the process and keeps it alive from then on.
   * @throws the process's own error when it ends before it said hello.
   */
  async start(): Promise<void> {
    const peer = await this.#bring();
    this.#loop = this.#keep(peer);
  }

  /** Ends the process: asks it to, then TERM, then KILL. `hurry` skips the asking. */
  async end(drainMs: number, hurry: boolean): Promise<void> {
    this.#ending = true;
    const starting = this.#starting;
    if (starting !== null) await endProcess(starting.pid, hurry ? 0 : 500);
    const peer = this.#peer;
    if (peer !== null) {
      if (peer.isOpen && !hurry) await this.#askToEnd(peer, drainMs);
      await endProcess(peer.other.pid, hurry ? 300 : 3_000);
      peer.close();
    }
    await this.#loop;
  }

  /** From now on its end is not followed by a new start. */
  letGo(): void {
    this.#ending = true;
  }

  async #askToEnd(peer: Peer, drainMs: number): Promise<void> {
    const kind = this.#role === "gateway" ? "gateway.drain" : "shutdown";
    const timeoutMs = this.#role === "gateway" ? drainMs + 500 : 2_000;
    await peer.request(kind, { timeoutMs: drainMs }, { timeoutMs }).catch(() => undefined);
    if (this.#role === "control") await waitForEnd(peer.other.pid, 2_000);
  }

  async #keep(first: Peer): Promise<void> {
    let peer = first;
    let backoffMs = 0;
    while (!this.#ending) {
      const since = performance.now();
      await peer.closed;
      if (this.#ending) return;
      if (performance.now() - since > WELL_AFTER_MS) backoffMs = 0;
      const { pid } = peer.other;
      this.#options.onEvent({ kind: "ended", role: this.#role, pid, againInMs: backoffMs });
      await this.#makeSureOfEnd(pid);
      // From here on the pid may become anybody's.
      this.#peer = null;
      const next = await this.#bringAgain(backoffMs);
      if (next === null) return;
      peer = next.peer;
      backoffMs = nextBackoff(next.backoffMs);
    }
  }

  /** Starts it until it says hello; null when it is not wanted any more. */
  async #bringAgain(firstBackoffMs: number): Promise<{ peer: Peer; backoffMs: number } | null> {
    for (let backoffMs = firstBackoffMs; ; backoffMs = nextBackoff(backoffMs)) {
      await pause(backoffMs);
      if (this.#ending) return null;
      try {
        return { peer: await this.#bring(), backoffMs };
      } catch (error) {
        if (this.#ending) return null;
        const why = LastgoodError.from(error).message;
        const againInMs = nextBackoff(backoffMs);
        this.#options.onEvent({ kind: "failed", role: this.#role, why, againInMs });
      }
    }
  }

  async #bring(): Promise<Peer> {
    const { program, config, logFile } = this.#options;
    const started = startProcess(program, config, logFile);
    this.#starting = started;
    // A supervisor that dies before it is up leaves word of it: the next one would take it for a stranger.
    this.#options.onStarting();
    try {
      const peer = await this.#hello(started);
      this.#peer = peer;
      this.#options.onEvent({ kind: "started", role: this.#role, pid: started.pid });
      return peer;
    } finally {
      this.#starting = null;
    }
  }

  /** The process that answers on the socket, or will in a moment: its supervisor died while it was started. */
  async #find(recorded: { readonly pid: number } | null): Promise<Peer | null> {
    for (const until = performance.now() + ADOPT_MS; ; await pause(DIAL_EVERY_MS)) {
      const peer = await this.#dial(ADOPT_MS).catch(() => null);
      const isComing = recorded !== null && this.#isOurProgram(recorded.pid);
      if (peer !== null || !isComing || performance.now() >= until) return peer;
    }
  }

  /** Dials until the process just started answers; it, and not a predecessor. */
  async #hello(started: StartedProcess): Promise<Peer> {
    const until = performance.now() + HELLO_MS;
    while (performance.now() < until) {
      if (started.hasEnded()) throw started.error(this.#role);
      const peer = await this.#dial(5_000).catch(() => null);
      if (peer?.other.pid === started.pid) return peer;
      peer?.close();
      await pause(DIAL_EVERY_MS);
    }
    signal(started.pid, "SIGKILL");
    throw new LastgoodError("internal", `the ${this.#role} said no hello within ${HELLO_MS} ms`);
  }

  #dial(helloTimeoutMs: number): Promise<Peer> {
    const { self, socket } = this.#options;
    return connectPeer(socket, { self, onRequest, helloTimeoutMs });
  }

  /** Its connection is gone; one that hangs in its end would still hold the port. */
  async #makeSureOfEnd(pid: number): Promise<void> {
    if (await waitForEnd(pid, 1_000)) return;
    if (this.#isOurProgram(pid)) await endProcess(pid, 0);
  }

  #isOurProgram(pid: number): boolean {
    const name = `/${this.#role}.cjs`;
    const line = commandLine(pid) ?? [];
    // By now the pid may be another server's.
    return (
      line.some((argument) => argument.endsWith(name)) &&
      line.includes(this.#options.config.dataDir)
    );
  }
}

function onRequest(): never {
  throw new LastgoodError("link.invalid", "the supervisor answers no requests");
}

function nextBackoff(ms: number): number {
  return ms === 0 ? FIRST_BACKOFF_MS : Math.min(MAX_BACKOFF_MS, ms * 2);
}
