import { createHash } from "node:crypto";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import {
  artifacts,
  folder,
  gateway,
  historyKinds,
  register,
  registry,
  prepare,
  start,
  store,
  uploaded,
  useStore,
  warnings,
  tidyUp,
} from "../../../test/support/registry-fixture.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { Digest, VersionName } from "../../core/version/index.ts";
import { verifyChain } from "../../storage/history/index.ts";
import type { Store } from "../../storage/store/index.ts";

beforeEach(prepare);
afterEach(tidyUp);

test("registering stores the version, its manifest and the story of it", async () => {
  const { created, version, notes } = await register("2", "v1.0", {
    metrics: { auc: 0.94 },
    params: { depth: "6" },
    tags: { team: "risk" },
    lineage: { commit: "abc" },
    inputExample: { inputs: { x: [[3, 4]] } },
  });
  expect({ created, notes }).toEqual({ created: true, notes: [] });
  expect(version).toMatchObject({
    model: "fraud",
    name: "v1.0",
    sequence: 1,
    status: "pending",
    tags: { team: "risk" },
    metrics: { auc: 0.94 },
    params: { depth: "6" },
    lineage: { commit: "abc" },
    files: [{ path: "model.onnx", size: 1 }],
    runtime: { kind: "onnx", file: "model.onnx" },
    registeredBy: "ana",
  });
  const view = await registry.view(version);
  expect(view.golden).toMatchObject([{ outputs: [{ data: [6] }] }]);
  expect(view.inputExample).toEqual({ inputs: { x: [[3, 4]] } });
  // Read by the signature that the first one found; the model is asked nothing else.
  expect(gateway.requests.map(({ describeOnly }) => describeOnly)).toEqual([true, false]);
  expect(await artifacts.manifests.read("fraud", 1)).toEqual(
    await store.versions.manifest("fraud", 1),
  );
  expect(await historyKinds()).toEqual(["registered"]);
});

test("the digest of a version depends on bytes, paths and runtime, and not on its name", async () => {
  const first = await register("2", "v1.0");
  const second = await register("2", "v1.1");
  expect(second.created).toBe(true);
  expect(second.version.sequence).toBe(2);
  expect(second.version.digest).toBe(first.version.digest);
  const digest = createHash("sha256").update("2").digest("hex");
  const canonical = `{"files":[["model.onnx","sha256:${digest}"]],"runtime":{"file":"model.onnx","kind":"onnx"}}`;
  expect(first.version.digest).toBe(
    `sha256:${createHash("sha256").update(canonical).digest("hex")}`,
  );
});

test("the same bytes under the same name again change nothing, and say so", async () => {
  await register("2", "v1.0", { metrics: { auc: 1 } });
  const again = await register("2", "v1.0", { metrics: { auc: 2 } });
  expect(again).toMatchObject({ created: false, version: { sequence: 1, metrics: { auc: 1 } } });
  expect(again.notes).toEqual([
    "fraud@v1.0 is registered with these bytes already; nothing was changed",
    "the metrics given now differ and were not taken over",
  ]);
  expect(gateway.requests).toHaveLength(1);
  expect((await register("3", null)).version.sequence).toBe(2);
  expect((await register("3", null)).created).toBe(false);
  expect(await historyKinds()).toEqual(["registered", "registered"]);
});

test("other bytes under a taken name are refused before any work, naming both digests", async () => {
  const { version } = await register("2", "v1.0");
  await expect(register("3", "v1.0")).rejects.toMatchObject({
    code: "version.exists",
    message: expect.stringContaining(version.digest),
    details: { sequence: 1, digest: version.digest },
  });
  expect(gateway.requests).toHaveLength(1);
});

test("of many registrations of one name at the same time exactly one wins", async () => {
  const wanted = await Promise.all(
    ["2", "3", "4", "5", "5"].map((content) => uploaded(content, "v1.0")),
  );
  const outcomes = await Promise.allSettled(wanted.map((one) => registry.register(one)));
  const created = outcomes.filter((one) => one.status === "fulfilled" && one.value.created);
  expect(created).toHaveLength(1);
  const refusals = outcomes
    .filter((one) => one.status === "rejected")
    .map((one) => one.reason as unknown);
  expect(refusals.length).toBeGreaterThanOrEqual(3);
  for (const refusal of refusals) expect(refusal).toMatchObject({ code: "version.exists" });
  expect(await artifacts.manifests.sequences("fraud")).toEqual([1]);
  expect(await store.versions.sequences("fraud")).toEqual([1]);
});

