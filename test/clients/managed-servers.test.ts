/** Real Python servers as versions: `mlflow models serve`, scikit-learn behind FastAPI, BentoML. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { signatureSchema, type Signature } from "../../src/core/version/index.ts";
import { Load } from "../support/load.ts";
import { heldOutRows } from "../support/rows.ts";
import { isRunning, startServer, until, type TestServer } from "../support/server.ts";
import { Stage } from "../support/stage.ts";
import { quickCanary } from "../support/under-traffic.ts";
import { pythonOf } from "./environments.ts";

const SERVERS = join(import.meta.dirname, "servers");
const folder = mkdtempSync(join(tmpdir(), "lastgood-clients-"));
const rows = heldOutRows("iris");
const LABEL = { name: "label", kind: "tensor", dtype: "INT64", shape: [-1] } as const;
const COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"] as const;
const TENSOR: Signature = {
  inputs: [{ name: "features", kind: "tensor", dtype: "FP64", shape: [-1, 4] }],
  outputs: [LABEL],
};
const TABLE: Signature = {
  inputs: COLUMNS.map((name) => ({ name, kind: "tensor", dtype: "FP64", shape: [-1] })),
  outputs: [LABEL],
};
const EXAMPLE = { inputs: { features: rows.slice(0, 3).map((row) => row.features) } };
const labelled = z.union([
  z.number(),
  z.object({ label: z.number() }).transform(({ label }) => label),
]);
let server: TestServer;

beforeAll(async () => {
  execFileSync(pythonOf("mlflow"), [join(SERVERS, "mlflow_models.py"), folder], {
    stdio: ["ignore", "ignore", "inherit"],
    cwd: folder,
  });
  const config = join(folder, "server.yaml");
  const environment = "none";
  const launchers = {
    mlflow: { python: pythonOf("mlflow"), environment },
    bentoml: { python: pythonOf("bentoml"), environment, retries: true },
    fastapi: {
      command: ["{python}", "fastapi_app.py"],
      python: pythonOf("mlflow"),
      protocol: "json",
      retries: true,
      startTimeout: "2m",
    },
  };
  writeFileSync(config, JSON.stringify({ launchers }));
  server = await startServer({ args: ["--config", config, "--allow-code"] });
});

afterAll(async () => {
  await server?.destroy();
  rmSync(folder, { recursive: true, force: true });
});

async function uploaded(paths: Readonly<Record<string, string>>) {
  const files: { path: string; digest: string }[] = [];
  for (const [path, source] of Object.entries(paths)) {
    const { digest } = await server.client.upload(new Uint8Array(readFileSync(source)));
    files.push({ path, digest });
  }
  return files;
}

/** Every file of an MLflow model folder. */
function modelFolder(name: string): Readonly<Record<string, string>> {
  const root = join(folder, name);
  const names = readdirSync(root, { recursive: true, encoding: "utf8" });
  const files = names.filter((path) => statSync(join(root, path)).isFile());
  return Object.fromEntries(files.map((path) => [path, join(root, path)]));
}

interface Registered {
  readonly version: string;
  readonly launcher: string;
  readonly files: Readonly<Record<string, string>>;
  readonly signature?: Signature;
  readonly inputExample?: unknown;
}

async function register(model: string, given: Registered): Promise<void> {
  const { version, launcher, files, signature = TENSOR, inputExample = EXAMPLE } = given;
  const { version: stored } = await server.client.register(model, {
    name: version,
    files: await uploaded(files),
    runtime: "process",
    launcher,
    signature: signatureSchema.parse(signature),
    inputExample,
    actor: "tester",
  });
  expect(stored.golden).toHaveLength(1);
}

/**
 * What an endpoint answers for all held-out rows: the share that is right. MLflow's own answer is a list of
 * labels; ours has the output's name, by rows or by columns.
 */
