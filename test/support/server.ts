import { spawn, type ChildProcess } from "node:child_process";
import { randomInt } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { readServerFile } from "../../src/app/supervise/index.ts";
import { LastgoodClient } from "../../src/client/index.ts";
import { socketFolder } from "../../src/link/peer/index.ts";
import { markedProcesses } from "../../src/link/process-tree/index.ts";
import { runCommandLine } from "./command-line.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const DIST = join(ROOT, "dist");

/** How a server under test is started. */
export interface ServerStart {
  /** Kept over restarts; a new one in the temporary folder when left out. */
  readonly dataDir?: string;
  readonly ports?: { readonly api: number; readonly serve: number };
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Folder of the bundles; a sabotaged build has its own. @default dist */
  readonly dist?: string;
  /** Does not wait until it is ready. */
  readonly unready?: boolean;
}

/** What one run of the CLI did. */
export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Processes of a server, by what they are. */
export interface ServerPids {
  readonly control: readonly number[];
  readonly gateway: readonly number[];
  readonly models: readonly number[];
}

/** Below the ports that systems give to whoever asks for none: those may be somebody's by the time we listen. */
const PORTS = { from: 12_000, to: 32_000 } as const;

/** Whether somebody could listen on the port now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => {
      server.close(() => resolve(true));
    });
  });
}

/** A port nobody listens on right now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(PORTS.from, PORTS.to);
    if (await isFree(port)) return port;
  }
}

/** A file of `examples/`. */
export function example(path: string): string {
  return join(ROOT, "examples", path);
}

