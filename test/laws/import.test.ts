/** Import is repeatable: it takes each version once, whole, and goes on where it was broken off. */
import { execFileSync, type ChildProcess } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { RecordedMlflow } from "../support/recorded-mlflow.ts";
import { example, startServer, type CliResult, type TestServer } from "../support/server.ts";

const PIPELINE = join(import.meta.dirname, "../fixtures/python/pipeline");

let server: TestServer;
let folder = "";
let mlflow: RecordedMlflow;

beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.destroy());
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "lastgood-import-"));
  mlflow = await RecordedMlflow.start();
});
afterEach(async () => {
  rmSync(folder, { recursive: true });
  await mlflow.stop();
});

interface Report {
  readonly imported: number;
  readonly present: number;
  readonly refused: number;
  readonly offered: number;
  readonly versions: readonly {
    readonly name: string;
    readonly why: string | null;
    readonly notes: readonly string[];
  }[];
}

function cli(...args: readonly string[]): Promise<CliResult> {
  return server.cli(["import", ...args, "--json"], { XDG_CACHE_HOME: join(folder, "cache") });
}

async function report(...args: readonly string[]): Promise<Report> {
  const { stdout, stderr } = await cli(...args);
  expect(stdout, stderr).not.toBe("");
  return JSON.parse(stdout) as Report;
}

test("a folder of numbered versions, twice", async () => {
  for (const [number, file] of [
    ["1", "iris/v1.0.onnx"],
    ["2", "iris/v1.1.onnx"],
    ["10", "iris/v2.0-scaled.onnx"],
  ] as const) {
    mkdirSync(join(folder, "irises", number), { recursive: true });
    cpSync(example(file), join(folder, "irises", number, "model.onnx"));
  }
  const path = join(folder, "irises");
  expect(await report(path, "--dry-run")).toMatchObject({ offered: 3, imported: 0 });
  expect(await server.client.models()).toEqual([]);
  expect(await report(path)).toMatchObject({ imported: 3, present: 0, refused: 0 });
  const versions = await server.client.versions("irises");
  expect(versions.map(({ sequence, name }) => [sequence, name])).toEqual([
    [1, "v1"],
    [2, "v2"],
    [3, "v10"],
  ]);
  expect(await report(path)).toMatchObject({ imported: 0, present: 3, refused: 0 });

  cpSync(example("iris/v1.1.onnx"), join(path, "1", "model.onnx"));
  const verified = await report(path, "--verify");
  expect(verified).toMatchObject({ imported: 0, present: 2, refused: 1 });
  expect(verified.versions[0]?.why).toContain("irises@v1 exists with other bytes");
});

test("versions that a launcher starts the server of, from folders and from a repository", async () => {
  const config = join(folder, "server.yaml");
  const scorer = { command: ["{python}", "serve.py"], retries: true, startTimeout: "20s" };
  writeFileSync(config, JSON.stringify({ launchers: { scorer } }));
  const repository = join(folder, "repository");
  for (const path of ["models/score/1", "models/score/2", "repository/score"]) {
    cpSync(PIPELINE, join(folder, path), { recursive: true });
    for (const step of ["preprocess", "postprocess"])
      writeFileSync(join(folder, path, `${step}.py`), "def run(value):\n    return value\n");
  }
  // Another backend of Triton's is no reason to refuse what a launcher serves.
  writeFileSync(join(folder, "models/score/config.pbtxt"), 'backend: "python"\n');
  const git = (...args: readonly string[]): unknown =>
    execFileSync("git", ["-C", repository, "-c", "user.name=t", "-c", "user.email=t@t", ...args]);
  git("init", "-q");
  git("add", "-A");
  git("commit", "-qm", "v1");
  git("tag", "score@v3.0.0");

  const own = await startServer({ args: ["--config", config, "--allow-code"] });
  try {
    const run = async (...args: readonly string[]): Promise<Report> => {
      const env = { XDG_CACHE_HOME: join(folder, "cache") };
      const { stdout, stderr } = await own.cli(["import", ...args, "--json"], env);
      expect(stdout, stderr).not.toBe("");
      return JSON.parse(stdout) as Report;
    };
    const launched = ["--launcher", "scorer"];
    expect(await run(join(folder, "models/score"), ...launched)).toMatchObject({ imported: 2 });
    const tagged = ["score", "--from-git", repository, "--path", "score"];
    expect(await run(...tagged, ...launched)).toMatchObject({ imported: 1 });
    for (const number of ["1", "2", "3"])
      expect((await own.client.version("score", number)).runtime).toMatchObject({
        kind: "process",
        launcher: "scorer",
      });
  } finally {
    await own.destroy();
  }
});

test("what is refused says what to do, and a model whose name cannot be taken keeps no other", async () => {
  for (const path of ["_bad/1/model.onnx", "good/1/model.onnx", "two/1/a.onnx", "two/1/b.onnx"]) {
    mkdirSync(join(folder, "models", path, ".."), { recursive: true });
    cpSync(example("iris/v1.0.onnx"), join(folder, "models", path));
  }
  const { versions, ...totals } = await report(join(folder, "models"));
  expect(totals).toMatchObject({ imported: 1, refused: 2 });
  expect(versions.map(({ notes }) => notes)).toEqual([
    [expect.stringMatching(/^next: .*--as/)],
    [],
    [expect.stringMatching(/^next: /)],
  ]);
});

