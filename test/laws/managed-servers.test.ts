/** What a person sees of managed servers, and what of theirs is part of a version. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import type { Collected, EndpointView, Registered, VersionView } from "../../src/core/api/index.ts";
import { parseDuration } from "../../src/core/time/index.ts";
import { oipBody } from "../support/load.ts";
import { isRunning, startServer, until, type TestServer } from "../support/server.ts";
import { Stage } from "../support/stage.ts";

const PIPELINE = join(import.meta.dirname, "../fixtures/python/pipeline");
const START_DELAY_S = 1.5;

const folder = mkdtempSync(join(tmpdir(), "lastgood-managed-servers-"));
let server: TestServer;

beforeAll(async () => {
  const scorer = {
    command: ["{python}", "serve.py"],
    retries: true,
    startTimeout: "20s",
    stopTimeout: "500ms",
  };
  const launchers = {
    scorer,
    isolated: { ...scorer, environment: "venv" },
    slow: { ...scorer, env: { START_DELAY: String(START_DELAY_S) } },
  };
  const config = join(folder, "server.yaml");
  writeFileSync(config, JSON.stringify({ launchers }));
  server = await startServer({ args: ["--config", config, "--allow-code"] });
});

afterAll(async () => {
  await server.destroy();
  rmSync(folder, { recursive: true, force: true });
});

/** How a version's folder differs from the others. */
interface Parts {
  /** What happens to a value before and after the model, as Python expressions of `value`. */
  readonly before?: string;
  readonly after?: string;
  readonly requirements?: string;
  readonly launcher?: string;
}

/** Writes a version's folder and registers it by its path, as a person does. */
async function register(name: string, version: string, parts: Parts = {}): Promise<Registered> {
  const { before = "value", after = "value", requirements, launcher = "scorer" } = parts;
  const path = join(folder, `${name}-${version}`);
  mkdirSync(path);
  cpSync(PIPELINE, path, { recursive: true });
  writeFileSync(join(path, "preprocess.py"), `def run(value):\n    return ${before}\n`);
  writeFileSync(join(path, "postprocess.py"), `def run(value):\n    return ${after}\n`);
  if (requirements !== undefined) writeFileSync(join(path, "requirements.txt"), requirements);
  const runtime = ["--runtime", "process", "--launcher", launcher];
  return server.json<Registered>(["register", name, path, ...runtime, "--version", version]);
}

/** What callers of the endpoint get for a value, and from which version. */
async function score(stage: Stage, value: number): Promise<string> {
  const headers = { "content-type": "application/json" };
  const body = oipBody([value], "x");
  const response = await fetch(stage.url, { method: "POST", headers, body });
  const answer = (await response.json()) as { readonly outputs: readonly { data: number[] }[] };
  return `${response.headers.get("x-lastgood-version")}: ${answer.outputs[0]?.data[0]}`;
}

test("what may take minutes is said before it is waited for", async () => {
  const runtime = ["--runtime", "process", "--launcher", "scorer"];
  const path = join(folder, "told");
  cpSync(PIPELINE, path, { recursive: true });
  for (const step of ["preprocess", "postprocess"])
    writeFileSync(join(path, `${step}.py`), "def run(value):\n    return value\n");
  const { code, stderr } = await server.cli(["register", "told", path, ...runtime]);
  expect(code, stderr).toBe(0);
  expect(stderr).toContain("its server is started once");
});

test("status and show say of a managed server: launcher, pid, memory, environment, and how long it took to start", async () => {
  const stage = new Stage(server, "facts");
  const environment = "unmanaged: the launcher makes no environment";
  const { version } = await register("facts", "v1.0", { launcher: "slow" });
  // Before anything runs, what was seen at registration.
  expect(version.process).toMatchObject({ environment });
  expect(version.process?.startedInMs).toBeGreaterThan(START_DELAY_S * 1_000);
  expect(version.servers).toEqual([]);
  await stage.deploy("v1.0");

  const view = await server.json<EndpointView>(["status", "facts"]);
  const shown = view.revisions[0]?.process;
  expect(shown).toMatchObject({ launcher: "slow", environment });
  expect(shown?.memoryBytes).toBeGreaterThan(5_000_000);
  expect(shown?.startedInMs).toBeGreaterThan(START_DELAY_S * 1_000);
  expect(isRunning(shown?.pid ?? 0)).toBe(true);
  const { stdout: status } = await server.cli(["status", "facts"]);
  expect(status).toMatch(
    /server of v1.0 \(revision 1\): launcher slow, pid \d+, [\d.]+ MB of memory, started in \d.*s, environment unmanaged: /,
  );

  const { servers } = await server.json<VersionView>(["show", "facts@v1.0"]);
  expect(servers).toMatchObject([{ endpoint: "facts", revision: 1, pid: shown?.pid, environment }]);
  const { stdout: show } = await server.cli(["show", "facts@v1.0"]);
  expect(show).toMatch(/runtime +process slow/);
  expect(show).toMatch(/environment +unmanaged: the launcher makes no environment/);
  expect(show).toMatch(/starts in +\d.*s/);
  expect(show).toMatch(/servers +facts revision 1: pid \d+, [\d.]+ MB of memory/);
});

