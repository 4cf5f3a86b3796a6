import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { NO_SIGNAL_SOURCES } from "../../core/policy/index.ts";
import { socketFolder } from "../../link/peer/index.ts";
import type { ProcessEvent } from "./kept-process.ts";
import { commandLine, isAlive, signal } from "./process-end.ts";
import { readServerFile, type ServerFile } from "./server-file.ts";
import { Supervisor, type ServerOptions } from "./supervisor.ts";

const SLOW = 30_000;
const peers = resolve(import.meta.dirname, "../../link/peer/index.ts");

/** Says hello as the role its file is named after, and ends when it is asked to. */
const program = `
const { basename, join } = require("node:path");
const { listenPeers, ownIdentity } = require(${JSON.stringify(peers)});
const { dataDir, socketFolder, build } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const role = basename(__filename, ".cjs");
const onRequest = ({ kind }) => {
  if (kind === "shutdown") setImmediate(() => process.exit(0));
  return { body: {} };
};
const self = ownIdentity(role, build, dataDir);
void listenPeers(join(socketFolder, role + ".sock"), { self, onRequest }, () => undefined);
setInterval(() => undefined, 1000);
`;

let folder: string;
let dataDir: string;
let events: ProcessEvent[];

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "lastgood-supervise-")));
  dataDir = join(folder, "data");
  events = [];
  for (const name of ["control", "gateway"]) writeFileSync(join(folder, `${name}.cjs`), program);
});

