import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { LastgoodError } from "../../core/errors/index.ts";
import { removeUnfinished } from "../../link/environment/index.ts";
import type { Frame, Reply } from "../../link/peer/index.ts";
import { endProcesses, isRunning, markedProcesses } from "../../link/process-tree/index.ts";
import { holdClaim, type Held, type HoldingProcess } from "../claim/index.ts";
import { environmentOf, type Environment } from "./environment.ts";
import { RotatedLog } from "./rotated-log.ts";
import { ServerProcess } from "./server-process.ts";
import { shimArgumentsSchema, type ServerFacts, type ShimArguments } from "./shim-requests.ts";
import { layOut, removeFolder } from "./version-folder.ts";

/** What was said on the way out has left by then, ms. */
const LAST_WORDS_MS = 50;

/** Keeps one server: makes all it needs, starts it, watches it, ends it. */
class Shim implements Held {
  readonly #options: ShimArguments;
  readonly #log: RotatedLog;
  readonly #folder: string;
  /** Of this shim alone: what a successor starts is not ours to end. */
  readonly #mark: string;
  /** The server's facts once it is ready; rejects with why it is not. */
  readonly ready: Promise<ServerFacts>;
  #server: ServerProcess | null = null;
  #environment: Environment | null = null;
  #ending: Promise<void> | null = null;
  readonly #unwanted = new AbortController();
  readonly #around: HoldingProcess;

  constructor(options: ShimArguments, around: HoldingProcess) {
    this.#options = options;
    this.#log = new RotatedLog(options.logFile);
    this.#folder = folderOf(options);
    this.#mark = shimMark(options.socket, process.pid);
    this.#around = around;
    this.ready = this.#start();
  }

  async answer(frame: Frame): Promise<Reply> {
    switch (frame.kind) {
      case "describe":
        return { body: await this.ready };
      case "memory":
        return { body: { bytes: this.#server?.memoryBytes() ?? null } };
      case "answered":
        this.#server?.answered();
        return { body: {} };
      default:
        throw new LastgoodError("link.invalid", `a shim knows no request "${frame.kind}"`);
    }
  }

  /** Ends the server and all that it started, and takes its folder away. */
  release(): Promise<void> {
    this.#unwanted.abort(new LastgoodError("runtime.unavailable", "it is ending"));
    this.#ending ??= (async () => {
      await this.#server?.end();
      // An installation that is under way, too.
      await endProcesses(() => markedProcesses(this.#mark));
      this.#environment?.release();
      await removeFolder(this.#folder);
      await sleep(LAST_WORDS_MS);
    })();
    return this.#ending;
  }

  async #start(): Promise<ServerFacts> {
    const { dataDir, digest, files, launcher } = this.#options;
    const log = this.#log;
    const folder = this.#folder;
    await removeLeftFolders(dataDir);
    await removeUnfinished(dataDir);
    await layOut(dataDir, files, folder);
    const environment = await environmentOf(
      { dataDir, folder, digest },
      { launcher, log, mark: this.#mark },
    );
    this.#environment = environment;
    const begun = performance.now();
    const parts = { launcher, environment, folder, mark: this.#mark, log };
    const server = await ServerProcess.start(parts, this.#unwanted.signal);
    this.#server = server;
    try {
      await server.ready();
    } catch (error) {
      await server.end();
      throw error;
    }
    void server.ended.then((why) => this.#left(why));
    return {
      port: server.port,
      pid: server.pid,
      environment: environment.text,
      isManaged: environment.isManaged,
      startedInMs: performance.now() - begun,
    };
  }

  /** The server has ended by itself, or has to: nothing of it may be left when its successor comes. */
  async #left(why: string): Promise<void> {
    this.#around.tell("ended", { why });
    this.#log.write(Buffer.from(`lastgood: ${why}\n`));
    await this.#server?.sweep();
    this.#around.end();
  }
}

/** Marks what a shim starts. The end of one pid is no beginning of another one. */
export function shimMark(socket: string, pid: number): string {
  return `${socket}:${pid};`;
}

/** One for each shim: a successor must not lay out where this one still takes away. */
function folderOf({ dataDir, socket }: ShimArguments): string {
  return join(dataDir, "run", `${basename(socket, ".sock")}-${process.pid}`);
}

/** Removes what shims that were killed have left, whatever they held: some have no successor. */
async function removeLeftFolders(dataDir: string): Promise<void> {
  const run = join(dataDir, "run");
  for (const folder of await readdir(run).catch(() => [])) {
    const pid = /-(\d+)$/.exec(folder)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) await removeFolder(join(run, folder));
  }
}

/**
 * Runs this process as the shim of one server (see `shimArgumentsSchema`): lays the version out, makes
 * its environment, starts the server and keeps it until it is told to end, the server ends, or nobody
 * has been connected for `orphanMs`. A start that failed is the answer to `describe`.
 * @throws `link.invalid` when what it is started with is not understood.
 */
export async function runShim(startup: unknown): Promise<void> {
  const { data: options, error: cause } = shimArgumentsSchema.safeParse(startup);
  if (options === undefined)
    throw new LastgoodError("link.invalid", "what the shim is started with was not understood", {
      cause,
    });
  await holdClaim(
    { ...options, role: "shim", digest: options.claim },
    (around) => new Shim(options, around),
  );
}
