import { createHash, randomBytes } from "node:crypto";

import { LastgoodError } from "../../core/errors/index.ts";
import type { Launcher } from "../../core/launcher/index.ts";
import type { RuntimeSpec } from "../../core/version/index.ts";
import type { Inspected, ProcessFacts } from "../../link/message/index.ts";
import { ownIdentity, type PeerIdentity } from "../../link/peer/index.ts";
import { endProcesses, markedProcesses } from "../../link/process-tree/index.ts";
import type { RouteRevision } from "../../link/route/index.ts";
import { claimProcess, claimSocket, processLog, type ClaimedProcess } from "../claim/index.ts";
import { inspectedUnread, readyAnswer, UNREAD_ENGINE } from "../runtime-passthrough/index.ts";
import {
  inspectUpstream,
  openRevision,
  proveUpstream,
  type OpenedUpstream,
  type UpstreamContext,
} from "../runtime-remote/index.ts";
import {
  OWN_REQUESTS,
  type InspectRequest,
  type LoadedModel,
  type LoadProof,
  type Runtime,
  type UpstreamAddress,
} from "../runtime/index.ts";
import {
  endedSchema,
  memorySchema,
  serverFactsSchema,
  type ServerFacts,
  type ShimArguments,
} from "./shim-requests.ts";
import { LOCAL } from "./upstream-options.ts";

/** A shim that nobody is connected to ends itself and its server after this long, ms. */
const ORPHAN_MS = 30_000;
const HELLO_TIMEOUT_MS = 5_000;
/** Beyond the server's own time to end, ms. */
const PATIENCE_MS = 2_000;
/** For files to be laid out, beside installing and starting, ms. */
const LAYING_OUT_MS = 60_000;
const MEMORY_TIMEOUT_MS = 5_000;

/** What the runtime needs to know of the server it is in. */
export interface ProcessRuntimeOptions {
  readonly dataDir: string;
  /** Path of the bundle that runs as a shim: `dist/shim.cjs`. */
  readonly shimEntry: string;
  /** Build of this server; a running shim of another build is replaced, not adopted. */
  readonly build: string;
  /** Every launcher there is, by its name. */
  readonly launchers: Readonly<Record<string, Launcher>>;
  /** Whether versions whose files are code may run. */
  readonly allowCode: boolean;
  /** @default 30000 */
  readonly orphanMs?: number;
}

interface NamedLauncher {
  readonly name: string;
  readonly launcher: Launcher;
}

/** A server that is ready, and the shim that keeps it. */
interface KeptServer extends NamedLauncher {
  readonly shim: ClaimedProcess;
  readonly socket: string;
  readonly facts: ServerFacts;
  /** Resolves with why when it died on its own. */
  readonly died: Promise<string>;
}

type Version = Pick<RouteRevision, "digest" | "runtime" | "files">;

/** Runs versions whose folder is served by a program of its own, each under a shim. */
export class ProcessRuntime implements Runtime {
  readonly #options: ProcessRuntimeOptions;
  readonly #self: PeerIdentity;
  /** By socket: until nothing is left of the server that was there. */
  readonly #sweeping = new Map<string, Promise<void>>();

  constructor(options: ProcessRuntimeOptions) {
    this.#options = options;
    this.#self = ownIdentity("gateway", options.build, options.dataDir);
  }

  async load(subject: string, revision: RouteRevision): Promise<LoadedModel> {
    const server = await this.#claim(subject, revision);
    try {
      return server.launcher.protocol === "passthrough"
        ? await loadedUnread(server, revision)
        : await loadedModel(server, revision);
    } catch (error) {
      await server.shim.stop();
      throw error;
    }
  }