test("registrations of different names at the same time are numbered without gaps", async () => {
  const wanted = await Promise.all(
    Array.from({ length: 12 }, (_, index) => uploaded(String(index + 1), `v1.${index}`)),
  );
  await Promise.all(wanted.map((one) => registry.register(one)));
  expect(await store.versions.sequences("fraud")).toEqual(wanted.map((_, index) => index + 1));
  expect(verifyChain(await store.history.list("model:fraud"))).toMatchObject({
    ok: true,
    entries: 12,
  });
});

test.each([
  { what: "a reserved name", over: { name: "latest" as VersionName }, code: "name.reserved" },
  { what: "digits alone", over: { name: "3" as VersionName }, code: "name.reserved" },
  {
    what: "a name with a path in it",
    over: { name: "../v1" as VersionName },
    code: "name.invalid",
  },
  { what: "a model with a path in it", over: { model: "../fraud" }, code: "name.invalid" },
  { what: "no file", over: { files: [] }, code: "input.invalid" },
  { what: "a remote without a name", over: { runtime: "remote" as const }, code: "input.invalid" },
  {
    what: "an example that does not fit",
    over: { inputExample: { x: [[1, 2, 3]] } },
    code: "input.invalid",
  },
])("$what is refused and nothing is stored", async ({ over, code }) => {
  await expect(register("2", "v1.0", over)).rejects.toMatchObject({ code });
  expect(await store.models.list()).toEqual([]);
  expect(await artifacts.manifests.models()).toEqual([]);
});

test("which of several files is the model must be plain", async () => {
  const { files } = await uploaded("2", null);
  const { digest } = files[0] ?? { digest: "" as Digest };
  const at = (...paths: string[]) => paths.map((path) => ({ path, digest }));
  const fileOf = async (name: string, ...paths: string[]): Promise<unknown> =>
    (await register("2", name, { files: at(...paths) })).version.runtime;
  expect(await fileOf("v1.0", "fraud.onnx", "notes.txt")).toMatchObject({ file: "fraud.onnx" });
  expect(await fileOf("v1.1", "old.onnx", "model.onnx")).toMatchObject({ file: "model.onnx" });
  await expect(fileOf("v1.2", "a.onnx", "b.onnx")).rejects.toThrow("a.onnx, b.onnx");
  await expect(fileOf("v1.3", "a.onnx", "a.onnx")).rejects.toThrow("given twice");
});

test("bytes that are missing or damaged are named before a gateway is asked", async () => {
  const missing = { path: "model.onnx", digest: `sha256:${"0".repeat(64)}` as Digest };
  await expect(register("2", "v1.0", { files: [missing] })).rejects.toMatchObject({
    code: "artifact.missing",
  });
  const registration = await uploaded("2", "v1.0");
  const hex = (registration.files[0]?.digest ?? "").slice("sha256:".length);
  writeFileSync(join(folder, "blobs", "sha256", hex), "3");
  await expect(registry.register(registration)).rejects.toMatchObject({ code: "artifact.corrupt" });
  expect(gateway.requests).toEqual([]);
});

test("without a gateway nothing is stored, and it works when there is one", async () => {
  gateway.connected = false;
  await expect(register("2", "v1.0")).rejects.toMatchObject({ code: "gateway.unavailable" });
  expect(await store.models.list()).toEqual([]);
  gateway.connected = true;
  await expect(register("no model", "v1.0")).rejects.toMatchObject({ code: "artifact.invalid" });
  expect((await register("2", "v1.0")).version.sequence).toBe(1);
});

test("a remote version has no files, and its digest is its runtime's", async () => {
  const over = { files: [], runtime: "remote" as const, remote: "scorer" };
  const { version } = await register("2", "v1.0", over);
  expect(version.runtime).toEqual({ kind: "remote", remote: "scorer" });
  expect((await register("2", "v1.1", over)).version.digest).toBe(version.digest);
});

test("when the row cannot be stored, no manifest stays", async () => {
  const registration = await uploaded("2", "v1.0");
  gateway.before = async () => {
    await store.close();
  };
  await expect(registry.register(registration)).rejects.toThrow("destroyed");
  expect(readdirSync(join(folder, "manifests"))).toEqual([]);
  await start();
  let failing = true;
  const broken: Store = {
    ...store,
    transaction: (work) =>
      failing
        ? Promise.reject(new LastgoodError("store.unavailable", "the disk is full"))
        : store.transaction(work),
  };
  gateway.before = () => Promise.resolve();
  useStore(broken);
  await expect(registry.register(registration)).rejects.toMatchObject({
    code: "store.unavailable",
  });
  expect(await artifacts.manifests.sequences("fraud")).toEqual([]);
  failing = false;
  expect((await registry.register(registration)).version.sequence).toBe(1);
});

