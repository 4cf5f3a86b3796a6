import { accessSync, constants, existsSync, mkdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";

import { LastgoodError } from "../../core/errors/index.ts";
import type { SignalSources } from "../../core/policy/index.ts";
import type { ErrorInputs } from "../../core/redaction/index.ts";
import { takeKernelLock, type KernelLock } from "../../link/lock/index.ts";
import { ownIdentity, socketFolder, type PeerIdentity } from "../../link/peer/index.ts";
import { PROGRAM_VERSION, type Programs } from "../build/index.ts";
import { formatAddress, type Address, type Launchers, type Remotes } from "../config/index.ts";
import { checkAddress } from "./free-address.ts";
import { KeptProcess, type KeptProcessOptions, type ProcessEvent } from "./kept-process.ts";
import { endModelProcesses } from "./leftovers.ts";
import { isAlive, pause } from "./process-end.ts";
import {
  readServerFile,
  removeServerFile,
  writeServerFile,
  type ServerFile,
} from "./server-file.ts";

/** What a server is started with. */
export interface ServerOptions {
  readonly dataDir: string;
  readonly api: Address;
  readonly serve: Address;
  /** Null: gRPC is not spoken. */
  readonly grpc: Address | null;
  readonly workers: number;
  readonly defaultEndpoint: string | null;
  readonly remotes: Remotes;
  readonly launchers: Launchers;
  /** Versions whose files are code may run. */
  readonly allowCode: boolean;
  /** Longest file that a version may have, bytes. */
  readonly maxFileBytes: number;
  /** What is kept of the inputs of requests that a candidate failed. */
  readonly errorInputs: ErrorInputs;
  /** Sources of evidence that server.yaml names. */
  readonly signals: SignalSources;
  readonly programs: Programs;
  readonly onEvent: (event: ProcessEvent) => void;
}

/** Longest time that requests in flight get at a stop, ms. */
const DRAIN_MS = 10_000;

/**
 * Holds nothing but the control plane and the gateway: takes over what runs or starts it, keeps it
 * alive, and ends all of it.
 */
export class Supervisor {
  readonly file: ServerFile;
  readonly #lock: KernelLock;
  readonly #self: PeerIdentity;
  readonly #control: KeptProcess;
  readonly #gateway: KeptProcess;
  #ending: Promise<void> | null = null;
  #hurry = false;

  private constructor(options: ServerOptions, taken: TakenFolder, addresses: Addresses) {
    const { api, serve, grpc } = addresses;
    this.#lock = taken.lock;
    this.#self = ownIdentity("supervisor", options.programs.build, taken.dataDir);
    const kept = {
      self: this.#self,
      onEvent: (event: ProcessEvent) => this.#on(event, options),
      onStarting: () => this.#write(),
    };
    const log = (role: string): string => join(taken.dataDir, "logs", `${role}.log`);
    this.#control = new KeptProcess({
      ...kept,
      role: "control",
      program: options.programs.control,
      socket: join(taken.sockets, "control.sock"),
      logFile: log("control"),
      config: controlConfig(options, taken, addresses),
    });
    this.#gateway = new KeptProcess({
      ...kept,
      role: "gateway",
      program: options.programs.gateway,
      socket: join(taken.sockets, "gateway.sock"),
      logFile: log("gateway"),
      config: gatewayConfig(options, taken, addresses),
    });
    this.file = {
      pid: process.pid,
      startedAt: Date.now(),
      version: PROGRAM_VERSION,
      dataDir: taken.dataDir,
      socketFolder: taken.sockets,
      apiAddress: formatAddress(api),
      serveAddress: formatAddress(serve),
      grpcAddress: grpc === null ? null : formatAddress(grpc),
      defaultEndpoint: options.defaultEndpoint,
      processes: taken.before?.processes ?? { control: null, gateway: null },
    };
  }

  /**
   * Takes the data folder and brings both processes up; resolves when both said hello.
   * @throws `server.running` when another server owns the folder; `address.in-use`; a process's own
   * error when it cannot start (nothing is left running then that was not there before).
   */
  static async start(options: ServerOptions): Promise<Supervisor> {
    const taken = await takeDataFolder(options.dataDir);
    try {
      const { before } = taken;
      const gateway = before?.processes.gateway;
      const addresses = {
        api: await portOf(options.api, before?.apiAddress, before?.processes.control),
        serve: await portOf(options.serve, before?.serveAddress, gateway),
        grpc:
          options.grpc === null ? null : await portOf(options.grpc, before?.grpcAddress, gateway),
      };
      const supervisor = new Supervisor(options, taken, addresses);
      await supervisor.#bringUp(addresses);
      return supervisor;
    } catch (error) {
      taken.lock.release();
      throw error;
    }
  }

  /** Ends everything, model processes too, within 15 s. A second call hurries. */
  end(): Promise<void> {
    if (this.#ending !== null) this.#hurryUp();
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #bringUp({ api, serve, grpc }: Addresses): Promise<void> {
    const { processes } = this.file;
    const [controlRuns, gatewayRuns] = await Promise.all([
      this.#control.adopt(processes.control),
      this.#gateway.adopt(processes.gateway),
    ]);
    try {
      if (!controlRuns) await checkAddress(api, "--api-address");
      if (!gatewayRuns) {
        await checkAddress(serve, "--serve-address");
        if (grpc !== null) await checkAddress(grpc, "--grpc-address", "none");
      }
      this.#write();
      await Promise.all([
        controlRuns ? null : this.#control.start(),
        gatewayRuns ? null : this.#gateway.start(),
      ]);
      this.#write();
    } catch (error) {
      // What was adopted goes on serving; what this start began ends with it.
      await Promise.all([
        controlRuns ? this.#control.letGo() : this.#control.end(0, true),
        gatewayRuns ? this.#gateway.letGo() : this.#gateway.end(0, true),
      ]);
      if (!controlRuns && !gatewayRuns) removeServerFile(this.file.dataDir);
      throw error;
    }
  }

  async #end(): Promise<void> {
    this.#control.letGo();
    this.#gateway.letGo();
    // The gateway first: what its last requests did still reaches the control plane.
    await this.#gateway.end(DRAIN_MS, this.#hurry);
    await this.#control.end(0, this.#hurry);
    await endModelProcesses(this.file.socketFolder, this.#self);
    removeServerFile(this.file.dataDir);
    this.#lock.release();
  }

  #hurryUp(): void {
    this.#hurry = true;
    void this.#gateway.end(0, true);
    void this.#control.end(0, true);
  }

  #on(event: ProcessEvent, options: ServerOptions): void {
    if (event.kind === "started") this.#write();
    options.onEvent(event);
  }

  #write(): void {
    this.file.processes = {
      control: this.#control.record(),
      gateway: this.#gateway.record(),
    };
    writeServerFile(this.file);
  }
}

