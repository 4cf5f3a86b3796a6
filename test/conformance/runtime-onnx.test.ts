import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { afterEach, expect, test } from "vitest";

import type { Tensor } from "../../src/core/tensor/index.ts";
import type { Batching } from "../../src/core/version/index.ts";
import { socketFolder } from "../../src/link/peer/index.ts";
import type { RouteRevision } from "../../src/link/route/index.ts";
import { OnnxRuntime, type OnnxRuntimeOptions } from "../../src/serving/runtime-onnx/index.ts";
import { ModelDied, type LoadedModel, type Runtime } from "../../src/serving/runtime/index.ts";
import {
  connect,
  DataFolder,
  inspectRequest,
  modelBytes,
  revisionOf,
  type Version,
} from "./runtime-subjects.ts";

const patient = { timeoutMs: 20_000 };
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function dataFolder(): DataFolder {
  const folder = new DataFolder();
  cleanups.push(() => folder.remove());
  return folder;
}

function isAlive(pid: number | null): boolean {
  if (pid === null) return false;
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = `/proc/${pid}/stat`;
  return !existsSync(stat) || !/^\d+ \(.*\) Z /s.test(readFileSync(stat, "latin1"));
}

/** Makes sure of a condition within a test's own time. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function inspected(runtime: Runtime, version: Version): Promise<RouteRevision> {
  return revisionOf(version, await runtime.inspect(inspectRequest(version)));
}

async function loaded(runtime: Runtime, revision: RouteRevision): Promise<LoadedModel> {
  const model = await runtime.load("fraud/1", revision);
  cleanups.push(() => model.unload());
  return model;
}

function column(...values: readonly number[]): Tensor[] {
  return [{ name: "x", dtype: "FP32", shape: [values.length, 1], data: Float32Array.from(values) }];
}

test.each([
  ["garbage", Buffer.from("this is no model at all")],
  ["nothing", Buffer.alloc(0)],
  ["a truncated model", modelBytes("two-by-two").subarray(0, 150)],
  [
    "an operator that does not exist",
    Buffer.from(modelBytes("fixed-batch").toString("latin1").replace("Add", "Odd"), "latin1"),
  ],
  ["external data", modelBytes("external")],
  ["a sequence as output", modelBytes("sequence")],
])("%s is refused as artifact.invalid", async (_name, bytes) => {
  const folder = dataFolder();
  const version = folder.store(bytes);
  await expect(folder.onnxRuntime().inspect(inspectRequest(version))).rejects.toMatchObject({
    code: "artifact.invalid",
  });
});

test("bytes that are not those of their digest, and missing ones, are told apart", async () => {
  const folder = dataFolder();
  const runtime = folder.onnxRuntime();
  const version = folder.store(modelBytes("two-by-two"));
  const revision = await inspected(runtime, version);
  const flipped = modelBytes("two-by-two");
  flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
  writeFileSync(folder.blob(version.digest), flipped);
  await expect(runtime.load("fraud/1", revision)).rejects.toMatchObject({
    code: "artifact.corrupt",
  });
  rmSync(folder.blob(version.digest));
  await expect(runtime.load("fraud/1", revision)).rejects.toMatchObject({
    code: "artifact.missing",
  });
  const unnamed = { ...revision, runtime: { kind: "onnx", file: "other.onnx" } } as const;
  await expect(runtime.load("fraud/1", unnamed)).rejects.toMatchObject({
    code: "artifact.missing",
  });
});

test("a loaded version goes on when its file is gone or spoiled", async () => {
  const folder = dataFolder();
  const runtime = folder.onnxRuntime();
  const version = folder.store(modelBytes("two-by-two"));
  const model = await loaded(runtime, await inspected(runtime, version));
  writeFileSync(folder.blob(version.digest), "spoiled");
  expect((await model.replay()).proof).toBe(model.proof.proof);
});

test("a model process that cannot start says how it ended and where its log is", async () => {
  const folder = dataFolder();
  const version = folder.store(modelBytes("two-by-two"));
  const revision = await inspected(folder.onnxRuntime(), version);
  const runtime = new OnnxRuntime(folder.onnxOptions({ modelEntry: "/nowhere/model.cjs" }));
  await expect(runtime.load("fraud/1", revision)).rejects.toMatchObject({
    code: "runtime.failed",
    message: expect.stringContaining("exit code 1") as string,
    hint: expect.stringContaining("model-fraud-1.log") as string,
  });
});

test("where the native engine is not installed the WebAssembly one takes its place, visibly", async () => {
  const folder = dataFolder();
  const elsewhere = join(folder.path, "install");
  const installed = join(import.meta.dirname, "../../node_modules/onnxruntime-web");
  const modelEntry = join(elsewhere, "model.cjs");
  mkdirSync(join(elsewhere, "node_modules"), { recursive: true });
  symlinkSync(installed, join(elsewhere, "node_modules/onnxruntime-web"));
  copyFileSync(folder.onnxOptions().modelEntry, modelEntry);
  const version = folder.store(modelBytes("two-by-two"));
  const { engine } = await folder.onnxRuntime({ modelEntry }).inspect(inspectRequest(version));
  expect(engine.name).toBe("onnxruntime-web");
});

test("tensors of every element type come back as they went", async () => {
  const folder = dataFolder();
  const runtime = folder.onnxRuntime();
  const model = await loaded(runtime, await inspected(runtime, folder.store(modelBytes("dtypes"))));
  const client = await connect(model);
  cleanups.push(() => client.close());
  const inputs: Tensor[] = [
    { name: "bool", dtype: "BOOL", shape: [1, 2], data: Uint8Array.of(1, 0) },
    { name: "uint8", dtype: "UINT8", shape: [1, 2], data: Uint8Array.of(0, 255) },
    { name: "uint16", dtype: "UINT16", shape: [1, 2], data: Uint16Array.of(0, 65_535) },
    { name: "uint32", dtype: "UINT32", shape: [1, 2], data: Uint32Array.of(0, 2 ** 32 - 1) },
    { name: "uint64", dtype: "UINT64", shape: [1, 2], data: BigUint64Array.of(0n, 2n ** 64n - 1n) },
    { name: "int8", dtype: "INT8", shape: [1, 2], data: Int8Array.of(-128, 127) },
    { name: "int16", dtype: "INT16", shape: [1, 2], data: Int16Array.of(-32_768, 32_767) },
    { name: "int32", dtype: "INT32", shape: [1, 2], data: Int32Array.of(-(2 ** 31), 2 ** 31 - 1) },
    {
      name: "int64",
      dtype: "INT64",
      shape: [1, 2],
      data: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n),
    },
    { name: "fp16", dtype: "FP16", shape: [1, 2], data: Uint16Array.of(0x3c00, 0xfbff) },
    { name: "fp32", dtype: "FP32", shape: [1, 2], data: Float32Array.of(NaN, -Infinity) },
    { name: "fp64", dtype: "FP64", shape: [1, 2], data: Float64Array.of(Number.MIN_VALUE, -0) },
    { name: "bytes", dtype: "BYTES", shape: [1, 2], data: ["", "grün 🌱"] },
  ];
  const both = await Promise.all([client.infer(inputs, patient), client.infer(inputs, patient)]);
  expect(both.map((result) => result.batch)).toEqual([2, 2]);
  for (const { outputs } of both) {
    expect(outputs).toEqual(inputs.map((input) => ({ ...input, name: `${input.name}_out` })));
  }
});

test("ZipMap outputs come as maps under their own names, for strings and integers", async () => {
  const folder = dataFolder();
  const runtime = folder.onnxRuntime();
  const revision = await inspected(runtime, folder.store(modelBytes("zipmaps")));
  expect(revision.batching).toEqual({ on: true });
  expect(revision.signature.outputs.slice(1)).toEqual([
    { name: "by_name", kind: "maps", keyDtype: "BYTES", valueDtype: "FP32" },
    { name: "by_number", kind: "maps", keyDtype: "INT64", valueDtype: "FP32" },
  ]);
  const client = await connect(await loaded(runtime, revision));
  cleanups.push(() => client.close());
  const x: Tensor = {
    name: "x",
    dtype: "FP32",
    shape: [1, 3],
    data: Float32Array.of(0, Math.log(2), 0),
  };
  const results = await Promise.all([client.infer([x], patient), client.infer([x], patient)]);
  for (const { outputs } of results) {
    const [label, byName, byNumber] = outputs;
    expect(label).toMatchObject({ name: "label", data: BigInt64Array.of(1n) });
    expect(byName).toMatchObject({ name: "by_name", keys: ["red", "grün", "blue"], rows: 1 });
    expect(byNumber).toMatchObject({ name: "by_number", keys: [-1, 0, 7], rows: 1 });
    const values = byName !== undefined && "values" in byName ? [...byName.values] : [];
    expect(values.map((value) => Number(value.toFixed(6)))).toEqual([0.25, 0.5, 0.25]);
  }
});

const together: [string, Batching][] = [
  ["two-by-two", { on: true }],
  ["no-negatives", { on: true }],
  ["iris/v1.1", { on: true }],
  ["breast-cancer/v1.1", { on: true }],
  ["digits/v1.1", { on: true }],
  ["centred", { on: false, why: "row 1 answers otherwise in company" }],
  ["fixed-batch", { on: false, why: "the first axis of x is fixed at 1" }],
  ["positives", { on: false, why: "its outputs do not have one row per row of input" }],
];

test.each(together)(
  "batching of %s is decided by what its samples do together",
  async (name, expected) => {
    const folder = dataFolder();
    const version = folder.store(modelBytes(name));
    const { batching } = await folder.onnxRuntime().inspect(inspectRequest(version));
    // The numbers behind the colon are the engine's.
    const found = batching.on ? batching : { ...batching, why: batching.why.split(":")[0] };
    expect(found).toEqual(expected);
  },
);

test("a version whose answers differ from run to run keeps no samples, and says so when loaded", async () => {
  const folder = dataFolder();
  const runtime = folder.onnxRuntime();
  const version = folder.store(modelBytes("dice"));
  const found = await runtime.inspect(inspectRequest(version));
  expect(found.golden).toEqual([]);
  expect(found.dropped.every((why) => why.includes("differs from run to run"))).toBe(true);
  const model = await loaded(runtime, revisionOf(version, found));
  expect(model.proof.proof).toBe("digest verified, no samples");
});

test("kill -9 fails what is in flight as suspect, resolves died, and a new load serves again", async () => {
  const folder = dataFolder();
  const runtime = folder.onnxRuntime();
  const revision = await inspected(runtime, folder.store(modelBytes("no-negatives")));
  const model = await loaded(runtime, revision);
  const client = await connect(model);
  const pid = model.proof.pid ?? 0;
  process.kill(pid, "SIGSTOP");
  const sent = client.infer(column(1), patient).catch((error: unknown) => error);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const queued = client.infer(column(2), patient).catch((error: unknown) => error);
  process.kill(pid, "SIGKILL");
  const [first, second] = [await sent, await queued];
  expect([first, second].every((error) => error instanceof ModelDied)).toBe(true);
  expect([first, second].map((error) => error instanceof ModelDied && error.suspect)).toEqual([
    true,
    false,
  ]);
  expect(await model.died).toContain("SIGKILL");
  const again = await loaded(runtime, revision);
  expect(again.proof.pid).not.toBe(pid);
  const restored = await connect(again);
  cleanups.push(() => restored.close());
  expect((await restored.infer(column(3), patient)).outputs[0]).toMatchObject({
    data: Float32Array.of(6),
  });
});

test("a running process that agrees is adopted by the next gateway, one of another build is replaced", async () => {
  const folder = dataFolder();
  const first = folder.onnxRuntime();
  const revision = await inspected(first, folder.store(modelBytes("two-by-two")));
  const model = await loaded(first, revision);
  const adopted = await loaded(folder.onnxRuntime(), revision);
  expect(adopted.proof.pid).toBe(model.proof.pid);
  expect(adopted.proof.proof).toBe(model.proof.proof);
  const replaced = await loaded(folder.onnxRuntime({ build: "newer" }), revision);
  expect(replaced.proof.pid).not.toBe(model.proof.pid);
  expect(isAlive(model.proof.pid)).toBe(false);
  expect(isAlive(replaced.proof.pid)).toBe(true);
});

test("unload leaves no process and no socket, even when the process does not react", async () => {
  const folder = dataFolder();
  const runtime = folder.onnxRuntime();
  const revision = await inspected(runtime, folder.store(modelBytes("two-by-two")));
  for (const stopped of [false, true]) {
    const model = await runtime.load("fraud/1", revision);
    const pid = model.proof.pid ?? 0;
    if (stopped) process.kill(pid, "SIGSTOP");
    await model.unload();
    expect(isAlive(pid)).toBe(false);
    const { address } = model;
    expect(address.kind === "onnx" && address.sockets.some((socket) => existsSync(socket))).toBe(
      false,
    );
  }
});

/** Loads a revision in a host process of its own and kills that. @returns the model process's pid. */
async function loadAndKillHost(
  options: OnnxRuntimeOptions,
  revision: RouteRevision,
): Promise<number> {
  const room = join(import.meta.dirname, "../../src/serving/runtime-onnx/index.ts");
  const script = `
    import { OnnxRuntime } from ${JSON.stringify(room)};
    const runtime = new OnnxRuntime(${JSON.stringify(options)});
    const model = await runtime.load("fraud/1", ${JSON.stringify(revision)});
    console.log(model.proof.pid);`;
  const args = ["--input-type=module-typescript", "--eval", script];
  const host = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(host.stdout, "data")) as [Buffer];
  host.kill("SIGKILL");
  await once(host, "exit");
  return Number(line.toString());
}

