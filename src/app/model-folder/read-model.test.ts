import { copyFileSync, cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { readModel, readSteps } from "./read-model.ts";

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

test("a link to a file is the file; one that is none is not left out silently", async () => {
  writeFileSync(join(folder, ".bytes"), "graph");
  symlinkSync(".bytes", join(folder, "model.onnx"));
  expect((await readModel(folder)).files).toMatchObject([{ name: "model.onnx", size: 5 }]);
  symlinkSync(root, join(folder, "code"));
  await expect(readModel(folder)).rejects.toMatchObject({
    code: "usage.invalid",
    message: expect.stringContaining(
      "code cannot be registered: it is a link to a folder",
    ) as string,
  });
  rmSync(join(folder, "code"));
  symlinkSync("nowhere", join(folder, "weights"));
  await expect(readModel(folder)).rejects.toMatchObject({ code: "usage.invalid" });
});
