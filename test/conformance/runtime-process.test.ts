/** What the process runtime promises beyond every runtime: nothing of a server is left, whatever it does. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, afterEach, expect, test } from "vitest";

import { commandLine } from "../../src/app/supervise/process-end.ts";
import type { Launcher } from "../../src/core/launcher/index.ts";
import type { Tensor } from "../../src/core/tensor/index.ts";
import { connectPeer, ownIdentity, socketFolder } from "../../src/link/peer/index.ts";
import { markedProcesses } from "../../src/link/process-tree/index.ts";
import type { RouteRevision } from "../../src/link/route/index.ts";
import { claimSocket } from "../../src/serving/claim/index.ts";
import { ProcessRuntime } from "../../src/serving/runtime-process/index.ts";
import {
  ModelDied,
  type ForwardingClient,
  type LoadedModel,
  type ModelClient,
  type Runtime,
} from "../../src/serving/runtime/index.ts";
import { isRunning, until } from "../support/server.ts";
import {
  connect,
  DataFolder,
  FIXTURE_LAUNCHER,
  inspectRequest,
  revisionOf,
  type Version,
} from "./runtime-subjects.ts";

const folder = new DataFolder();
const patient = { timeoutMs: 10_000 };
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  const found = left();
  if (found.length > 0) throw new Error(`processes are left: ${found.join(", ")}`);
});
afterAll(() => folder.remove());

/** Processes of any server of this folder. */
function left(): readonly number[] {
  return markedProcesses(`${socketFolder(folder.path)}/`);
}

function one(value: number): Tensor[] {
  return [{ name: "x", dtype: "FP32", shape: [1, 1], data: Float32Array.of(value) }];
}

/** The fixture's server as a registered revision. */
async function registered(
  settings: Readonly<Record<string, unknown>>,
  runtime: Runtime = folder.processRuntime(),
): Promise<RouteRevision> {
  const version = folder.storeServer({ model: "doubling", ...settings });
  return revisionOf(version, await runtime.inspect(inspectRequest(version, [one(1)])));
}

async function load(
  settings: Readonly<Record<string, unknown>>,
  launcher: Partial<Launcher> = {},
): Promise<{
  readonly loaded: LoadedModel;
  readonly client: ModelClient;
  readonly revision: RouteRevision;
}> {
  const runtime = folder.processRuntime(launcher);
  const revision = await registered(settings, runtime);
  const loaded = await runtime.load("fraud/1", revision);
  cleanups.push(() => loaded.unload());
  const client = await connect(loaded);
  cleanups.push(() => client.close());
  return { loaded, client, revision };
}

function pidOf({ proof }: LoadedModel): number {
  if (proof.pid === null) throw new Error("it has no process");
  return proof.pid;
}

/** Whether the server says so by itself; one that hangs says nothing. */
async function isReady({ address }: LoadedModel): Promise<boolean> {
  if (address.kind !== "process") throw new Error("it is no managed server");
  const url = `${address.upstream.url}/v2/models/${address.upstream.model}/ready`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(500) }).catch(() => null);
  if (answer?.ok === false) throw new Error(`${url} answers ${answer.status}`);
  return answer !== null;
}

test("its facts: memory, the time to start, what is known of its environment", async () => {
  const { loaded } = await load({});
  expect(loaded.proof).toMatchObject({
    proof:
      "digest verified, environment unmanaged: the launcher makes no environment, 1 sample agrees",
    process: { environment: "unmanaged: the launcher makes no environment" },
  });
  expect(loaded.proof.process?.memoryBytes).toBeGreaterThan(5_000_000);
  expect(loaded.proof.process?.startedInMs).toBeGreaterThan(0);
});

test("the server cannot change what was registered, and its folder goes when it goes", async () => {
  // What the shim of another one left that was killed goes as well.
  mkdirSync(join(folder.path, "run", "m-0123456789abcdef-999999999", "code"), { recursive: true });
  const environments = join(folder.path, "environments");
  mkdirSync(join(environments, "ab".repeat(8), "lib"), { recursive: true });
  const { loaded } = await load({});
  expect(readdirSync(environments)).toEqual([`${"ab".repeat(8)}.lock`]);
  const [run] = readdirSync(join(folder.path, "run"));
  expect(readdirSync(join(folder.path, "run", run ?? ""))).toEqual(["model.json", "serve.py"]);
  await loaded.unload();
  expect(readdirSync(join(folder.path, "run"))).toEqual([]);
});