/** Where a server listens. */
type Addresses = Pick<ServerOptions, "api" | "serve" | "grpc">;

interface TakenFolder {
  readonly dataDir: string;
  readonly sockets: string;
  readonly lock: KernelLock;
  readonly before: ServerFile | null;
}

/** How long the lock of a server that has just died may take to come free, ms. */
const LOCK_FREED_MS = 2_000;

async function takeDataFolder(path: string): Promise<TakenFolder> {
  const dataDir = openFolder(path);
  mkdirSync(join(dataDir, "logs"), { recursive: true, mode: 0o700 });
  const before = readServerFile(dataDir);
  const isGone = before !== null && !isAlive(before.pid);
  const until = performance.now() + (isGone ? LOCK_FREED_MS : 0);
  let lock = takeKernelLock(join(dataDir, "lock.sqlite"));
  while (lock === null && performance.now() < until) {
    await pause(10);
    lock = takeKernelLock(join(dataDir, "lock.sqlite"));
  }
  if (lock === null) throw runningError(dataDir, before);
  return { dataDir, sockets: socketFolder(dataDir), lock, before };
}

function openFolder(path: string): string {
  try {
    makeFolder(path);
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return realpathSync(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LastgoodError("config.invalid", `the data folder cannot be used: ${why}`, {
      hint: "choose another one with --data-dir",
      details: { dataDir: path },
      cause,
    });
  }
}

/** Not `recursive`: in /proc Node's own loops for ever. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

/** The refusal of a second server on the same data folder. */
export function runningError(dataDir: string, file: ServerFile | null): LastgoodError {
  const who =
    file === null
      ? "another server"
      : `the server with pid ${file.pid} (API http://${file.apiAddress}, serving http://${file.serveAddress})`;
  return new LastgoodError("server.running", `${dataDir} is owned by ${who}`, {
    hint: "talk to that one (lastgood status), end it, or choose another --data-dir",
    details: {
      dataDir,
      pid: file?.pid ?? null,
      apiAddress: file?.apiAddress ?? null,
      serveAddress: file?.serveAddress ?? null,
    },
  });
}

/** Port 0 is a free one, or the one of a process that still runs, so that it is taken over. */
async function portOf(
  wanted: Address,
  before: string | null | undefined,
  running: { readonly pid: number } | null | undefined,
): Promise<Address> {
  if (wanted.port !== 0) return wanted;
  const port = Number(before?.split(":").at(-1) ?? 0);
  const isTaken = port > 0 && running !== undefined && running !== null && isAlive(running.pid);
  return isTaken ? { host: wanted.host, port } : checkAddress(wanted, "--api-address");
}

function controlConfig(
  options: ServerOptions,
  taken: TakenFolder,
  { api, serve }: Addresses,
): KeptProcessOptions["config"] {
  return {
    dataDir: taken.dataDir,
    apiHost: api.host,
    apiPort: api.port,
    socketFolder: taken.sockets,
    build: options.programs.build,
    serveHost: serve.host,
    servePort: serve.port,
    maxFileBytes: options.maxFileBytes,
    errorInputs: options.errorInputs,
    signals: options.signals,
  };
}

function gatewayConfig(
  options: ServerOptions,
  taken: TakenFolder,
  { serve, grpc }: Addresses,
): KeptProcessOptions["config"] {
  return {
    dataDir: taken.dataDir,
    serveHost: serve.host,
    servePort: serve.port,
    grpc,
    workers: options.workers,
    defaultEndpoint: options.defaultEndpoint,
    modelEntry: options.programs.model,
    shimEntry: options.programs.shim,
    workerEntry: options.programs.worker,
    remotes: options.remotes,
    launchers: options.launchers,
    allowCode: options.allowCode,
    build: options.programs.build,
    socketFolder: taken.sockets,
  };
}
