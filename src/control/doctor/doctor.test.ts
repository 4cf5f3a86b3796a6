import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

import { afterEach, beforeEach, expect, test } from "vitest";

import { parseDigest, type Digest } from "../../core/version/index.ts";
import type { RevisionState } from "../../link/message/index.ts";
import { listenPeers, ownIdentity } from "../../link/peer/index.ts";
import type { Store } from "../../storage/store/index.ts";
import { checkArtifacts, type ArtifactCheckDeps } from "./artifact-check.ts";
import { checkFreeSpace, checkWritable, freeSpace } from "./folder-check.ts";
import { findModelProcesses, orphansAmong } from "./process-check.ts";
import { checkEngine, checkNode } from "./runtime-check.ts";
import { checkStore } from "./store-check.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lastgood-doctor-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const onRequest = (): { body: null } => ({ body: null });
const digestOf = (digit: string): Digest => parseDigest(`sha256:${digit.repeat(64)}`);

function stateWith(engine: RevisionState["engine"]): RevisionState {
  return { engine } as unknown as RevisionState;
}

test("Node 24 and later are fine, older ones are named", () => {
  expect(checkNode("v24.0.0").ok).toBe(true);
  expect(checkNode("v26.1.0").ok).toBe(true);
  expect(checkNode("v20.20.2")).toMatchObject({ ok: false, message: "Node v20.20.2 is too old" });
});

test("the engine is what gateways say, and WebAssembly in its place is a warning", () => {
  expect(checkEngine([]).level).toBe("note");
  const native = stateWith({ name: "onnxruntime-node", version: "1.30.0", threads: 1 });
  expect(checkEngine([native, native, stateWith(null)])).toMatchObject({
    level: "ok",
    message: "onnxruntime-node 1.30.0",
  });
  const wasm = stateWith({ name: "onnxruntime-web", version: "1.30.0", threads: 1 });
  expect(checkEngine([native, wasm]).level).toBe("warning");
});

test("a folder that takes no writes is an error, and nothing of the check stays", async () => {
  expect((await checkWritable(folder)).level).toBe("ok");
  expect((await checkWritable(join(folder, "absent"))).level).toBe("error");
  expect((await checkFreeSpace(folder)).message).toContain("MiB free");
  expect((await checkFreeSpace(join(folder, "absent"))).level).toBe("warning");
});

test("little room is a warning, hardly any an error", () => {
  const levels = [2 ** 40, 500 * 2 ** 20, 10 * 2 ** 20].map((bytes) => freeSpace(bytes).level);
  expect(levels).toEqual(["ok", "warning", "error"]);
});

test("a damaged, foreign or missing store is an error", () => {
  const path = join(folder, "store.sqlite");
  expect(checkStore(path).level).toBe("error");
  const database = new DatabaseSync(path);
  database.exec("CREATE TABLE t (x TEXT)");
  database.exec(
    "INSERT INTO t SELECT hex(randomblob(400)) FROM (VALUES (1),(2),(3),(4),(5),(6),(7),(8))",
  );
  database.close();
  expect(checkStore(path).level).toBe("ok");
  writeFileSync(path, "no database, but long enough to have a header of its own ".repeat(40));
  expect(checkStore(path).level).toBe("error");
});

function versionsWith(files: readonly { path: string; digest: Digest }[][]): ArtifactCheckDeps {
  const versions = files.map((each, index) => ({
    model: "fraud",
    name: null,
    sequence: index + 1,
    files: each,
  }));
  const verified: Digest[] = [];
  const store = {
    models: {
      list: ({ after }: { after: string }) =>
        Promise.resolve(after === "" ? [{ name: "fraud" }] : []),
    },
    versions: {
      list: ({ after }: { after: number }) =>
        Promise.resolve(versions.filter((version) => version.sequence > after).slice(0, 1)),
    },
  } as unknown as Store;
  return {
    store,
    artifacts: {
      verify: (digest) => {
        expect(verified).not.toContain(digest);
        verified.push(digest);
        if (digest === digestOf("c")) return Promise.resolve("corrupt");
        return Promise.resolve(digest === digestOf("d") ? "missing" : "ok");
      },
    },
  };
}

test("every stored file is hashed once, and each damaged version is named", async () => {
  const good = { path: "model.onnx", digest: digestOf("a") };
  expect(await checkArtifacts(versionsWith([[good], [good], [good]]))).toMatchObject([
    { level: "ok", message: "1 stored files match their digests" },
  ]);
  const bad = [
    { path: "model.onnx", digest: digestOf("c") },
    { path: "labels.txt", digest: digestOf("d") },
  ];
  const found = await checkArtifacts(versionsWith([[good], bad, bad]));
  expect(found.map((each) => each.message)).toEqual([
    "fraud@#2: model.onnx does not match its digest, labels.txt is missing",
    "fraud@#3: model.onnx does not match its digest, labels.txt is missing",
  ]);
});

test("a model process that no route names is found by its own hello", async () => {
  const listeners = await Promise.all(
    ["fraud-prod/1", "fraud-prod/2", "inspect/x"].map((subject, index) =>
      listenPeers(
        join(folder, `m-${index}.sock`),
        { self: ownIdentity("model", "b", subject), onRequest },
        () => undefined,
      ),
    ),
  );
  writeFileSync(join(folder, "m-dead.sock"), "");
  const found = await findModelProcesses(folder, ownIdentity("control", "b", folder));
  expect(found.map((each) => each.subject).toSorted()).toEqual([
    "fraud-prod/1",
    "fraud-prod/2",
    "inspect/x",
  ]);
  expect(orphansAmong(found, new Set(["fraud-prod/1", "fraud-prod/2"])).level).toBe("ok");
  expect(orphansAmong(found, new Set(["fraud-prod/2"]))).toMatchObject({
    level: "warning",
    message: `no route names fraud-prod/1 (pid ${process.pid})`,
  });
  await Promise.all(listeners.map((listener) => listener.close()));
});