test("killed, its death is told with how, and the requests in it are suspects", async () => {
  const { loaded, client } = await load({ behaviour: "hang", after: 2 });
  // Registering and loading sent one each to servers of their own.
  await client.infer(one(1), patient);
  const hanging = client.infer(one(1), patient).catch((error: unknown) => error);
  await until("the server has it", async () => !(await isReady(loaded)));
  process.kill(pidOf(loaded), "SIGKILL");
  expect(await hanging).toMatchObject({ name: "ModelDied", suspect: true });
  expect(await loaded.died).toMatch(/^the server \(pid \d+\) ended with signal SIGKILL/);
  await expect(client.infer(one(1), patient)).rejects.toMatchObject({
    name: "ModelDied",
    suspect: false,
  });
});

test("a server that ends says why in its last lines", async () => {
  const version = folder.storeServer({ model: "doubling", behaviour: "exit-at-start" });
  await expect(folder.processRuntime().inspect(inspectRequest(version))).rejects.toMatchObject({
    code: "runtime.failed",
    message: expect.stringMatching(
      /ended with exit code 1 before it was ready; it printed last: ERROR no weights here$/,
    ) as string,
    hint: expect.stringContaining("model-inspect.log") as string,
  });
});

test("a server that never gets ready is given up, and nothing of it stays", async () => {
  const version = folder.storeServer({ model: "doubling", behaviour: "never-ready" });
  const runtime = folder.processRuntime({ startTimeoutMs: 3_000 });
  await expect(runtime.inspect(inspectRequest(version))).rejects.toMatchObject({
    code: "runtime.timeout",
    message: expect.stringMatching(/not ready within 3000 ms: GET .*\/ready: 503/) as string,
  });
  expect(left()).toEqual([]);
});

test("one that does not answer as it describes itself is refused: its samples would agree for ever", async () => {
  const version = folder.storeServer({ model: "doubling", behaviour: "renamed" });
  await expect(folder.processRuntime().inspect(inspectRequest(version))).rejects.toMatchObject({
    code: "signature.mismatch",
    message: expect.stringContaining("generated sample 1: output y is missing") as string,
  });
});

test("a server that listens somewhere else is given up, and the answer says where it should", async () => {
  const version = folder.storeServer({ model: "doubling" });
  const runtime = folder.processRuntime({
    command: ["python3", "-c", "import time; time.sleep(60)"],
    startTimeoutMs: 500,
  });
  await expect(runtime.inspect(inspectRequest(version))).rejects.toMatchObject({
    code: "runtime.timeout",
    message: expect.stringMatching(
      /GET http:\/\/127\.0\.0\.1:\d+\/.*ECONNREFUSED.*; it printed nothing$/,
    ) as string,
    hint: expect.stringMatching(/\$PORT.*startTimeout.*model-inspect\.log/) as string,
  });
});

test("the list of processes shows no variable of its launcher", async () => {
  const runtime = folder.processRuntime({ env: { API_KEY: "hunter2" } });
  const loaded = await runtime.load("fraud/1", await registered({}, runtime));
  cleanups.push(() => loaded.unload());
  const lines = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => commandLine(Number(pid)) ?? []);
  const { address } = loaded;
  if (address.kind !== "process") throw new Error("it is no process");
  // It is found there all the same.
  expect(lines.filter((line) => line.includes(address.shim))).toHaveLength(1);
  expect(lines.filter((line) => line.join(" ").includes("hunter2"))).toEqual([]);
});

test("a program that is not there is named", async () => {
  const version = folder.storeServer({ model: "doubling" });
  const runtime = folder.processRuntime({ command: ["no-such-program", "{port}"] });
  await expect(runtime.inspect(inspectRequest(version))).rejects.toMatchObject({
    code: "runtime.failed",
    message: expect.stringContaining("no-such-program cannot be started") as string,
  });
});

test.each(["ignore-term", "fork"])(
  "%s: all of it is gone when it is unloaded",
  async (behaviour) => {
    const { loaded, client } = await load({ behaviour });
    const count = behaviour === "fork" ? 3 : 1;
    expect(left()).toHaveLength(count);
    await client.close();
    await loaded.unload();
    expect(left()).toEqual([]);
  },
);

