/** MLflow model folders and pipelines: registered, served, compared and rolled back as one version. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import type { Diff, Registered, RolledBack } from "../../src/core/api/index.ts";
import type { ErrorBody } from "../../src/core/errors/index.ts";
import { Load } from "../support/load.ts";
import { example, startServer, type TestServer } from "../support/server.ts";

const fixtures = join(import.meta.dirname, "../fixtures");
const mlflowFolder = (name: string): string => join(fixtures, "mlflow", name);
let server: TestServer;
let folder = "";

beforeAll(async () => {
  server = await startServer();
  folder = mkdtempSync(join(tmpdir(), "lastgood-pipeline-"));
});
afterAll(async () => {
  await server.destroy();
  rmSync(folder, { recursive: true, force: true });
});

async function post(path: string, body: unknown): Promise<unknown> {
  const response = await fetch(`${server.serveUrl}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close" },
    body: JSON.stringify(body),
  });
  const answer: unknown = await response.json();
  expect(response.status, JSON.stringify(answer)).toBe(200);
  return answer;
}

test("an MLflow folder of the flavour onnx is a version: its example is the golden sample, its run the lineage", async () => {
  const { version, notes } = await server.json<Registered>([
    "register",
    "fraud",
    mlflowFolder("onnx"),
    "--version",
    "v1.0",
    "--tag",
    "by=hand",
  ]);
  expect(notes).toEqual([]);
  expect(version).toMatchObject({
    runtime: { kind: "onnx", file: "model.onnx" },
    golden: [{ inputs: [{ shape: [2, 4] }] }],
    lineage: { run: "f6963c17d4a2457983f7cfdcc4eb450d", mlflow_version: "3.17.2" },
    tags: { by: "hand", "mlflow.metadata.team": "risk" },
    batching: { on: true },
  });
  expect(version.lineage["requirements"]).toMatch(/^sha256:/);
  expect(version.files.map((file) => file.path)).toContain("MLmodel");
});

test("a table for a model that MLflow has as one of arrays is answered with outputs by name, as MLflow answers it", async () => {
  const arrays = join(folder, "arrays");
  cpSync(mlflowFolder("onnx"), arrays, { recursive: true });
  const mlmodel = join(arrays, "MLmodel");
  const inputs = '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}]';
  const said = readFileSync(mlmodel, "utf8").replace(/inputs: '.*?'/s, `inputs: '${inputs}'`);
  writeFileSync(mlmodel, said);
  await server.json(["register", "arrays", arrays, "--version", "v1.0"]);
  await server.json(["register", "tables", mlflowFolder("onnx"), "--version", "v1.0"]);
  const data = [[5.1, 3.5, 1.4, 0.2]];
  const ask = async (model: string, columns: readonly string[]): Promise<unknown> => {
    await server.json(["deploy", `${model}@v1.0`]);
    return post(`/endpoints/${model}-prod/invocations`, { dataframe_split: { columns, data } });
  };
  const names = ["length", "width"].map((side) => `sepal ${side} (cm)`);
  const columns = [...names, ...names.map((name) => name.replace("sepal", "petal"))];
  expect(await ask("arrays", ["a", "b", "c", "d"])).toMatchObject({
    predictions: {
      label: [0],
      probabilities: [[expect.any(Number), expect.any(Number), expect.any(Number)]],
    },
  });
  expect(await ask("tables", columns)).toMatchObject({ predictions: [{ label: 0 }] });
});

test("a folder of another flavour is code, which this server does not run: it says what would serve it", async () => {
  const { code, stdout } = await server.cli([
    "register",
    "other",
    mlflowFolder("sklearn"),
    "--json",
  ]);
  expect(code).toBe(4);
  const { error } = JSON.parse(stdout) as { error: ErrorBody };
  expect(error).toMatchObject({
    code: "code.not-allowed",
    message: expect.stringContaining("launcher mlflow") as string,
    hint: expect.stringContaining("--allow-code") as string,
  });
});

test("a pipeline goes forth and back as one, under load", async () => {
  const good = example("iris-pipeline");
  cpSync(good, folder, { recursive: true });
  cpSync(join(fixtures, "onnx/preprocess-forgotten.onnx"), join(folder, "preprocess.onnx"));
  await server.json(["register", "flowers", good, "--version", "v1.0"]);
  const { version } = await server.json<Registered>([
    "register",
    "flowers",
    "--version",
    "v1.1",
    "--preprocess",
    join(folder, "preprocess.onnx"),
    "--model",
    join(folder, "model.onnx"),
    "--postprocess",
    join(folder, "postprocess.onnx"),
  ]);
  expect(version.signature.inputs).toMatchObject([{ name: "inches" }]);
  expect(version.signature.outputs.map(({ name }) => name)).toEqual(["species", "confidence"]);

  await server.json(["deploy", "flowers@v1.0"]);
  const body = { inputs: { inches: [[2.5, 1.5, 1.4, 0.5]] } };
  const url = "/endpoints/flowers-prod/invocations";
  expect(await post(url, body)).toMatchObject({ predictions: { species: ["versicolor"] } });

  const load = new Load({
    url: `${server.serveUrl}${url}`,
    bodies: [JSON.stringify(body)],
    concurrency: 4,
    pauseMs: 5,
  });
  await server.json(["deploy", "flowers@v1.1"]);
  expect(await post(url, body)).toMatchObject({ predictions: { species: ["setosa"] } });
  const back = await server.json<RolledBack>(["rollback", "flowers-prod"]);
  expect(back).toMatchObject({ to: { version: "v1.0" }, verified: true, failedRequests: 0 });
  expect(await post(url, body)).toMatchObject({ predictions: { species: ["versicolor"] } });
  const failed = (await load.stop()).filter(({ status }) => status !== 200);
  expect(failed).toEqual([]);
});

test("show and diff name the steps", async () => {
  const shown = await server.cli(["show", "flowers@v1.0"]);
  expect(shown.stdout).toContain(
    "preprocess preprocess.onnx → predict model.onnx → postprocess postprocess.onnx",
  );
  const { rows } = await server.json<Diff>(["diff", "flowers", "v1.0", "v1.1"]);
  const differing = rows.filter((row) => !row.equal).map((row) => row.field);
  expect(differing).toContain("step preprocess");
  expect(differing).not.toContain("step predict");
});

test("steps that do not fit are refused when they are registered", async () => {
  const { code, stdout } = await server.cli([
    "register",
    "misfit",
    example("iris/v1.1.onnx"),
    "--json",
    "--postprocess",
    join(fixtures, "onnx/no-negatives.onnx"),
  ]);
  expect(code).toBe(4);
  expect(JSON.parse(stdout)).toMatchObject({
    error: {
      code: "signature.mismatch",
      message: expect.stringContaining("postprocess takes x FP32") as string,
    },
  });
});

test("serve -m takes the folder itself, as mlflow models serve does, and switches to another one", async () => {
  await server.terminate();
  rmSync(server.dataDir, { recursive: true });
  const port = String(server.ports.serve);
  await server.start({ args: ["-m", mlflowFolder("onnx"), "-p", port] });
  const columns = [
    "sepal length (cm)",
    "sepal width (cm)",
    "petal length (cm)",
    "petal width (cm)",
  ];
  const request = { dataframe_split: { columns, data: [[5.1, 3.5, 1.4, 0.2]] } };
  await expect
    .poll(() => post("/invocations", request).catch(() => null), { timeout: 20_000 })
    .toMatchObject({ predictions: [{ label: 0 }] });
  const [a, b, c, d] = columns;
  const shuffled = { columns: [d, c, "other", b, a], data: [[0.2, 1.4, "text", 3.5, 5.1]] };
  expect(await post("/invocations", { dataframe_split: shuffled })).toEqual(
    await post("/invocations", request),
  );

  cpSync(mlflowFolder("onnx"), folder, { recursive: true });
  cpSync(join(fixtures, "mlflow/weaker.onnx"), join(folder, "model.onnx"));
  const forth = await server.json(["serve", "-m", folder, "-p", port]);
  expect(forth).toMatchObject({ endpoint: "fraud-prod", version: "fraud@#2", by: "deploy" });
  const back = await server.json(["serve", "-m", mlflowFolder("onnx"), "-p", port]);
  expect(back).toMatchObject({ version: "fraud@#1", by: "rollback", verified: true });
});
