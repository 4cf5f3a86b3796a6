import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { readModel, readSteps } from "./read-model.ts";
import { registerBody, type Registering } from "./register-model.ts";

const SAID = { name: null, metrics: {}, params: {}, tags: {}, lineage: {}, actor: "me" };

const root = join(import.meta.dirname, "../../..");
const mlflow = (name: string): string => join(root, "test/fixtures/mlflow", name);
const pipeline = join(root, "examples/iris-pipeline");
let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lastgood-model-folder-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("a folder that MLflow 3 wrote for an ONNX model: its file, its example, where it comes from", async () => {
  const model = await readModel(mlflow("onnx"));
  expect(model.files.map((file) => file.name)).toContain("MLmodel");
  expect(model).toMatchObject({
    steps: { preprocess: null, model: "model.onnx", postprocess: null },
    launcher: null,
    inputExample: {
      dataframe_split: {
        columns: ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"],
      },
    },
    tags: { "mlflow.flavors": "onnx, python_function", "mlflow.metadata.team": "risk" },
    lineage: {
      run: "f6963c17d4a2457983f7cfdcc4eb450d",
      mlflow_model: "m-dc151e7f95b142a9b383042165a663ce",
      mlflow_version: "3.17.2",
      requirements: model.files.find((file) => file.name === "requirements.txt")?.digest,
    },
  });
});

test("a folder of another flavour needs the launcher, and says what it takes", async () => {
  const model = await readModel(mlflow("sklearn"));
  expect(model.launcher).toBe("mlflow");
  expect(model.steps.model).toBeNull();
  expect(model.signature?.inputs).toHaveLength(4);
  expect(model.signature?.inputs[0]).toEqual({
    name: "sepal length (cm)",
    kind: "tensor",
    dtype: "FP32",
    shape: [-1],
  });
});

test("a folder whose signature is missing is passed through, unless somebody writes one", async () => {
  cpSync(mlflow("sklearn"), folder, { recursive: true });
  writeFileSync(join(folder, "MLmodel"), "flavors: {sklearn: {}}");
  const found = await readModel(folder);
  const body = (said: Partial<Registering["said"]>) =>
    registerBody({ model: "m", found, said: { ...SAID, ...said } });
  const signature = { inputs: [], outputs: [] };
  expect(body({})).toMatchObject({ launcher: "mlflow-passthrough", signature: null });
  expect(body({ signature })).toMatchObject({ launcher: "mlflow", signature });
  expect(body({ launcher: "own" })).toMatchObject({ launcher: "own" });
});

test("what a folder says is left out where requests are not to be read", async () => {
  const found = await readModel(mlflow("sklearn"));
  const said = { ...SAID, launcher: "mlflow-passthrough" };
  expect(registerBody({ model: "m", found, said })).toMatchObject({
    runtime: "process",
    launcher: "mlflow-passthrough",
    signature: null,
    arrays: false,
    inputExample: null,
  });
});

test("an older folder's example without a request made of it is taken itself", async () => {
  cpSync(mlflow("onnx"), folder, { recursive: true });
  rmSync(join(folder, "serving_input_example.json"));
  expect((await readModel(folder)).inputExample).toMatchObject({
    columns: expect.any(Array) as [],
  });
  rmSync(join(folder, "input_example.json"));
  expect((await readModel(folder)).inputExample).toBeNull();
});

test("a folder whose MLmodel cannot be used is refused, and says why", async () => {
  cpSync(mlflow("onnx"), folder, { recursive: true });
  rmSync(join(folder, "model.onnx"));
  await expect(readModel(folder)).rejects.toMatchObject({
    code: "artifact.invalid",
    message: expect.stringContaining("no file model.onnx") as string,
  });
  writeFileSync(join(folder, "MLmodel"), "flavors: [");
  await expect(readModel(folder)).rejects.toMatchObject({ code: "artifact.invalid" });
});

test("a pipeline.yaml names the steps of its folder", async () => {
  const steps = {
    preprocess: "preprocess.onnx",
    model: "model.onnx",
    postprocess: "postprocess.onnx",
  };
  expect((await readModel(pipeline)).steps).toEqual(steps);

  cpSync(pipeline, folder, { recursive: true });
  rmSync(join(folder, "postprocess.onnx"));
  await expect(readModel(folder)).rejects.toMatchObject({
    code: "artifact.invalid",
    message: "the folder has no file postprocess.onnx: pipeline.yaml names it as postprocess",
  });
  writeFileSync(join(folder, "pipeline.yaml"), "model: model.onnx\nafter: x.onnx\n");
  await expect(readModel(folder)).rejects.toMatchObject({
    code: "artifact.invalid",
    message: expect.stringContaining("after") as string,
  });
});

test("a pipeline of single files has the names of its steps", async () => {
  copyFileSync(join(pipeline, "preprocess.onnx"), join(folder, "to-cm.onnx"));
  const model = await readSteps({
    preprocess: join(folder, "to-cm.onnx"),
    model: join(pipeline, "model.onnx"),
    postprocess: null,
  });
  expect(model.steps).toEqual({
    preprocess: "preprocess.onnx",
    model: "model.onnx",
    postprocess: null,
  });
  expect(model.files.map((file) => file.name)).toEqual(["preprocess.onnx", "model.onnx"]);
  await expect(
    readSteps({ preprocess: folder, model: null, postprocess: null }),
  ).rejects.toMatchObject({ code: "usage.invalid" });
});

test("what links point at belongs to the version like any other file", async () => {
  const cache = join(folder, "cache");
  const model = join(folder, "model");
  mkdirSync(join(cache, "weights"), { recursive: true });
  mkdirSync(model);
  writeFileSync(join(cache, "a1b2"), "graph");
  writeFileSync(join(cache, "weights/w.bin"), "weights");
  symlinkSync("../cache/a1b2", join(model, "model.onnx"));
  symlinkSync("../cache/weights", join(model, "weights"));
  const { files } = await readModel(model);
  expect(files.map(({ name, size }) => [name, size])).toEqual([
    ["model.onnx", 5],
    ["weights/w.bin", 7],
  ]);
});

test.each([
  ["nowhere", "nothing", "nothing"],
  ["the folder that it is in", ".", "link to what it is in"],
])("a link to %s is refused, and named", async (_, to, why) => {
  writeFileSync(join(folder, "model.onnx"), "graph");
  symlinkSync(to, join(folder, "bad"));
  await expect(readModel(folder)).rejects.toMatchObject({
    code: "usage.invalid",
    message: expect.stringMatching(new RegExp(`bad.*${why}|bad.*ENOENT`)) as string,
  });
});

test("what this user may not read is said so, a file and a folder", async () => {
  const locked = join(folder, "locked");
  mkdirSync(locked);
  writeFileSync(join(folder, "locked.onnx"), "");
  chmodSync(join(folder, "locked.onnx"), 0o000);
  chmodSync(locked, 0o000);
  // The folder above lets everybody through.
  chmodSync(folder, 0o755);
  const isRoot = process.geteuid?.() === 0;
  try {
    // Whom no mode keeps out has to become somebody else for a moment.
    if (isRoot) process.seteuid?.(65_534);
    for (const path of [`${locked}.onnx`, locked])
      await expect(readModel(path)).rejects.toMatchObject({
        code: "usage.invalid",
        message: expect.stringMatching(/cannot be registered: EACCES/),
      });
  } finally {
    if (isRoot) process.seteuid?.(0);
    chmodSync(locked, 0o700);
  }
});