test("children outlive no server that dies", async () => {
  const { loaded } = await load({ behaviour: "fork" });
  process.kill(pidOf(loaded), "SIGKILL");
  expect(await loaded.died).toContain("SIGKILL");
  await until("nothing is left", () => left().length === 0);
});

function escaped(): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => commandLine(pid)?.includes("lastgood-escapee") === true && isRunning(pid));
}

test("a child that has left session and environment behind outlives no server either, once it was seen", async () => {
  const { loaded } = await load({ behaviour: "escape" });
  expect(escaped()).toHaveLength(1);
  // It is looked at once a second.
  await sleep(1_500);
  process.kill(pidOf(loaded), "SIGKILL");
  expect(await loaded.died).toContain("SIGKILL");
  await until("nothing is left", () => escaped().length === 0);
});

test("a shim that is killed leaves its server behind for no longer than its death is noticed", async () => {
  const { loaded } = await load({ behaviour: "fork" });
  const { address } = loaded;
  if (address.kind !== "process") throw new Error("it is no process");
  const self = ownIdentity("gateway", "test", "test");
  const shim = await connectPeer(address.shim, { self, onRequest: () => ({ body: {} }) });
  process.kill(shim.other.pid, "SIGKILL");
  expect(await loaded.died).toContain("ended");
  await until("nothing is left", () => left().length === 0);
});

test("one that takes more memory than its launcher allows is ended for it", async () => {
  const { loaded, client } = await load(
    { behaviour: "leak", after: 1 },
    { memoryBytes: 150_000_000, unhealthyMs: 400 },
  );
  const before = left();
  await until("it has taken too much", async () => {
    const error = await client.infer(one(1), patient).catch((failure: unknown) => failure);
    return error instanceof ModelDied;
  });
  expect(await loaded.died).toMatch(/took \d+(\.\d)? MB of memory, its launcher allows 150 MB/);
  await until("all of it is gone", () => !before.some(isRunning));
});

test("one that hangs is ended once it was not healthy for as long as its launcher allows", async () => {
  const { loaded, client } = await load({ behaviour: "hang", after: 1 }, { unhealthyMs: 500 });
  const hanging = client.infer(one(1), { timeoutMs: 20_000 }).catch((error: unknown) => error);
  expect(await loaded.died).toMatch(/was not healthy for 500 ms/);
  expect(await hanging).toMatchObject({ name: "ModelDied", suspect: true });
});

/** Asks a client something over and over, 64 times at once; what else than good answers came of it. */
async function saturate(client: ModelClient, ms: number): Promise<readonly unknown[]> {
  const failures: unknown[] = [];
  const endAt = performance.now() + ms;
  const body = JSON.stringify({
    inputs: [{ name: "x", datatype: "FP32", shape: [1, 1], data: [1] }],
  });
  const asked = { method: "POST", path: "/v2/models/a%20model/infer", headers: {} };
  const ask = async (): Promise<void> => {
    while (performance.now() < endAt && failures.length === 0)
      try {
        if (!("forward" in client)) await client.infer(one(1), patient);
        else {
          const forwarding = client as ForwardingClient;
          const message = { ...asked, body: Buffer.from(body), timeoutMs: 10_000 };
          const { status } = await forwarding.forward(message);
          if (status !== 200) failures.push(status);
        }
      } catch (error) {
        failures.push(error);
      }
  };
  await Promise.all(Array.from({ length: 64 }, ask));
  return failures;
}

test.each(["oip", "passthrough"] as const)(
  "one that is asked more than it can answer at once (%s) stays, whatever its health check waits behind",
  async (protocol) => {
    const health = "/v2/models/a%20model/ready";
    const { loaded, client } = await load(
      { behaviour: "one-at-a-time" },
      { protocol, health, unhealthyMs: 1_000 },
    );
    let why: string | null = null;
    void loaded.died.then((died) => (why = died));
    // 64 at 50 ms: a look has to wait for 3 s.
    expect(await saturate(client, 8_000)).toEqual([]);
    expect(why).toBeNull();
  },
);

test("a look that gets no answer is followed by one with more patience", async () => {
  const { loaded } = await load({ behaviour: "slow-health" }, { unhealthyMs: 13_000 });
  let why: string | null = null;
  void loaded.died.then((died) => (why = died));
  await sleep(20_000);
  expect(why).toBeNull();
});