test("how long a cold rollback takes counts the server's own start", async () => {
  const stage = new Stage(server, "cold");
  for (const number of [0, 1, 2]) {
    await register("cold", `v1.${number}`, { launcher: "slow", after: `value + ${number}` });
    await stage.deploy(`v1.${number}`);
  }
  await until("v1.0 is cold", async () => {
    const [first] = (await stage.view()).revisions;
    return first?.version === "v1.0" && !first.warm;
  });
  const args = ["rollback", "cold", "--version", "v1.0", "--dry-run"];
  const { notes } = await server.json<{ readonly notes: readonly string[] }>(args);
  const [, duration = "0"] = /on the way, about ([\d.]+ m?s)/.exec(notes.join("\n")) ?? [];
  expect(parseDuration(duration)).toBeGreaterThan(START_DELAY_S * 1_000);
});

test("what lies before and after the model inside a managed server is part of the version, and comes back with it", async () => {
  const stage = new Stage(server, "pipeline");
  const first = await register("pipeline", "v1.0", { before: "value * 10", after: "value + 1" });
  await stage.deploy("v1.0");
  expect(await score(stage, 2)).toBe("v1.0: 21");

  // One file differs, and that is another version.
  const second = await register("pipeline", "v1.1", { before: "value * 100", after: "value + 1" });
  expect(second).toMatchObject({ created: true, version: { name: "v1.1" } });
  const differing = second.version.files.filter(
    (file) => !first.version.files.some(({ digest }) => digest === file.digest),
  );
  expect(differing.map(({ path }) => path)).toEqual(["preprocess.py"]);
  expect(second.version.digest).not.toBe(first.version.digest);
  await stage.deploy("v1.1");
  expect(await score(stage, 2)).toBe("v1.1: 201");

  await register("pipeline", "v1.2", { before: "value * 1000", after: "value + 2" });
  await stage.deploy("v1.2");
  expect(await score(stage, 2)).toBe("v1.2: 2002");
  await server.json(["rollback", "pipeline"]);
  expect(await score(stage, 2)).toBe("v1.1: 201");
});

function at(requirements: string): Parts {
  return { requirements, launcher: "isolated" };
}

function labels(items: Collected["kept"]): readonly string[] {
  return items.map(({ versions }) => versions.join(", "));
}

test("an environment stays while a rollback could need it, and goes once its versions are put away", async () => {
  const stage = new Stage(server, "env");
  const environments = join(server.dataDir, "environments");
  const gc = (...flags: string[]): Promise<Collected> => server.json<Collected>(["gc", ...flags]);
  await register("env", "v1.0", at("# of v1.0\n"));
  await register("env", "v1.1", { ...at("# of v1.1 and v1.2\n"), before: "value * 2" });
  await register("env", "v1.2", { ...at("# of v1.1 and v1.2\n"), before: "value * 3" });
  for (const version of ["v1.0", "v1.1", "v1.2"]) await stage.deploy(version);
  const { environment = "" } = (await stage.view()).revisions.at(-1)?.process ?? {};
  expect(environment).toMatch(/^sha256:\w{12} \(locked\)$/);
  expect(await gc("--yes")).toMatchObject({ removed: [], kept: [{}, {}] });

  // Nobody needs it any more, but it goes only when that is asked for.
  await server.json(["archive", "env@v1.0"]);
  await until("v1.0 is not loaded any more", async () =>
    (await stage.view()).revisions.every(({ version, warm }) => version !== "v1.0" || !warm),
  );
  const rehearsed = await gc("--dry-run");
  expect(labels(rehearsed.removed)).toEqual(["env@v1.0"]);
  const [removed] = rehearsed.removed;
  expect(existsSync(join(environments, removed?.name ?? ""))).toBe(true);
  const told = await server.cli(["gc"]);
  expect(told.stdout).toMatch(/would be removed: 1 environment, .*env@v1.0 is archived.*kept:/s);
  const collected = await gc("--yes");
  expect(labels(collected.removed)).toEqual(["env@v1.0"]);
  expect(labels(collected.kept)).toEqual(["env@v1.1, env@v1.2"]);
  expect(existsSync(join(environments, removed?.name ?? ""))).toBe(false);

  // What was kept serves, and brings the last good version back.
  expect(await score(stage, 2)).toBe("v1.2: 6");
  await server.json(["rollback", "env"]);
  expect(await score(stage, 2)).toBe("v1.1: 4");
}, 180_000);
