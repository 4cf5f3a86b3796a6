import { spawn, type ChildProcess } from "node:child_process";
import { get } from "node:http";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { LastgoodError } from "../../core/errors/index.ts";
import { fillIn, type Launcher } from "../../core/launcher/index.ts";
import { PROCESS_MARK, ProcessTree } from "../../link/process-tree/index.ts";
import { readyPathOf } from "../runtime-remote/index.ts";
import type { Environment } from "./environment.ts";
import { inheritedVariables } from "./inherited-variables.ts";
import type { RotatedLog } from "./rotated-log.ts";

const HOST = "127.0.0.1";
const READY_POLL_MS = 50;
const HEALTH_TIMEOUT_MS = 5_000;
/** The last look has this long: a shorter one would tell of its own end, not of what the server says. */
const LEAST_LOOK_MS = 500;
const WATCH_MS = 1_000;
const LINES_SHOWN = 5;

/** What a server is started from. */
export interface ServerParts {
  readonly launcher: Launcher;
  readonly environment: Environment;
  readonly folder: string;
  /** Marks what it starts as its own. */
  readonly mark: string;
  readonly log: RotatedLog;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, HOST, () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** The status of a GET, or why there was none: also where its answer has not come to its end by then. */
function statusOf(port: number, path: string, timeoutMs: number): Promise<number | string> {
  return new Promise((resolve) => {
    const request = get({ host: HOST, port, path, agent: false }, (response) => {
      response.resume();
      response.once("error", (error) => resolve(error.message));
      response.once("end", () => resolve(response.statusCode ?? "no status"));
    });
    const timer = setTimeout(() => {
      resolve(`no answer in ${timeoutMs} ms`);
      request.destroy();
    }, timeoutMs);
    request.once("error", (error) => resolve(error.message));
    request.once("close", () => clearTimeout(timer));
  });
}

/** Of a server that speaks something of its own and names no path, any answer but its failure will do. */
function isGood(status: number | string, { protocol, health }: Launcher): boolean {
  if (typeof status !== "number") return false;
  return protocol === "passthrough" && health === null
    ? status < 500
    : status >= 200 && status < 300;
}

function inMegabytes(bytes: number): string {
  return `${Math.round(bytes / 1e5) / 10} MB`;
}

/** What to look at when a server was not ready in time. */
function whenNotReady(last: number | string): string {
  if (typeof last === "number")
    return "health of its launcher names the path that answers 2xx once it is ready";
  return last.includes("ECONNREFUSED")
    ? "nothing listens there: a server finds its port in $PORT or {port} of its launcher's command"
    : "it has to answer GET requests there while it starts";
}

function variables(parts: ServerParts, port: number): NodeJS.ProcessEnv {
  const { environment, launcher, folder, mark } = parts;
  const own = Object.entries(launcher.env).map(
    ([name, value]) => [name, fillIn(value, values(parts, port))] as const,
  );
  const { programs } = environment;
  const path = process.env["PATH"] ?? "";
  return {
    ...inheritedVariables(),
    // The folder is read-only, and lines are to be seen when they are printed.
    PYTHONDONTWRITEBYTECODE: "1",
    PYTHONUNBUFFERED: "1",
    PATH: programs === null ? path : `${programs}:${path}`,
    ...Object.fromEntries(own),
    HOST,
    PORT: String(port),
    LASTGOOD_MODEL_FOLDER: folder,
    LASTGOOD_MODEL_NAME: launcher.model,
    [PROCESS_MARK]: mark,
  };
}

function values({ environment, launcher, folder }: ServerParts, port: number) {
  return { port: String(port), folder, python: environment.python, name: launcher.model };
}

/** A server on a port of its own, and everything it starts. */
export class ServerProcess {
  readonly port: number;
  readonly pid: number;
  /** Resolves with why when it ended, or was ended for what it did; never after `end`. */
  readonly ended: Promise<string>;
  readonly #parts: ServerParts;
  readonly #tree: ProcessTree;
  readonly #settle: (why: string) => void;
  #endedWhy: string | null = null;
  #isReady = false;
  #isEnding = false;
  #isLooking = false;
  #watch: NodeJS.Timeout | null = null;
  #healthyAt = performance.now();
  /** When it was last heard to answer a request. */
  #answeredAt = -Infinity;
  /** Longest time for the next look, ms. */
  #patienceMs = HEALTH_TIMEOUT_MS;

  private constructor(parts: ServerParts, port: number, child: ChildProcess, pid: number) {
    this.port = port;
    this.pid = pid;
    this.#parts = parts;
    this.#tree = new ProcessTree(pid, parts.mark);
    const { promise, resolve } = Promise.withResolvers<string>();
    this.ended = promise;
    this.#settle = (why) => {
      this.#endedWhy ??= why;
      if (!this.#isEnding) resolve(this.#endedWhy);
    };
    child.once("exit", (code, signal) => {
      const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
      // What it printed last may still be on its way.
      setTimeout(
        () =>
          this.#settle(`the server (pid ${pid}) ended with ${how}${this.#when()}${this.#said()}`),
        20,
      );
    });
  }