test("a password in the server's address is sent, and kept nowhere", async () => {
  const asked = new Set<string | undefined>();
  mlflow.before = (_, authorization) => void asked.add(authorization);
  const url = mlflow.url.replace("http://", "http://me:s%40cret@");
  const { code, stdout, stderr } = await cli("models:/fraud/2", "--as", "kept", "--from", url);
  expect(code, stderr).toBe(0);
  expect([...asked]).toEqual([`Basic ${Buffer.from("me:s@cret").toString("base64")}`]);
  const { lineage } = await server.client.version("kept", "1");
  expect(lineage["imported_from"]).toBe(`${mlflow.url}/#/models/fraud/versions/2`);
  expect(stdout + stderr).not.toContain("cret");
});

test("versions that GTO's tags register; a stage is an alias, and stays where a person moved it", async () => {
  const repository = join(folder, "repository");
  const git = (...args: readonly string[]): unknown =>
    execFileSync("git", ["-C", repository, "-c", "user.name=t", "-c", "user.email=t@t", ...args]);
  mkdirSync(repository);
  git("init", "-q");
  writeFileSync(join(repository, "artifacts.yaml"), "flower:\n  path: model.onnx\n");
  for (const version of ["v1.0", "v1.1"]) {
    cpSync(example(`iris/${version}.onnx`), join(repository, "model.onnx"));
    git("add", "-A");
    git("commit", "-qm", version);
    git("tag", `flower@${version}.0`);
  }
  git("tag", "flower#prod#1");
  expect(await report("flower", "--from-git", repository)).toMatchObject({ imported: 2 });
  const version = await server.client.version("flower", "@prod");
  expect(version.name).toBe("v1.1.0");
  expect(version.lineage["git_commit"]).toMatch(/^[0-9a-f]{40}$/);

  await server.json(["alias", "flower@v1.0.0", "prod"]);
  const again = await report("flower@v1.1.0", "--from-git", repository);
  expect(again).toMatchObject({ imported: 0, present: 1 });
  expect(again.versions[0]?.notes).toEqual([
    "the alias prod points at v1.0.0 here and was left there",
  ]);
});

test("one version of an MLflow registry by its alias, then all; nothing is fetched twice", async () => {
  const { code, stderr } = await cli("models:/fraud@champion", "--from", mlflow.url);
  expect(code, stderr).toBe(0);
  expect(mlflow.takeDownloads()).toHaveLength(7);
  expect(await report("models:/fraud", "--all", "--from", mlflow.url)).toMatchObject({
    imported: 2,
    present: 1,
    refused: 1,
  });
  expect(mlflow.takeDownloads()).toHaveLength(3 * 7);
  const champion = await server.client.version("fraud", "@champion");
  expect(champion).toMatchObject({ name: "v2", tags: { checked: "yes" }, params: { C: "1.0" } });
  expect((await server.client.version("fraud", "@challenger")).name).toBe("v1");
});

test("killed in the middle of a version it goes on with the file it was at", async () => {
  const args = ["import", "models:/fraud/2", "--as", "killed", "--from", mlflow.url];
  const env = { XDG_CACHE_HOME: join(folder, "cache") };
  const killed = await server.cli(args, env, (child) => {
    mlflow.before = (path) => {
      if (path.endsWith("/model.onnx")) child.kill("SIGKILL");
    };
  });
  expect(killed.code).toBeNull();
  const before = mlflow.takeDownloads().length;
  expect(before).toBeGreaterThan(1);
  mlflow.before = () => undefined;
  const { code, stderr } = await server.cli(args, env);
  expect(code, stderr).toBe(0);
  expect(mlflow.takeDownloads()).toHaveLength(7 - (before - 1));
  expect(await server.client.versions("killed")).toHaveLength(1);
});

test("an MLflow server that drops connections is asked again; one that is down ends the import", async () => {
  let dropped = 0;
  mlflow.before = (path) => {
    if (path.endsWith("/MLmodel") && (dropped += 1) < 3) throw new Error("dropped");
  };
  const { stdout } = await cli("models:/fraud/2", "--as", "patient", "--from", mlflow.url);
  expect(JSON.parse(stdout)).toMatchObject({ imported: 1 });
  expect(dropped).toBe(3);
  const gone = await cli("models:/fraud/2", "--as", "gone", "--from", "http://127.0.0.1:9");
  expect(gone.code).toBe(1);
  expect(JSON.parse(gone.stdout)).toMatchObject({ error: { code: "server.unreachable" } });
});

test("Ctrl-C stops an import with 130 and says that typing it again goes on, and it does", async () => {
  const args = ["models:/fraud/2", "--as", "stopped", "--from", mlflow.url];
  let child: ChildProcess | null = null;
  mlflow.before = (path) => {
    if (!path.endsWith("/MLmodel")) return;
    child?.kill("SIGINT");
    throw new Error("dropped, so that it is not over before it hears of it");
  };
  const cache = { XDG_CACHE_HOME: join(folder, "cache") };
  const stopped = await server.cli(["import", ...args], cache, (made) => {
    child = made;
  });
  expect(stopped.code).toBe(130);
  expect(stopped.stderr).toContain("stopped: what was imported stays; type the same again");
  mlflow.before = () => undefined;
  expect(await report(...args)).toMatchObject({ imported: 1 });
});

test.each([
  [["models:/fraud", "--from", "http://127.0.0.1:9"], "--all"],
  [["models:/fraud/3"], "--from"],
  [["models:/fraud/3", "--from", "mlflow:5000"], "mlflow:5000"],
  [["models:/fraud/x", "--from", "http://127.0.0.1:9"], "models:/fraud/3"],
  [["nowhere"], "nowhere"],
  [[], "a folder"],
] as const)("what is not understood says what is: import %j", async (args, hint) => {
  const { code, stdout } = await cli(...args);
  expect(code).toBe(2);
  expect(stdout).toContain(hint);
});
