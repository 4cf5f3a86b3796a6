/** Versions of several steps: one signature, one digest, one answer. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { afterEach, expect, test } from "vitest";

import type { Tensor } from "../../src/core/tensor/index.ts";
import { parseDigest, type RuntimeSpec } from "../../src/core/version/index.ts";
import {
  connect,
  DataFolder,
  inspectRequest,
  modelBytes,
  revisionOf,
  type Version,
} from "./runtime-subjects.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const PRE = "iris-pipeline/preprocess";
const MODEL = "iris-pipeline/model";
const POST = "iris-pipeline/postprocess";

function stored(folder: DataFolder, steps: Readonly<Record<string, string>>): Version {
  const files = Object.entries(steps).map(([step, name]) => {
    const bytes = modelBytes(name);
    const digest = parseDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
    mkdirSync(dirname(folder.blob(digest)), { recursive: true });
    writeFileSync(folder.blob(digest), bytes);
    return { path: `${step}.onnx`, digest, size: bytes.length };
  });
  const runtime: RuntimeSpec = {
    kind: "onnx",
    file: "model.onnx",
    ...("preprocess" in steps ? { preprocess: "preprocess.onnx" } : {}),
    ...("postprocess" in steps ? { postprocess: "postprocess.onnx" } : {}),
  };
  const digest = createHash("sha256").update(JSON.stringify(files)).digest("hex");
  return { digest: parseDigest(`sha256:${digest}`), runtime, files };
}

function dataFolder(): DataFolder {
  const folder = new DataFolder();
  cleanups.push(() => folder.remove());
  return folder;
}

const inches: Tensor = {
  name: "inches",
  dtype: "FP32",
  shape: [2, 4],
  data: Float32Array.from([5.1, 3.5, 1.4, 0.2, 7.7, 3, 6.1, 2.3].map((cm) => cm / 2.54)),
};

test("takes what the first step takes, gives what the last one gives, and is batched as a whole", async () => {
  const folder = dataFolder();
  const runtime = folder.onnxRuntime();
  const version = stored(folder, { preprocess: PRE, model: MODEL, postprocess: POST });
  const inspected = await runtime.inspect(inspectRequest(version, [[inches]]));
  expect(inspected.signature).toEqual({
    inputs: [{ name: "inches", kind: "tensor", dtype: "FP32", shape: [-1, 4] }],
    outputs: [
      { name: "species", kind: "tensor", dtype: "BYTES", shape: [-1] },
      { name: "confidence", kind: "tensor", dtype: "FP32", shape: [-1] },
    ],
  });
  expect(inspected.dropped).toEqual([]);
  expect(inspected.golden).toMatchObject([{ outputs: [{ data: ["setosa", "virginica"] }, {}] }]);
  expect(inspected.batching).toEqual({ on: true });

  const model = await runtime.load("flowers/1", revisionOf(version, inspected));
  cleanups.push(() => model.unload());
  expect(model.proof.proof).toBe("digest verified, 1 sample agrees");
  const client = await connect(model);
  cleanups.push(() => client.close());
  const { outputs } = await client.infer([inches], { timeoutMs: 20_000 });
  expect(outputs).toMatchObject([{ name: "species", data: ["setosa", "virginica"] }, {}]);
});

test("another preprocessing under the same model is found out by the golden samples", async () => {
  const folder = dataFolder();
  const runtime = folder.onnxRuntime();
  const good = stored(folder, { preprocess: PRE, model: MODEL, postprocess: POST });
  const bad = stored(folder, {
    preprocess: "preprocess-forgotten",
    model: MODEL,
    postprocess: POST,
  });
  const inspected = await runtime.inspect(inspectRequest(good, [[inches]]));
  await expect(runtime.load("flowers/2", revisionOf(bad, inspected))).rejects.toMatchObject({
    code: "preflight.rejected",
  });
});

test("each step's bytes are verified", async () => {
  const folder = dataFolder();
  const version = stored(folder, { preprocess: PRE, model: MODEL });
  const [step] = version.files;
  writeFileSync(folder.blob(step?.digest ?? version.digest), "other bytes");
  await expect(folder.onnxRuntime().inspect(inspectRequest(version))).rejects.toMatchObject({
    code: "artifact.corrupt",
  });
});

test.each([
  [
    "an input that nothing feeds",
    { model: MODEL, postprocess: "no-negatives" },
    "signature.mismatch",
    /postprocess takes x FP32 .*, predict gives label INT64 \[any\], probabilities FP32/,
  ],
  [
    "another shape",
    { preprocess: "no-negatives", model: MODEL },
    "signature.mismatch",
    /predict takes features FP32 \[any, 4\], preprocess gives/,
  ],
  [
    "maps, which no graph takes",
    { model: "breast-cancer/v1.1", postprocess: POST },
    "signature.mismatch",
    /postprocess takes label INT64 \[any\], predict gives label BYTES/,
  ],
  [
    "a step that is no model",
    { preprocess: "external", model: MODEL },
    "artifact.invalid",
    /^preprocess: the model keeps the data/,
  ],
])("refused with its reason: %s", async (_, steps, code, message) => {
  const folder = dataFolder();
  const version = stored(folder, steps);
  await expect(folder.onnxRuntime().inspect(inspectRequest(version))).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message) as string,
  });
});

test("weights beside a model are part of it: loaded, and verified like it", async () => {
  const folder = dataFolder();
  const files = ["model.onnx", "model.onnx.data"].map((name) => {
    const bytes = readFileSync(join(import.meta.dirname, "../fixtures/onnx/weights-beside", name));
    return { ...folder.store(bytes).files[0], path: `data/${name}` };
  });
  const version = artefacts(files);
  const runtime = folder.onnxRuntime();
  const x: Tensor = { name: "x", dtype: "FP32", shape: [1, 2], data: Float32Array.of(1, 1) };
  const { golden } = await runtime.inspect(inspectRequest(version, [[x]]));
  expect(golden).toMatchObject([{ outputs: [{ name: "y", data: [14, 26] }] }]);

  writeFileSync(folder.blob(version.files[1]?.digest ?? version.digest), "other bytes");
  await expect(runtime.inspect(inspectRequest(version))).rejects.toMatchObject({
    code: "artifact.corrupt",
  });
});

function artefacts(files: readonly Partial<Version["files"][number]>[]): Version {
  const whole = files as Version["files"];
  const digest = createHash("sha256").update(JSON.stringify(files)).digest("hex");
  return {
    digest: parseDigest(`sha256:${digest}`),
    runtime: { kind: "onnx", file: "data/model.onnx" },
    files: whole,
  };
}