  async inspect(request: InspectRequest): Promise<Inspected> {
    const server = await this.#claim(`inspect/${randomBytes(4).toString("hex")}`, request);
    try {
      const inspected =
        server.launcher.protocol === "passthrough"
          ? inspectedUnread(request)
          : await inspectUpstream(settingsOf(server), request, contextOf(server));
      const { environment, isManaged, startedInMs } = server.facts;
      const notes = [
        ...(isSampled(server)
          ? []
          : [`no sample was sent: launcher ${server.name}: retries: false`]),
        ...(isManaged ? [] : [`environment: ${environment}`]),
      ];
      return { ...inspected, notes, process: { environment, startedInMs } };
    } catch (error) {
      throw await whyInspectingFailed(server, error);
    } finally {
      await server.shim.stop();
    }
  }

  async #claim(subject: string, version: Version): Promise<KeptServer> {
    const { dataDir, build, shimEntry, orphanMs = ORPHAN_MS } = this.#options;
    const { name, launcher } = this.#launcher(version.runtime);
    const claim = createHash("sha256")
      .update(JSON.stringify([version.digest, name, launcher]))
      .digest("hex");
    const socket = claimSocket(dataDir, subject, claim);
    const logFile = processLog(dataDir, subject);
    const { digest, files } = version;
    const held = { socket, build, subject, logFile, dataDir };
    const config: ShimArguments = {
      ...held,
      claim,
      digest,
      files,
      name,
      launcher,
      orphanMs,
    };
    const left = (): Promise<void> => endProcesses(() => markedProcesses(socket));
    // The server that died here may not be swept up yet.
    await this.#sweeping.get(socket);
    const ended = Promise.withResolvers<string>();
    const shim = await claimProcess({
      ...held,
      config,
      entry: shimEntry,
      role: "shim",
      self: this.#self,
      digest: claim,
      helloTimeoutMs: HELLO_TIMEOUT_MS,
      patienceMs: launcher.stopTimeoutMs + PATIENCE_MS,
      beforeStart: left,
      onNotice: (frame) => {
        if (frame.kind === "ended") ended.resolve(endedSchema.parse(frame.body).why);
      },
    });
    // A shim that was killed could not end its server.
    const swept = shim.peer.closed.then(left).finally(() => this.#sweeping.delete(socket));
    this.#sweeping.set(socket, swept);
    const died = Promise.race([ended.promise, shim.died]);
    return { name, launcher, shim, socket, died, facts: await factsOf(shim, launcher, died) };
  }

  #launcher(runtime: RuntimeSpec): NamedLauncher {
    if (runtime.kind !== "process")
      throw new LastgoodError("internal", `an ${runtime.kind} version came to the process runtime`);
    const { allowCode, launchers } = this.#options;
    if (!allowCode)
      throw new LastgoodError(
        "code.not-allowed",
        `the files of this version are code (launcher ${runtime.launcher}), and the server was not started to run any`,
        { hint: "if you trust who registers versions here: lastgood serve --allow-code" },
      );
    const launcher = Object.hasOwn(launchers, runtime.launcher)
      ? launchers[runtime.launcher]
      : undefined;
    if (launcher !== undefined) return { name: runtime.launcher, launcher };
    throw new LastgoodError(
      "runtime.unavailable",
      `the server has no launcher "${runtime.launcher}"`,
      {
        hint: "name one of those it has, or add this one under launchers: in the file that serve --config names",
        details: { launchers: Object.keys(launchers) },
      },
    );
  }
}

/** What the shim says once the server is ready. @throws why it is not. */
async function factsOf(
  shim: ClaimedProcess,
  launcher: Launcher,
  died: Promise<string>,
): Promise<ServerFacts> {
  const timeoutMs = launcher.installTimeoutMs + launcher.startTimeoutMs + LAYING_OUT_MS;
  try {
    const reply = await shim.peer.request("describe", {}, { timeoutMs });
    return serverFactsSchema.parse(reply.body);
  } catch (cause) {
    const why = shim.peer.isOpen ? null : await died;
    await shim.stop();
    throw why === null
      ? cause
      : new LastgoodError("runtime.failed", `${why} while its server was started`, { cause });
  }
}

