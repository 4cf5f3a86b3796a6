import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { blobPath, type Digest, type ModelName } from "../../../core/version/index.ts";
import type { ManifestFile } from "../artifacts.ts";
import { openLocalArtifacts } from "./local-artifacts.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lastgood-local-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test("a flipped byte and a cut end are found, and putting the bytes again repairs them", async () => {
  const artifacts = await openLocalArtifacts(folder);
  const bytes = randomBytes(1_000);
  const { digest } = await artifacts.put(bytes);
  const path = join(folder, blobPath(digest));
  const flipped = Buffer.from(bytes);
  flipped[500] = (flipped[500] ?? 0) ^ 1;
  writeFileSync(path, flipped);
  expect(await artifacts.verify(digest)).toBe("corrupt");
  await expect(artifacts.read(digest)).rejects.toMatchObject({ code: "artifact.corrupt" });
  await artifacts.put(bytes);
  expect(await artifacts.verify(digest)).toBe("ok");
  truncateSync(path, 999);
  expect(await artifacts.verify(digest)).toBe("corrupt");
});

test("what interrupted writes left is removed when the folder is opened", async () => {
  const artifacts = await openLocalArtifacts(folder);
  const { digest } = await artifacts.put(Buffer.from("kept"));
  const blobs = join(folder, "blobs", "sha256");
  mkdirSync(join(folder, "manifests", "fraud"));
  writeFileSync(join(blobs, ".writing-1-ab"), "half");
  writeFileSync(join(folder, "manifests", "fraud", ".writing-1-ab"), "half");
  await openLocalArtifacts(folder);
  expect(readdirSync(blobs)).toEqual([digest.slice("sha256:".length)]);
  expect(readdirSync(join(folder, "manifests", "fraud"))).toEqual([]);
});

test("a process killed while it puts leaves nothing half under a final name", async () => {
  const module = join(import.meta.dirname, "local-artifacts.ts");
  const script = `
    import(${JSON.stringify(module)}).then(async ({ openLocalArtifacts }) => {
      const artifacts = await openLocalArtifacts(${JSON.stringify(folder)});
      const { randomBytes } = await import("node:crypto");
      console.log("ready");
      async function* slowly() {
        for (let n = 0; n < 8; n += 1) {
          yield randomBytes(60_000);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      }
      for (;;) await Promise.all([artifacts.put(slowly()), artifacts.put(slowly())]);
    });`;
  const blobs = join(folder, "blobs", "sha256");
  let halves = 0;
  for (const delayMs of [15, 40, 90]) {
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    await new Promise((resolve) => {
      setTimeout(resolve, delayMs);
    });
    child.kill("SIGKILL");
    await once(child, "exit");
    halves += readdirSync(blobs).filter((name) => name.startsWith(".writing-")).length;
    const artifacts = await openLocalArtifacts(folder);
    for (const name of readdirSync(blobs))
      expect(await artifacts.verify(`sha256:${name}` as Digest)).toBe("ok");
  }
  expect(halves).toBeGreaterThan(0);
});

test("while the folder is gone the disk is blamed, not the content", async () => {
  const artifacts = await openLocalArtifacts(folder);
  renameSync(folder, `${folder}-moved`);
  writeFileSync(folder, "a file stands here");
  const unavailable = { code: "store.unavailable" };
  await expect(artifacts.put(Buffer.from("x"))).rejects.toMatchObject(unavailable);
  await expect(artifacts.manifests.models()).rejects.toMatchObject(unavailable);
  rmSync(folder);
  renameSync(`${folder}-moved`, folder);
  expect(await artifacts.put(Buffer.from("x"))).toMatchObject({ size: 1 });
});

test("a damaged or misplaced manifest is named, and others stay readable", async () => {
  const { manifests } = await openLocalArtifacts(folder);
  const manifest: ManifestFile = {
    model: "fraud" as ModelName,
    name: null,
    sequence: 1,
    runtime: { kind: "remote", remote: "r" },
    files: [],
    signature: { inputs: [], outputs: [] },
    batching: { on: true },
    engine: { name: "e", version: "1", threads: 1 },
    golden: [],
    inputExample: null,
    reference: null,
    metrics: {},
    params: {},
    lineage: {},
    registeredAt: 1,
    registeredBy: "ana",
  };
  await manifests.write(manifest);
  const at = (sequence: number): string => join(folder, "manifests", "fraud", `${sequence}.json`);
  writeFileSync(at(2), "{ half");
  writeFileSync(at(3), readFileSync(at(1)));
  writeFileSync(join(folder, "manifests", "fraud", "notes.txt"), "mine");
  const corrupt = { code: "artifact.corrupt" };
  await expect(manifests.read("fraud", 2)).rejects.toMatchObject(corrupt);
  await expect(manifests.read("fraud", 3)).rejects.toMatchObject(corrupt);
  expect(await manifests.read("fraud", 1)).toEqual(manifest);
  expect(await manifests.sequences("fraud")).toEqual([1, 2, 3]);
});