/** Waits until `holds` gives something that is not false, null or undefined. */
export async function until<T>(
  what: string,
  holds: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  timeoutMs = 15_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      const value = await holds();
      if (value !== false && value !== null && value !== undefined) return value;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    if (Date.now() > deadline) throw new Error(`${what}: not so within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Whether a process with this pid is there and not a zombie. */
export function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** Every process whose command line names the data folder, with its bundle's name. */
export function processesOf(dataDir: string): readonly { pid: number; program: string }[] {
  return readdirSync("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const command = readFileSync(`/proc/${entry}/cmdline`, "utf8");
      if (!command.includes(dataDir) || !isRunning(Number(entry))) return [];
      const program = /\/(cli|control|gateway|model|shim)\.cjs/.exec(command)?.[1];
      return program === undefined ? [] : [{ pid: Number(entry), program }];
    } catch {
      return [];
    }
  });
}

/** A real server: supervisor, control plane, gateway and model processes. */
export class TestServer {
  readonly dataDir: string;
  readonly ports: { readonly api: number; readonly serve: number };
  readonly dist: string;
  readonly client: LastgoodClient;
  #process: ChildProcess | null = null;
  #output = "";
  #env: Readonly<Record<string, string>>;

  constructor(
    dataDir: string,
    ports: { readonly api: number; readonly serve: number },
    start: ServerStart,
  ) {
    this.dataDir = dataDir;
    this.ports = ports;
    this.dist = start.dist ?? DIST;
    this.#env = start.env ?? {};
    this.client = new LastgoodClient({ url: this.apiUrl });
  }

  get apiUrl(): string {
    return `http://127.0.0.1:${this.ports.api}`;
  }

  get serveUrl(): string {
    return `http://127.0.0.1:${this.ports.serve}`;
  }

  /** `host:port` of the gRPC port, as `server.json` has it. */
  get grpcAddress(): string {
    const file: unknown = JSON.parse(readFileSync(join(this.dataDir, "server.json"), "utf8"));
    return String((file as { readonly grpcAddress?: unknown }).grpcAddress);
  }

  /** The supervisor. */
  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error("the server was not started");
    return pid;
  }

  /** Everything `lastgood serve` has printed. */
  get output(): string {
    return this.#output;
  }

  get pids(): ServerPids {
    const all = processesOf(this.dataDir);
    const of = (program: string): readonly number[] =>
      all.filter((one) => one.program === program).map((one) => one.pid);
    return { control: of("control"), gateway: of("gateway"), models: of("model") };
  }

  /** Starts the supervisor (again). */
  async start(start: ServerStart = {}): Promise<void> {
    this.#env = start.env ?? this.#env;
    const child = spawn(
      process.execPath,
      [
        join(this.dist, "cli.cjs"),
        "serve",
        "--data-dir",
        this.dataDir,
        "--api-address",
        `127.0.0.1:${this.ports.api}`,
        "--serve-address",
        `127.0.0.1:${this.ports.serve}`,
        ...(start.args ?? []),
      ],
      { env: this.#environment(), stdio: ["ignore", "pipe", "pipe"], detached: true },
    );
    this.#process = child;
    child.stdout.on("data", (chunk: Buffer) => (this.#output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (this.#output += chunk.toString()));
    if (start.unready === true) return;
    await this.ready();
  }

  /** Resolves once this supervisor is in charge (what it takes over may have answered all along) and both planes answer. */
  async ready(): Promise<void> {
    try {
      await until(
        "the server is ready",
        async () => {
          if (readServerFile(this.dataDir)?.pid !== this.pid) return false;
          const [api, serve] = await Promise.all([
            fetch(`${this.apiUrl}/readyz`),
            fetch(`${this.serveUrl}/readyz`),
          ]);
          await Promise.all([api.arrayBuffer(), serve.arrayBuffer()]);
          return api.status === 200 && serve.status === 200;
        },
        30_000,
      );
    } catch (cause) {
      throw new Error(`the server is not ready:\n${this.#output}`, { cause });
    }
  }

  /** Runs the CLI against this server; `onStart` gets its process. One that hangs is killed: code null. */
  cli(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    onStart: (child: ChildProcess) => void = () => undefined,
    timeoutMs = 60_000,
  ): Promise<CliResult> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [join(this.dist, "cli.cjs"), ...args], {
        env: { ...this.#callersEnvironment(), ...env },
        stdio: ["ignore", "pipe", "pipe"],
        timeout: timeoutMs,
        killSignal: "SIGKILL",
      });
      onStart(child);
      let stdout = "";
      let stderr = "";
      child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
      child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
      child.once("error", reject);
      child.once("close", (code) => resolve({ code, stdout, stderr }));
    });
  }

  /**
   * Runs a command line against this server without a process of its own, whose start is most of what
   * it costs; where the process is what is tested, `cli` starts one. A sabotaged build always gets one.
   */
  async typed(args: readonly string[]): Promise<CliResult> {
    if (this.dist !== DIST) return this.cli(args);
    const env = this.#callersEnvironment();
    const { exit, out, err } = await runCommandLine(args, { env, programFolder: this.dist });
    return { code: exit, stdout: out, stderr: err };
  }

  /** Runs a command that has to succeed, and gives its JSON answer. */
  async json<T = Record<string, unknown>>(args: readonly string[]): Promise<T> {
    const result = await this.typed([...args, "--json"]);
    if (result.code !== 0)
      throw new Error(
        `${args.join(" ")} ended with ${result.code}: ${result.stdout}${result.stderr}`,
      );
    return JSON.parse(result.stdout) as T;
  }

  /** Registers a file of `examples/` as a version. */
  async register(model: string, version: string, file: string): Promise<void> {
    await this.json(["register", model, example(file), "--version", version]);
  }

  /** Sends a signal to the supervisor alone. */
  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Ends the server as an operator would, and gives the exit code. */
  async terminate(): Promise<number | null> {
    const child = this.#process;
    if (child === null || child.exitCode !== null) return child?.exitCode ?? null;
    const ended = new Promise<number | null>((resolve) =>
      child.once("exit", (code) => resolve(code)),
    );
    child.kill("SIGTERM");
    return ended;
  }

  /** Ends every process of the server at once, with SIGKILL. */
  killAll(): void {
    for (const { pid } of processesOf(this.dataDir)) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself meanwhile.
      }
    }
  }

  /** Every process of the server, the supervisor too. */
  get processes(): readonly { pid: number; program: string }[] {
    return processesOf(this.dataDir);
  }

  /** Processes of managed servers: the servers themselves and what they started, not their shims. */
  get managed(): readonly number[] {
    return existsSync(this.dataDir) ? markedProcesses(`${socketFolder(this.dataDir)}/`) : [];
  }

  /** Ends every process of the server, whatever state it is in. */
  async end(): Promise<void> {
    for (const { pid } of this.processes) {
      try {
        process.kill(pid, "SIGCONT");
      } catch {
        // It ended by itself meanwhile.
      }
    }
    await until("no process is left", () => {
      this.killAll();
      for (const pid of this.managed) process.kill(pid, "SIGKILL");
      return this.processes.length === 0 && this.managed.length === 0;
    });
  }

  /** Ends the server whatever state it is in, and removes its data. */
  async destroy(): Promise<void> {
    await this.end();
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  /** What somebody has set who types commands on this machine. */
  #callersEnvironment(): NodeJS.ProcessEnv {
    const own = { LASTGOOD_DATA_DIR: this.dataDir, LASTGOOD_ACTOR: "tester" };
    return { ...this.#environment(), ...own };
  }

  #environment(): NodeJS.ProcessEnv {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("LASTGOOD_"));
    // Servers of tests run side by side: none has the usual port.
    return {
      ...Object.fromEntries(inherited),
      LASTGOOD_GRPC_ADDRESS: "127.0.0.1:0",
      ...this.#env,
    };
  }
}

/** A started server on ports and a data folder of its own. */
export async function startServer(start: ServerStart = {}): Promise<TestServer> {
  const dataDir = start.dataDir ?? mkdtempSync(join(tmpdir(), "lastgood-law-"));
  const ports = start.ports ?? { api: await freePort(), serve: await freePort() };
  const server = new TestServer(dataDir, ports, start);
  if (!existsSync(join(server.dist, "cli.cjs"))) throw new Error(`${server.dist} is not built`);
  try {
    await server.start(start);
  } catch (error) {
    await (start.dataDir === undefined ? server.destroy() : server.end());
    throw error;
  }
  return server;
}