afterEach(() => {
  const processes = readServerFile(dataDir)?.processes;
  for (const child of [processes?.control, processes?.gateway])
    if (child && commandLine(child.pid)?.some((argument) => argument.startsWith(folder)))
      signal(child.pid, "SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

function options(more: Partial<ServerOptions> = {}): ServerOptions {
  return {
    dataDir,
    api: { host: "127.0.0.1", port: 0 },
    maxFileBytes: 2 ** 30,
    errorInputs: "none",
    serve: { host: "127.0.0.1", port: 0 },
    grpc: { host: "127.0.0.1", port: 0 },
    workers: 2,
    defaultEndpoint: null,
    remotes: {},
    launchers: {},
    allowCode: false,
    signals: NO_SIGNAL_SOURCES,
    programs: {
      control: join(folder, "control.cjs"),
      gateway: join(folder, "gateway.cjs"),
      worker: "worker.cjs",
      model: "model.cjs",
      shim: "shim.cjs",
      build: "1",
    },
    onEvent: (event) => events.push(event),
    ...more,
  };
}

function file(): ServerFile {
  const found = readServerFile(dataDir);
  if (found === null) throw new Error("there is no server.json");
  return found;
}

function pids(): (number | undefined)[] {
  const { control, gateway } = file().processes;
  return [control?.pid, gateway?.pid];
}

test(
  "brings both processes up, says so in server.json, and ends them and the file with it",
  async () => {
    const supervisor = await Supervisor.start(options());
    const [control, gateway] = pids();
    expect(file()).toMatchObject({ pid: process.pid, dataDir, defaultEndpoint: null });
    expect(file().apiAddress).toMatch(/^127\.0\.0\.1:\d{4,5}$/);
    expect(isAlive(control ?? 0)).toBe(true);
    expect(isAlive(gateway ?? 0)).toBe(true);
    await supervisor.end();
    expect(isAlive(control ?? 0)).toBe(false);
    expect(isAlive(gateway ?? 0)).toBe(false);
    expect(readServerFile(dataDir)).toBeNull();
    await (await Supervisor.start(options())).end();
  },
  SLOW,
);

test(
  "a second server on the same data folder is refused, naming the first one",
  async () => {
    const supervisor = await Supervisor.start(options());
    const second = await Supervisor.start(options()).catch((error: unknown) => error);
    const error = LastgoodError.from(second);
    expect(error.code).toBe("server.running");
    expect(error.details).toMatchObject({
      pid: process.pid,
      apiAddress: supervisor.file.apiAddress,
      serveAddress: supervisor.file.serveAddress,
    });
    expect(pids().every((pid) => isAlive(pid ?? 0))).toBe(true);
    await supervisor.end();
  },
  SLOW,
);

test(
  "a process that dies is started again, and server.json names the new one",
  async () => {
    const supervisor = await Supervisor.start(options());
    const [control, gateway] = pids();
    signal(gateway ?? 0, "SIGKILL");
    await vi.waitFor(() => expect(pids()[1]).not.toBe(gateway), { timeout: 20_000 });
    expect(pids()[0]).toBe(control);
    expect(isAlive(pids()[1] ?? 0)).toBe(true);
    expect(events).toContainEqual({ kind: "ended", role: "gateway", pid: gateway, againInMs: 0 });
    await supervisor.end();
  },
  SLOW,
);

test(
  "after the supervisor's own death the next one takes over what fits and replaces what does not",
  async () => {
    const script = join(folder, "supervise.cjs");
    const supervise = resolve(import.meta.dirname, "supervisor.ts");
    writeFileSync(
      script,
      `const { Supervisor } = require(${JSON.stringify(supervise)});
       const options = JSON.parse(process.argv[2]);
       void Supervisor.start({ ...options, onEvent: () => undefined });
       setInterval(() => undefined, 1000);`,
    );
    const child = spawn(process.execPath, [script, JSON.stringify(options())], { stdio: "ignore" });
    await vi.waitFor(() => expect(pids().every(Boolean)).toBe(true), { timeout: 20_000 });
    const [control, gateway] = pids();
    const { apiAddress } = file();
    child.kill("SIGKILL");
    await vi.waitFor(() => expect(isAlive(child.pid ?? 0)).toBe(false), { timeout: 20_000 });
    expect(isAlive(control ?? 0) && isAlive(gateway ?? 0)).toBe(true);

    const supervisor = await Supervisor.start(options({ workers: 3 }));
    expect(events.map(({ kind, role }) => `${role} ${kind}`).toSorted()).toEqual([
      "control adopted",
      "gateway replaced",
      "gateway started",
    ]);
    expect(pids()[0]).toBe(control);
    expect(pids()[1]).not.toBe(gateway);
    expect(file().apiAddress).toBe(apiAddress);
    expect(isAlive(gateway ?? 0)).toBe(false);
    await supervisor.end();
    expect(isAlive(control ?? 0)).toBe(false);
  },
  SLOW,
);

test(
  "a process that was still starting when its supervisor died is taken over",
  async () => {
    const late = program.replace("void listenPeers", "setTimeout(() => listenPeers").trim();
    const slow = late.replace(
      "() => undefined);\nsetInterval",
      "() => undefined), 1000);\nsetInterval",
    );
    writeFileSync(join(folder, "gateway.cjs"), slow);
    const script = join(folder, "supervise.cjs");
    const supervise = resolve(import.meta.dirname, "supervisor.ts");
    writeFileSync(
      script,
      `const { Supervisor } = require(${JSON.stringify(supervise)});
       void Supervisor.start({ ...JSON.parse(process.argv[2]), onEvent: () => undefined });`,
    );
    const child = spawn(process.execPath, [script, JSON.stringify(options())], { stdio: "ignore" });
    await vi.waitFor(() => expect(pids()[1]).toBeGreaterThan(0), { timeout: 20_000, interval: 5 });
    child.kill("SIGKILL");
    await vi.waitFor(() => expect(isAlive(child.pid ?? 0)).toBe(false), { timeout: 20_000 });
    const [, gateway = 0] = pids();
    expect(existsSync(join(file().socketFolder, "gateway.sock"))).toBe(false);
    const supervisor = await Supervisor.start(options());
    expect(events).toContainEqual({ kind: "adopted", role: "gateway", pid: gateway });
    await supervisor.end();
  },
  SLOW,
);

test(
  "a pid that by now is another server's process is left alone",
  async () => {
    const other = await Supervisor.start(options());
    const [control, gateway] = pids();
    const second = join(folder, "second");
    mkdirSync(second);
    writeFileSync(
      join(second, "server.json"),
      JSON.stringify({ ...file(), dataDir: second, socketFolder: socketFolder(second) }),
    );
    const supervisor = await Supervisor.start(options({ dataDir: second }));
    expect(pids()).toEqual([control, gateway]);
    expect(isAlive(control ?? 0) && isAlive(gateway ?? 0)).toBe(true);
    await supervisor.end();
    await other.end();
  },
  SLOW,
);

test(
  "a process that cannot start again is no pid to send signals to",
  async () => {
    const supervisor = await Supervisor.start(options());
    writeFileSync(join(folder, "gateway.cjs"), "process.exit(1);");
    const [, gateway = 0] = pids();
    signal(gateway, "SIGKILL");
    await vi.waitFor(() => expect(events.at(-1)?.kind).toBe("failed"), { timeout: 20_000 });
    const kill = vi.spyOn(process, "kill");
    await supervisor.end();
    const signalled = kill.mock.calls.filter(([pid]) => pid === gateway);
    kill.mockRestore();
    expect(signalled).toEqual([]);
  },
  SLOW,
);

test(
  "a process that cannot start fails the start with its own error, and nothing stays behind",
  async () => {
    const log = '{"level":60,"error":{"code":"store.unavailable","message":"the disk is gone"}}';
    writeFileSync(
      join(folder, "control.cjs"),
      `console.log(${JSON.stringify(log)}); process.exit(1);`,
    );
    await expect(Supervisor.start(options())).rejects.toMatchObject({
      code: "store.unavailable",
      message: "the disk is gone",
    });
    expect(readServerFile(dataDir)).toBeNull();
    expect(existsSync(join(dataDir, "logs", "control.log"))).toBe(true);
    writeFileSync(join(folder, "control.cjs"), program);
    await (await Supervisor.start(options())).end();
  },
  SLOW,
);

test("a data folder that cannot be made is named", async () => {
  writeFileSync(join(folder, "file"), "");
  await expect(
    Supervisor.start(options({ dataDir: join(folder, "file", "data") })),
  ).rejects.toMatchObject({ code: "config.invalid" });
});
