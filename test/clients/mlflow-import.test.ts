/** Import from a real MLflow server: its registry, its runs, its artefacts. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

import { afterAll, beforeAll, expect, test } from "vitest";

import { MlflowClient, mlflowOffers } from "../../src/app/import/index.ts";
import { MlflowRecording } from "../support/recorded-mlflow.ts";
import { freePort, startServer, until, type TestServer } from "../support/server.ts";
import { pythonOf } from "./environments.ts";

const python = pythonOf("mlflow");
const make = join(import.meta.dirname, "../fixtures/mlflow/make.py");
const run = promisify(execFile);
let folder = "";
let url = "";
let mlflow: ChildProcess;
let server: TestServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lastgood-mlflow-"));
  const port = String(await freePort());
  url = `http://127.0.0.1:${port}`;
  const env = {
    ...process.env,
    PATH: `${dirname(python)}:${process.env["PATH"] ?? ""}`,
    MLFLOW_TRACKING_URI: url,
  };
  const at = ["--host", "127.0.0.1", "--port", port, "--workers", "1"];
  const stores = [
    "--backend-store-uri",
    `sqlite:///${folder}/mlflow.db`,
    "--artifacts-destination",
    join(folder, "artifacts"),
  ];
  mlflow = spawn(python, ["-m", "mlflow", "server", ...at, ...stores], {
    env,
    cwd: folder,
    stdio: "ignore",
    detached: true,
  });
  await until("MLflow is up", async () => (await fetch(`${url}/health`)).ok, 120_000);
  // From a folder of its own: MLflow keeps the path that it was called by.
  copyFileSync(make, join(folder, "make.py"));
  await run(python, ["make.py", "fetched"], { env, cwd: folder });
  server = await startServer();
}, 300_000);

afterAll(async () => {
  // The server and its workers are a group of their own.
  if (mlflow.pid !== undefined) process.kill(-mlflow.pid, "SIGKILL");
  await server.destroy();
  rmSync(folder, { recursive: true, force: true });
});

const sha256 = (path: string): string =>
  `sha256:${createHash("sha256").update(readFileSync(path)).digest("hex")}`;

test("every version of the flavour onnx, with what the registry and its run say of it", async () => {
  const { code, stdout } = await server.cli(
    ["import", "models:/fraud", "--all", "--from", url, "--json"],
    { XDG_CACHE_HOME: join(folder, "cache") },
  );
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    imported: 3,
    refused: 1,
    versions: [
      { name: "v1", outcome: "imported" },
      { name: "v2", outcome: "imported" },
      {
        name: "v3",
        outcome: "refused",
        why: expect.stringContaining("code (launcher mlflow)") as string,
      },
      { name: "v4", outcome: "imported" },
    ],
  });
  const version = await server.client.version("fraud", "@champion");
  expect(version).toMatchObject({
    name: "v2",
    params: { C: "1.0" },
    metrics: { accuracy: expect.any(Number) as number },
    tags: { checked: "yes", description: "the one that scored best" },
    lineage: { git_commit: "3f1c0de5a7b24e0f9d5b6c1a2e3f405162738495" },
  });
  expect(version.lineage["run"]).toMatch(/^[0-9a-f]{32}$/);
});

test("the files are byte for byte what MLflow's own client fetches", async () => {
  const { files } = await server.client.version("fraud", "v2");
  const fetched = join(folder, "fetched", "onnx");
  const own = readdirSync(fetched).filter((name) => name !== "registered_model_meta");
  expect(files.map(({ path, digest }) => [path, digest])).toEqual(
    own.toSorted().map((name) => [name, sha256(join(fetched, name))]),
  );
});

test("an imported version answers as MLflow's own scoring of its example does", async () => {
  await server.json(["deploy", "fraud@v2"]);
  const example = join(folder, "fetched", "onnx", "serving_input_example.json");
  const response = await fetch(`${server.serveUrl}/invocations`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: readFileSync(example),
  });
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ predictions: [{ label: 0 }, { label: 0 }] });
});

test("a registry of several pages, read page by page; RECORD_MLFLOW=1 keeps what it answered", async () => {
  const recording = new MlflowRecording();
  const names: string[][] = [];
  for (const pageSize of [2, 200]) {
    const client = new MlflowClient({ url, fetch: recording.fetch, headers: {}, pageSize });
    const wish = { model: "fraud", version: null, alias: null, as: null };
    const offers = await mlflowOffers(client, wish);
    for (const [index, offer] of offers.entries())
      await offer.bring(join(folder, `page-${pageSize}-${index}`), 2 ** 30);
    names.push(offers.map(({ name }) => name));
  }
  expect(names).toEqual([
    ["v1", "v2", "v3", "v4"],
    ["v1", "v2", "v3", "v4"],
  ]);
  if (process.env["RECORD_MLFLOW"] === "1") recording.write();
});