test("a crash between manifest and row is repaired at the next start", async () => {
  await register("2", "v1.0");
  const manifest = await artifacts.manifests.read("fraud", 1);
  if (manifest === null) throw new Error("there is no manifest");
  await artifacts.manifests.write({ ...manifest, name: "v1.1" as VersionName, sequence: 2 });
  expect(await registry.start()).toEqual({ inserted: 1, rewritten: 0, problems: [] });
  expect(await registry.version("fraud", "v1.1")).toMatchObject({ sequence: 2, status: "pending" });
  await artifacts.manifests.remove("fraud", 1);
  expect(await registry.start()).toEqual({ inserted: 0, rewritten: 1, problems: [] });
  expect(await artifacts.manifests.read("fraud", 1)).toEqual(manifest);
  expect(await registry.start()).toEqual({ inserted: 0, rewritten: 0, problems: [] });
  expect(await historyKinds()).toEqual(["registered", "registered"]);
});

test("a registry whose database is lost comes back from its manifests", async () => {
  await register("2", "v1.0", { metrics: { auc: 0.9 } });
  await register("3", null);
  await register("4", "v1.0", { model: "iris" });
  const before = await registry.versions({ model: "fraud" });
  await store.close();
  rmSync(join(folder, "store.db"));
  await start();
  expect(store.rebuilt).toMatchObject({ why: "missing", generation: 2 });
  expect(await registry.start()).toEqual({ inserted: 3, rewritten: 0, problems: [] });
  expect(await registry.versions({ model: "fraud" })).toEqual(before);
  expect((await registry.reference("iris@v1.0")).sequence).toBe(1);
});

test("what cannot be repaired is told, stops nothing, and is never written over", async () => {
  await register("2", "v1.0");
  const bad = join(folder, "manifests", "fraud", "2.json");
  writeFileSync(bad, "{ half");
  const { problems } = await registry.start();
  expect(problems).toMatchObject([expect.stringContaining("fraud number 2")]);
  expect(warnings).toHaveLength(1);
  expect((await register("3", "v1.1")).version.sequence).toBe(3);
});

test("a pipeline is one version: its steps are in the runtime, and so in the digest", async () => {
  const { digest } = await artifacts.put(Buffer.from("3"));
  const one = await uploaded("2", null);
  const files = [...one.files, { path: "pre.onnx", digest }];
  const steps = { preprocess: "pre.onnx", model: null, postprocess: null };
  const { version } = await registry.register({ ...one, files, steps });
  expect(version.runtime).toEqual({ kind: "onnx", file: "model.onnx", preprocess: "pre.onnx" });
  const plain = await registry.register({ ...one, files });
  expect(plain.version.runtime).toEqual({ kind: "onnx", file: "model.onnx" });
  expect(plain.version.digest).not.toBe(version.digest);
  const onDisk = await artifacts.manifests.read("fraud", 1);
  expect(onDisk?.runtime).toEqual(version.runtime);
});

test.each([
  ["no file", { preprocess: "other.onnx", model: null, postprocess: null }, /other.onnx/],
  ["one file twice", { preprocess: "model.onnx", model: "model.onnx", postprocess: null }, /two/],
])("a step that is %s is refused", async (_, steps, message) => {
  await expect(register("2", null, { steps })).rejects.toMatchObject({
    code: "input.invalid",
    message: expect.stringMatching(message) as string,
  });
});

test("a model that takes arrays says so of every input", async () => {
  const { version } = await register("2", null, { arrays: true });
  expect(version.signature.inputs.map(({ array }) => array)).toEqual([true]);
});

test("columns of the only input have their names, and an example's go by them", async () => {
  const example = { dataframe_records: [{ age: 1, amount: 2 }] };
  const named = await register("2", null, { columns: ["amount", "age"], inputExample: example });
  expect(named.version.signature.inputs[0]?.columns).toEqual(["amount", "age"]);
  const view = await registry.view(named.version);
  expect(view.golden).toMatchObject([{ inputs: [{ data: [2, 1] }] }]);
  for (const [index, columns] of [["amount"], ["age", "age"], ["a", "b", "c"]].entries()) {
    const { version } = await register(String(3 + index), null, { columns });
    expect(version.signature.inputs[0]).not.toHaveProperty("columns");
  }
});
