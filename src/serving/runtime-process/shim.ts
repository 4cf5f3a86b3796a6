import { rmSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";

import { LastgoodError } from "../../core/errors/index.ts";
import { listenPeers, ownIdentity, type Frame, type Reply } from "../../link/peer/index.ts";
import { endProcesses, isRunning, markedProcesses } from "../../link/process-tree/index.ts";
import { inodeOf, OrphanWatch } from "../claim/index.ts";
import { environmentOf } from "./environment.ts";
import { RotatedLog } from "./rotated-log.ts";
import { ServerProcess } from "./server-process.ts";
import { shimArgumentsSchema, type ServerFacts, type ShimArguments } from "./shim-requests.ts";
import { layOut, removeFolder } from "./version-folder.ts";

/** A shim whose server did not start waits this long for someone to ask why, ms. */
const FAILED_MS = 5_000;
/** What was said on the way out has left by then, ms. */
const LAST_WORDS_MS = 50;

/** Keeps one server: makes all it needs, starts it, watches it, ends it. */
class Shim {
  readonly #options: ShimArguments;
  readonly #log: RotatedLog;
  readonly #folder: string;
  /** Of this shim alone: what a successor starts is not ours to end. */
  readonly #mark: string;
  readonly #ready: Promise<ServerFacts>;
  #server: ServerProcess | null = null;
  #ending: Promise<void> | null = null;
  readonly #onEnded: (why: string) => void;

  constructor(options: ShimArguments, onEnded: (why: string) => void) {
    this.#options = options;
    this.#log = new RotatedLog(options.logFile);
    this.#folder = folderOf(options);
    this.#mark = `${options.socket}:${process.pid}`;
    this.#onEnded = onEnded;
    this.#ready = this.#start();
  }

  /** The server's facts once it is ready. @throws why it is not. */
  get ready(): Promise<ServerFacts> {
    return this.#ready;
  }

  async answer(frame: Frame, end: () => void): Promise<Reply> {
    switch (frame.kind) {
      case "describe":
        return { body: await this.#ready };
      case "memory":
        return { body: { bytes: this.#server?.memoryBytes() ?? null } };
      case "exit":
        end();
        return { body: {} };
      default:
        throw new LastgoodError("link.invalid", `a shim knows no request "${frame.kind}"`);
    }
  }

  /** Ends the server and all that it started, and takes its folder away. */
  end(): Promise<void> {
    this.#ending ??= (async () => {
      await this.#server?.end();
      // An installation that is under way, too.
      await endProcesses(() => markedProcesses(this.#mark));
      await removeFolder(this.#folder);
    })();
    return this.#ending;
  }

  async #start(): Promise<ServerFacts> {
    const { dataDir, files, launcher } = this.#options;
    const log = this.#log;
    const folder = this.#folder;
    await removeLeftFolders(this.#options);
    await layOut(dataDir, files, folder);
    const environment = await environmentOf(
      { dataDir, folder },
      { launcher, log, mark: this.#mark },
    );
    if (this.#ending !== null) throw new LastgoodError("runtime.unavailable", "it is ending");
    const begun = performance.now();
    const server = await ServerProcess.start({
      launcher,
      environment,
      folder,
      mark: this.#mark,
      log,
    });
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
    this.#onEnded(why);
    this.#log.write(Buffer.from(`lastgood: ${why}\n`));
    await this.#server?.sweep();
    await this.end();
  }
}

/** One for each shim: a successor must not lay out where this one still takes away. */
function folderOf({ dataDir, socket }: ShimArguments): string {
  return join(dataDir, "run", `${basename(socket, ".sock")}-${process.pid}`);
}

/** Removes what shims of the same socket that were killed have left. */
async function removeLeftFolders({ dataDir, socket }: ShimArguments): Promise<void> {
  const run = join(dataDir, "run");
  const name = `${basename(socket, ".sock")}-`;
  for (const folder of await readdir(run).catch(() => []))
    if (folder.startsWith(name) && !isRunning(Number(folder.slice(name.length))))
      await removeFolder(join(run, folder));
}

function readArguments(argument: string | undefined): ShimArguments {
  try {
    return shimArgumentsSchema.parse(JSON.parse(argument ?? ""));
  } catch (cause) {
    throw new LastgoodError("link.invalid", "a shim is started with one JSON argument", { cause });
  }
}

/**
 * Runs this process as the shim of one server (see `shimArgumentsSchema`): lays the version out, makes
 * its environment, starts the server and keeps it until it is told to end, the server ends, or nobody
 * has been connected for `orphanMs`. A start that failed is the answer to `describe`.
 * @throws `link.invalid` when the argument is not understood.
 */
export async function runShim(argument: string | undefined): Promise<void> {
  const options = readArguments(argument);
  let leaving: Promise<void> | null = null;
  let inode: number | null = null;
  const leave = async (): Promise<void> => {
    // Nobody is to find a server that ends. Not where a successor listens there already.
    if (inodeOf(options.socket) === inode) rmSync(options.socket, { force: true });
    await shim.end();
    setTimeout(() => process.exit(0), LAST_WORDS_MS);
  };
  const end = (): void => {
    leaving ??= leave();
  };
  const shim = new Shim(options, (why) => {
    orphan.tell("ended", { why });
    end();
  });
  shim.ready.catch((error: unknown) => {
    process.stderr.write(`${options.subject}: ${LastgoodError.from(error).message}\n`);
    orphan.shorten(FAILED_MS);
  });
  const orphan = new OrphanWatch(options.orphanMs, end);
  process.on("SIGTERM", end);
  // Ctrl-C in a terminal is the supervisor's business.
  process.on("SIGINT", () => undefined);
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  await listenPeers(
    options.socket,
    {
      self: ownIdentity("shim", options.build, options.subject, options.claim),
      onRequest: (frame) => shim.answer(frame, end),
    },
    (peer) => orphan.connected(peer),
  );
  inode = inodeOf(options.socket);
}