  /**
   * Starts it, unless `signal` says by then that it is not wanted any more.
   * @throws `runtime.failed` when the program cannot be run; the signal's reason.
   */
  static async start(parts: ServerParts, signal: AbortSignal): Promise<ServerProcess> {
    const port = await freePort();
    signal.throwIfAborted();
    const [program = "", ...args] = parts.launcher.command.map((each) =>
      fillIn(each, values(parts, port)),
    );
    const child = spawn(program, args, {
      cwd: parts.folder,
      env: variables(parts, port),
      // A session of its own: its group can be ended as one, and Ctrl-C does not reach it.
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => parts.log.write(chunk));
    const failed = new Promise<never>((_, reject) => {
      child.once("error", (cause) => {
        const message = `${program} cannot be started: ${cause.message}`;
        const hint = "check the launcher's command in the server's configuration";
        reject(new LastgoodError("runtime.failed", message, { cause, hint }));
      });
    });
    const { pid } = child;
    if (pid === undefined) return failed;
    failed.catch(() => undefined);
    return new ServerProcess(parts, port, child, pid);
  }

  /**
   * Waits until its health check says 2xx; a look that began in time may end up to 0.5 s late.
   * @throws `runtime.failed` when it ended, `runtime.timeout` when it was not ready in time.
   */
  async ready(): Promise<void> {
    const path = this.#healthPath;
    const { startTimeoutMs } = this.#parts.launcher;
    const until = performance.now() + startTimeoutMs;
    let last: number | string = "";
    for (let left = startTimeoutMs; left > 0; left = until - performance.now()) {
      if (this.#endedWhy !== null)
        throw new LastgoodError("runtime.failed", this.#endedWhy, { hint: this.#logHint });
      const timeoutMs = Math.max(LEAST_LOOK_MS, Math.min(HEALTH_TIMEOUT_MS, Math.round(left)));
      last = await Promise.race([statusOf(this.port, path, timeoutMs), this.ended]);
      if (isGood(last, this.#parts.launcher)) {
        this.#isReady = true;
        this.#healthyAt = performance.now();
        this.#watch = setInterval(() => void this.#look(), this.#lookEveryMs());
        return;
      }
      await sleep(READY_POLL_MS);
    }
    const hint = `${whenNotReady(last)}; one that needs longer: startTimeout of its launcher; ${this.#logHint}`;
    throw new LastgoodError(
      "runtime.timeout",
      `the server was not ready within ${startTimeoutMs} ms: GET http://${HOST}:${this.port}${path}: ${last}${this.#said()}`,
      { hint },
    );
  }

  /** Memory that it and all it started use now, bytes; null where the system does not say. */
  memoryBytes(): number | null {
    return this.#tree.residentBytes();
  }

  /** Hears that it has answered a request: where its health check gets no answer, that says it is busy. */
  answered(): void {
    this.#answeredAt = performance.now();
  }

  /** Ends it and all it started: TERM, and KILL for what is left. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#stopWatching();
    await this.#tree.end(this.#parts.launcher.stopTimeoutMs);
  }

  /** Ends what an ended server has left behind. */
  async sweep(): Promise<void> {
    this.#isEnding = true;
    this.#stopWatching();
    await this.#tree.end(0);
  }

  get #healthPath(): string {
    const { health, protocol, model } = this.#parts.launcher;
    return readyPathOf({ health, protocol, model });
  }

  #lookEveryMs(): number {
    const { unhealthyMs } = this.#parts.launcher;
    return unhealthyMs === 0 ? WATCH_MS : Math.min(WATCH_MS, Math.max(100, unhealthyMs / 4));
  }

  #stopWatching(): void {
    if (this.#watch !== null) clearInterval(this.#watch);
    this.#watch = null;
  }

  async #look(): Promise<void> {
    const { unhealthyMs, memoryBytes } = this.#parts.launcher;
    // Also without a limit: what is seen to be of the tree now is still known when its parent has died.
    const used = this.memoryBytes();
    if (memoryBytes !== null && used !== null && used > memoryBytes)
      return this.#giveUp(
        `the server (pid ${this.pid}) took ${inMegabytes(used)} of memory, its launcher allows ${inMegabytes(memoryBytes)}`,
      );
    if (unhealthyMs === 0) return;
    if (this.#isLooking) return;
    this.#isLooking = true;
    const status = await statusOf(this.port, this.#healthPath, this.#lookMs(unhealthyMs));
    this.#isLooking = false;
    const now = performance.now();
    if (isGood(status, this.#parts.launcher)) {
      this.#healthyAt = now;
      this.#patienceMs = HEALTH_TIMEOUT_MS;
      return;
    }
    // A look that waits behind work gets no answer. One that says no is believed.
    if (typeof status === "string") {
      this.#patienceMs *= 2;
      this.#healthyAt = Math.max(this.#healthyAt, this.#answeredAt);
    }
    if (now - this.#healthyAt > unhealthyMs)
      this.#giveUp(
        `the server (pid ${this.pid}) was not healthy for ${unhealthyMs} ms: GET ${this.#healthPath}: ${status}`,
      );
  }

  /** How long a look may take: longer each time it gets no answer, and not beyond when it is given up. */
  #lookMs(unhealthyMs: number): number {
    const left = this.#healthyAt + unhealthyMs - performance.now();
    const wanted = Math.ceil(Math.min(this.#patienceMs, left));
    return Math.max(wanted, Math.min(LEAST_LOOK_MS, unhealthyMs));
  }

  #giveUp(why: string): void {
    this.#stopWatching();
    this.#settle(why);
  }

  #when(): string {
    return this.#isReady ? "" : " before it was ready";
  }

  get #logHint(): string {
    return `all it printed: ${this.#parts.log.path}`;
  }

  #said(): string {
    const lines = this.#parts.log.lastLines(LINES_SHOWN);
    if (lines !== "") return `; it printed last: ${lines}`;
    return this.#isReady ? "" : "; it printed nothing";
  }
}