test("a model process outlives a killed gateway and is adopted by the next", async () => {
  const folder = dataFolder();
  const revision = await inspected(folder.onnxRuntime(), folder.store(modelBytes("two-by-two")));
  const pid = await loadAndKillHost(folder.onnxOptions(), revision);
  const model = await loaded(folder.onnxRuntime(), revision);
  expect(model.proof.pid).toBe(pid);
  await model.unload();
  expect(isAlive(pid)).toBe(false);
});

test("a model process that nobody claims ends itself", async () => {
  const folder = dataFolder();
  const revision = await inspected(folder.onnxRuntime(), folder.store(modelBytes("two-by-two")));
  const pid = await loadAndKillHost(folder.onnxOptions({ orphanMs: 300 }), revision);
  expect(isAlive(pid)).toBe(true);
  await until(() => !isAlive(pid));
  expect(readdirSync(socketFolder(folder.path))).toEqual([]);
});

test("Ctrl-C does not end a model process, SIGTERM does", async () => {
  const folder = dataFolder();
  const runtime = folder.onnxRuntime();
  const revision = await inspected(runtime, folder.store(modelBytes("no-negatives")));
  const model = await loaded(runtime, revision);
  const client = await connect(model);
  cleanups.push(() => client.close());
  const pid = model.proof.pid ?? 0;
  process.kill(pid, "SIGINT");
  expect((await client.infer(column(4), patient)).outputs).toHaveLength(1);
  process.kill(pid, "SIGTERM");
  await until(() => !isAlive(pid));
  expect(await model.died).toContain("exit code 0");
});