/** Where the server died under what it was asked, that says more than the lost connection. */
async function whyInspectingFailed(server: KeptServer, error: unknown): Promise<unknown> {
  const failure = LastgoodError.from(error);
  if (failure.code !== "runtime.unavailable") return error;
  const stillThere = new Promise<null>((resolve) => {
    setTimeout(resolve, 500, null);
  });
  const why = await Promise.race([server.died, stillThere]);
  return why === null ? error : new LastgoodError("runtime.failed", why, { cause: error });
}

/** Whether samples are sent, or could not be for another reason. */
function isSampled({ launcher }: KeptServer): boolean {
  return launcher.retries || launcher.protocol === "passthrough";
}

function urlOf({ facts }: KeptServer): string {
  return `http://127.0.0.1:${facts.port}`;
}

function settingsOf(server: KeptServer): Omit<UpstreamAddress, "form" | "signature"> {
  const { protocol, model, path, health, retries } = server.launcher;
  if (protocol === "passthrough")
    throw new LastgoodError("internal", "a server that speaks something of its own is not asked");
  return { url: urlOf(server), protocol, model, path, health, retries };
}

/** A server that speaks something of its own: it says that it is ready, and nothing is read. */
async function loadedUnread(server: KeptServer, revision: RouteRevision): Promise<LoadedModel> {
  const proveUnread = async (): Promise<LoadProof> => {
    const answered = await readyAnswer({ url: urlOf(server), health: server.launcher.health });
    return {
      proof: `digest verified, environment ${server.facts.environment}, passed through: ${answered}`,
      provenAt: Date.now(),
      engine: UNREAD_ENGINE,
      pid: server.facts.pid,
      process: await measured(server),
    };
  };
  return {
    address: {
      kind: "passthrough",
      url: urlOf(server),
      shim: server.socket,
      retries: server.launcher.retries,
      queue: revision.limits.queue + OWN_REQUESTS,
    },
    proof: await proveUnread(),
    died: server.died,
    replay: proveUnread,
    unload: () => server.shim.stop(),
  };
}

function contextOf({ name }: KeptServer): UpstreamContext {
  return { name, ...LOCAL };
}

async function loadedModel(server: KeptServer, revision: RouteRevision): Promise<LoadedModel> {
  const opened = await openRevision(settingsOf(server), revision, contextOf(server));
  let proof: LoadProof;
  try {
    proof = await prove(server, opened, revision);
  } catch (error) {
    await opened.upstream.close();
    throw error;
  }
  void server.died.then(() => opened.upstream.close());
  return {
    address: {
      kind: "process",
      upstream: opened.address,
      shim: server.socket,
      queue: revision.limits.queue + OWN_REQUESTS,
    },
    proof,
    died: server.died,
    replay: () => prove(server, opened, revision),
    unload: async () => {
      // What it still has of ours ends with it.
      await Promise.all([opened.upstream.close(), server.shim.stop()]);
    },
  };
}

async function prove(
  server: KeptServer,
  opened: OpenedUpstream,
  revision: RouteRevision,
): Promise<LoadProof> {
  const { samples, engine } = await proveUpstream(opened, revision, contextOf(server));
  const { environment } = server.facts;
  return {
    proof: `digest verified, environment ${environment}, ${samples}`,
    provenAt: Date.now(),
    engine,
    pid: server.facts.pid,
    process: await measured(server),
  };
}

async function measured({ shim, facts }: KeptServer): Promise<ProcessFacts> {
  const { environment, startedInMs } = facts;
  const asked = shim.peer.request("memory", {}, { timeoutMs: MEMORY_TIMEOUT_MS });
  const memory = await asked.then(({ body }) => memorySchema.parse(body)).catch(() => null);
  return { environment, startedInMs, memoryBytes: memory?.bytes ?? null };
}