test("a running server is adopted by the next gateway, and only by one that would start the same", async () => {
  const { loaded, revision } = await load({});
  const again = await folder.processRuntime().load("fraud/1", revision);
  expect(again.proof.pid).toBe(loaded.proof.pid);
  const other = await folder.processRuntime({ env: { MODE: "b" } }).load("fraud/1", revision);
  cleanups.push(() => other.unload());
  expect(other.proof.pid).not.toBe(loaded.proof.pid);
});

test("one that nobody is connected to ends itself, and its server", async () => {
  const { digest, files } = folder.storeServer({ model: "doubling" });
  const socket = claimSocket(folder.path, "fraud/9", digest);
  const logFile = join(folder.path, "logs", "orphan.log");
  const config = {
    socket,
    digest,
    files,
    logFile,
    build: "test",
    subject: "fraud/9",
    claim: "a claim",
    dataDir: folder.path,
    name: "fixture",
    launcher: FIXTURE_LAUNCHER,
    orphanMs: 500,
  };
  const entry = join(import.meta.dirname, "../../dist/shim.cjs");
  const shim = spawn(process.execPath, [entry], { stdio: ["pipe", "ignore", "ignore"] });
  shim.stdin.end(JSON.stringify(config));
  const peer = await until("it says hello", () =>
    connectPeer(socket, {
      self: ownIdentity("gateway", "test", "test"),
      onRequest: () => ({ body: {} }),
    }),
  );
  const { body } = await peer.request("describe", {});
  const { pid } = body as { readonly pid: number };
  expect(isRunning(pid)).toBe(true);
  peer.close();
  await until("both are gone", () => !isRunning(pid) && shim.exitCode === 0);
  expect(existsSync(socket)).toBe(false);
});

test("without permission no code runs, whatever is asked", async () => {
  const version = folder.storeServer({ model: "doubling" });
  const runtime = new ProcessRuntime({
    dataDir: folder.path,
    shimEntry: "/nowhere/shim.cjs",
    build: "test",
    launchers: { fixture: FIXTURE_LAUNCHER },
    allowCode: false,
  });
  const refused = {
    code: "code.not-allowed",
    hint: expect.stringContaining("--allow-code") as string,
  };
  await expect(runtime.inspect(inspectRequest(version))).rejects.toMatchObject(refused);
});

test("a launcher that the server has not is named with those it has", async () => {
  const version = folder.storeServer({ model: "doubling" });
  const other = { ...version, runtime: { kind: "process", launcher: "torch" } } as const;
  await expect(folder.processRuntime().inspect(inspectRequest(other))).rejects.toMatchObject({
    code: "runtime.unavailable",
    hint: expect.stringContaining("name one of those it has") as string,
    details: { launchers: ["fixture"] },
  });
});

/** A version with these files beside its server; what it requires lies among them: nothing is downloaded. */
function withFiles(files: Readonly<Record<string, string | Buffer>>): Version {
  const version = folder.storeServer({ model: "doubling" });
  const added = Object.entries(files).map(([path, content]) => {
    const [file] = folder.store(Buffer.from(content)).files;
    if (file === undefined) throw new Error("nothing was stored");
    return { ...file, path };
  });
  const [first] = added;
  return {
    ...version,
    digest: first?.digest ?? version.digest,
    files: [...version.files, ...added],
  };
}

function withRequirements(requirements: string): Version {
  return withFiles({ "requirements.txt": requirements });
}

test("an environment is made once for all versions with these requirements", async () => {
  const runtime = folder.processRuntime({ environment: "venv" });
  const version = withRequirements("# nothing but Python\n");
  const { notes } = await runtime.inspect(inspectRequest(version, [one(1)]));
  expect(notes).toEqual([]);
  const environments = join(folder.path, "environments");
  const [made] = readdirSync(environments).filter((name) => !name.endsWith(".lock"));
  const marker = join(environments, made ?? "", "marker");
  writeFileSync(marker, "");
  const revision = revisionOf(version, await runtime.inspect(inspectRequest(version, [one(1)])));
  const loaded = await runtime.load("fraud/2", revision);
  cleanups.push(() => loaded.unload());
  expect(loaded.proof.proof).toMatch(
    /^digest verified, environment sha256:\w{12} \(locked\), 1 sample agrees$/,
  );
  expect(existsSync(marker)).toBe(true);
  const command = readFileSync(`/proc/${pidOf(loaded)}/cmdline`, "utf8");
  expect(command).toContain(join(environments, made ?? "", "bin/python"));
}, 120_000);