async function accuracy(path: string, body: unknown): Promise<number> {
  const response = await fetch(`${server.serveUrl}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  const { predictions } = z
    .object({ predictions: z.union([z.array(labelled), z.object({ label: z.array(z.number()) })]) })
    .parse(JSON.parse(text));
  const labels = Array.isArray(predictions) ? predictions : predictions.label;
  expect(labels).toHaveLength(rows.length);
  return labels.filter((label, index) => label === Number(rows[index]?.label)).length / rows.length;
}

const all = { inputs: { features: rows.map((row) => row.features) } };

test("scikit-learn by `mlflow models serve`: a worse one is sent back by itself, a killed one comes back", async () => {
  const on = new Stage(server, "sk");
  await register("sk", { version: "v1.0", launcher: "mlflow", files: modelFolder("good") });
  const policy = quickCanary({ analysis: { metrics: { drift: { action: "rollback" } } } });
  await server.client.applyPolicy("sk", { actor: "tester", policy: { model: "sk", ...policy } });
  await on.deploy("v1.0");
  expect(await accuracy("/endpoints/sk/invocations", all)).toBeGreaterThan(0.9);

  const bodies = rows.map((row) => JSON.stringify({ inputs: { features: [row.features] } }));
  const url = `${server.serveUrl}/endpoints/sk/invocations`;
  const load = new Load({ url, bodies, concurrency: 4, pauseMs: 10 });
  await register("sk", { version: "v1.1", launcher: "mlflow", files: modelFolder("worse") });
  const { rollout } = await on.deploy("v1.1", { bakeMs: null });
  const telling = setInterval(() => {
    const items = load.answers.slice(-100).flatMap(({ requestId, index }) => {
      const label = rows[index]?.label;
      return requestId === null || label === undefined ? [] : [{ requestId, label: Number(label) }];
    });
    void server.client.feedback(items).catch(() => undefined);
  }, 500);
  const ended = await until(
    "the rollout ends",
    async () => {
      const { lastRollout } = await on.view();
      return lastRollout?.id === rollout?.id ? lastRollout : null;
    },
    120_000,
  );
  clearInterval(telling);
  expect(`${ended.phase}: ${ended.reason}`).toMatch(/^RolledBack: (accuracy|drift)/);
  expect((await on.view()).current?.version).toBe("v1.0");

  const [state] = (await on.loaded()).filter(({ revision }) => revision === 1);
  expect(state?.process?.memoryBytes).toBeGreaterThan(50_000_000);
  process.kill(state?.pid ?? 0, "SIGKILL");
  await until(
    "it is back",
    async () => {
      const [next] = (await on.loaded()).filter(({ revision }) => revision === 1);
      return next?.state === "ready" && next.pid !== state?.pid;
    },
    60_000,
  );
  const before = load.answers.length;
  await until("requests go on", () => load.answers.length > before + 50, 60_000);
  await load.stop();
  expect(load.failures).toEqual([]);
});

test("an MLflow model of named columns is asked with a table", async () => {
  const table = Object.fromEntries(
    COLUMNS.map((name, column) => [name, rows.map(({ features }) => features[column])]),
  );
  const three = Object.entries(table).map(([name, cells]) => [name, cells.slice(0, 3)]);
  const inputExample = { inputs: Object.fromEntries(three) as unknown };
  const files = modelFolder("table");
  await register("table", {
    version: "v1.0",
    launcher: "mlflow",
    files,
    signature: TABLE,
    inputExample,
  });
  await new Stage(server, "table").deploy("v1.0");
  expect(await accuracy("/endpoints/table/invocations", { inputs: table })).toBeGreaterThan(0.9);
});

test("the folder of a scikit-learn model is registered by its path alone, and asked as MLflow's own server is", async () => {
  await server.json(["register", "folder", join(folder, "table"), "--version", "v1.0"]);
  await new Stage(server, "folder").deploy("v1.0");
  const data = rows.map((row) => row.features);
  const frame = { dataframe_split: { columns: COLUMNS, data } };
  const response = await fetch(`${server.serveUrl}/endpoints/folder/invocations`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(frame),
  });
  expect(response.status, await response.clone().text()).toBe(200);
  const { predictions } = (await response.json()) as { predictions: unknown[] };
  expect(predictions).toHaveLength(rows.length);
});

test("scikit-learn behind FastAPI, and as a BentoML service", async () => {
  const fastapi = { "fastapi_app.py": join(SERVERS, "fastapi_app.py") };
  await register("fast", { version: "v1.0", launcher: "fastapi", files: fastapi });
  const bento = { "service.py": join(SERVERS, "bento_service.py") };
  await register("bento", { version: "v1.0", launcher: "bentoml", files: bento });
  for (const name of ["fast", "bento"]) {
    await new Stage(server, name).deploy("v1.0");
    expect(await accuracy(`/endpoints/${name}/invocations`, all)).toBeGreaterThan(0.9);
  }
});

test("at the end nothing of any of them is left", async () => {
  const servers = server.managed;
  expect(servers.length).toBeGreaterThanOrEqual(4);
  expect(await server.terminate()).toBe(0);
  expect(servers.filter(isRunning)).toEqual([]);
  expect(server.managed).toEqual([]);
});