test("an installation that fails refuses the version with the installer's last lines", async () => {
  const runtime = folder.processRuntime({ environment: "venv" });
  const version = withRequirements("--no-index\nthere-is-no-such-package==1.0\n");
  await expect(runtime.inspect(inspectRequest(version))).rejects.toMatchObject({
    code: "preflight.rejected",
    message: expect.stringMatching(
      /environment could not be made: pip install: [^]*there-is-no-such-package/,
    ) as string,
  });
  // Cut short, it is no environment.
  await expect(runtime.inspect(inspectRequest(version))).rejects.toMatchObject({
    code: "preflight.rejected",
  });
}, 120_000);

/** A package of one empty module, built as an installer takes it. */
function wheel(version: string): Buffer {
  const path = join(folder.path, `greeting-${version}-py3-none-any.whl`);
  const script = `
import sys, zipfile
path, version = sys.argv[1:]
info = f"greeting-{version}.dist-info"
with zipfile.ZipFile(path, "w") as wheel:
    wheel.writestr("greeting.py", "")
    wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: greeting\\nVersion: {version}\\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(f"{info}/RECORD", "")`;
  execFileSync("python3", ["-c", script, path, version]);
  return readFileSync(path);
}

/** What is installed in each environment of the folder, apart from installers. */
function installed(): readonly string[] {
  const found = readdirSync(join(folder.path, "environments"), { recursive: true }) as string[];
  return (
    found
      // `lib64` is a link to it.
      .filter(
        (path) => /\/lib\/.*\.dist-info$/.test(path) && !/(?:pip|setuptools)-[^/]*$/.test(path),
      )
      .map((path) => basename(path, ".dist-info"))
      .toSorted()
  );
}

test("constraints and wheels of a version's folder are installed, and other ones get another environment", async () => {
  const runtime = folder.processRuntime({ environment: "venv" });
  const files = {
    "requirements.txt": "-c constraints.txt\n--no-index\n--find-links wheels\n-r deps/base.txt\n",
    "deps/base.txt": "greeting\n",
    "wheels/greeting-1.0-py3-none-any.whl": wheel("1.0"),
    "wheels/greeting-2.0-py3-none-any.whl": wheel("2.0"),
    // The installer's modules are not looked for here, nor is its interpreter chosen here.
    "pip.py": "raise SystemExit('this is not pip')\n",
    ".python-version": "2.5\n",
  };
  for (const constraint of ["greeting==1.0", "greeting<3"]) {
    const version = withFiles({ "constraints.txt": constraint, ...files });
    const { notes } = await runtime.inspect(inspectRequest(version, [one(1)]));
    expect(notes).toEqual(["environment: unmanaged: greeting is no exact version"]);
  }
  expect(installed()).toEqual(["greeting-1.0", "greeting-2.0"]);
  const byPath = withFiles({
    ...files,
    "requirements.txt": "./wheels/greeting-1.0-py3-none-any.whl\n",
  });
  expect((await runtime.inspect(inspectRequest(byPath, [one(1)]))).notes).toEqual([]);
  expect(installed()).toEqual(["greeting-1.0", "greeting-1.0", "greeting-2.0"]);
}, 180_000);

test("where pip is too old to install elsewhere, the environment has its own", async () => {
  const python = join(folder.path, "python-of-2022");
  const script = `#!/bin/sh
    case "$*" in
      "-m pip --version") echo "pip 22.0.2 from /usr/lib/python3/dist-packages/pip (python 3.10)";;
      *" --python "*) echo "no such option: --python"; exit 2;;
      *) exec python3 "$@";;
    esac`;
  writeFileSync(python, script, { mode: 0o755 });
  const runtime = folder.processRuntime({ environment: "venv", python });
  const version = withFiles({
    "requirements.txt": "--no-index\n./greeting-3.0-py3-none-any.whl\n",
    "greeting-3.0-py3-none-any.whl": wheel("3.0"),
  });
  expect((await runtime.inspect(inspectRequest(version, [one(1)]))).notes).toEqual([]);
  expect(installed()).toContain("greeting-3.0");
}, 120_000);
