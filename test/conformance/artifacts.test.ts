/**
 * What every place for artefacts must do, run over each implementation.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { LastgoodError } from "../../src/core/errors/index.ts";
import type { Digest, ModelName, VersionName } from "../../src/core/version/index.ts";
import {
  openLocalArtifacts,
  type Artifacts,
  type ManifestFile,
} from "../../src/storage/artifacts/index.ts";

interface Implementation {
  readonly name: string;
  /** Opens what lies in a folder of its own; again: the same. */
  readonly open: (folder: string) => Promise<Artifacts>;
}

const IMPLEMENTATIONS: readonly Implementation[] = [{ name: "local", open: openLocalArtifacts }];

const digestOf = (bytes: Uint8Array): Digest =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest;

async function* inChunks(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function* breakingAfter(chunk: Uint8Array, error: Error): AsyncGenerator<Uint8Array> {
  yield chunk;
  throw error;
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The code each of the works was refused with. */
async function codesOf(works: readonly Promise<unknown>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(works);
  return settled.map((one) =>
    one.status === "rejected" ? LastgoodError.from(one.reason).code : "taken",
  );
}

function manifest(model: string, sequence: number): ManifestFile {
  return {
    model: model as ModelName,
    name: "v1.0" as VersionName,
    sequence,
    runtime: { kind: "onnx", file: "model.onnx" },
    files: [{ path: "model.onnx", digest: digestOf(Buffer.from("m")), size: 1 }],
    signature: { inputs: [], outputs: [] },
    batching: { on: false, why: "answers differ" },
    engine: { name: "e", version: "1", threads: 1 },
    golden: [],
    inputExample: null,
    reference: null,
    metrics: { auc: 0.5 },
    params: {},
    lineage: {},
    registeredAt: 1,
    registeredBy: "ana",
  };
}

describe.each(IMPLEMENTATIONS)("artifacts $name", ({ open }) => {
  let folder: string;
  let artifacts: Artifacts;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "lastgood-artifacts-"));
    artifacts = await open(folder);
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test("bytes come back under their digest, after a restart too", async () => {
    const bytes = randomBytes(300_000);
    const put = await artifacts.put(inChunks(bytes.subarray(0, 100), bytes.subarray(100)));
    expect(put).toEqual({ digest: digestOf(bytes), size: 300_000, created: true });
    const again = await open(folder);
    expect(Buffer.from(await again.read(put.digest)).equals(bytes)).toBe(true);
    expect((await collect(await again.open(put.digest))).equals(bytes)).toBe(true);
    expect(await again.size(put.digest)).toBe(300_000);
    expect(await again.verify(put.digest)).toBe("ok");
  });

  test("the same bytes again are stored once, and empty ones are bytes too", async () => {
    const bytes = Buffer.from("model");
    expect(await artifacts.put(bytes)).toMatchObject({ created: true });
    expect(await artifacts.put(inChunks(bytes))).toMatchObject({ created: false });
    expect(await artifacts.put(new Uint8Array())).toMatchObject({ size: 0, created: true });
  });

  test("puts of the same bytes at the same time agree", async () => {
    const bytes = randomBytes(50_000);
    const puts = await Promise.all(Array.from({ length: 8 }, () => artifacts.put(inChunks(bytes))));
    expect(new Set(puts.map((put) => put.digest))).toEqual(new Set([digestOf(bytes)]));
    expect(await artifacts.verify(digestOf(bytes))).toBe("ok");
  });

  test("content beyond the limit is refused and leaves nothing", async () => {
    const bytes = randomBytes(1_000);
    const work = artifacts.put(inChunks(bytes, bytes), { limitBytes: 1_500 });
    await expect(work).rejects.toMatchObject({ code: "body.too-large" });
    await expect(artifacts.put(bytes, { limitBytes: 999 })).rejects.toThrow("larger than 999");
    expect(await artifacts.size(digestOf(bytes))).toBeNull();
    expect(await artifacts.put(bytes, { limitBytes: 1_000 })).toMatchObject({ size: 1_000 });
  });

  test("content that is not what was announced is refused and leaves nothing", async () => {
    const bytes = Buffer.from("not it");
    const expectation = { expect: digestOf(Buffer.from("it")) };
    await expect(artifacts.put(bytes, expectation)).rejects.toMatchObject({
      code: "artifact.corrupt",
    });
    expect(await artifacts.size(digestOf(bytes))).toBeNull();
  });

  test("what breaks in the middle leaves nothing, and says what broke", async () => {
    const broken = Object.assign(new Error("client went away"), { syscall: "read" });
    const bytes = randomBytes(10);
    await expect(artifacts.put(breakingAfter(bytes, broken))).rejects.toBe(broken);
    expect(await artifacts.verify(digestOf(bytes))).toBe("missing");
  });

  test("what is not stored is missing", async () => {
    const nothing = digestOf(Buffer.from("nothing"));
    expect(await artifacts.verify(nothing)).toBe("missing");
    expect(await artifacts.size(nothing)).toBeNull();
    await expect(artifacts.read(nothing)).rejects.toMatchObject({ code: "artifact.missing" });
    await expect(artifacts.open(nothing)).rejects.toMatchObject({ code: "artifact.missing" });
  });

  test("no text but a digest reaches the storage", async () => {
    const reads = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("sha256:../../../etc/passwd", "../store.db", `sha256:${"A".repeat(64)}`, ""),
      fc.string().map((text) => `sha256:${text}`),
      fc.string().map((text) => `sha256:${"a".repeat(64)}/${text}`),
    );
    await fc.assert(
      fc.asyncProperty(reads, async (text) => {
        const digest = text as Digest;
        const works = [
          artifacts.read(digest),
          artifacts.open(digest),
          artifacts.size(digest),
          artifacts.verify(digest),
        ];
        expect(await codesOf(works)).toEqual(works.map(() => "reference.invalid"));
      }),
      { numRuns: 100 },
    );
  });

  test("manifests come back by model and number, and are listed", async () => {
    for (const one of [manifest("iris", 1), manifest("fraud", 10), manifest("fraud", 9)])
      await artifacts.manifests.write(one);
    const { manifests } = await open(folder);
    expect(await manifests.read("fraud", 9)).toEqual(manifest("fraud", 9));
    expect(await manifests.models()).toEqual(["fraud", "iris"]);
    expect(await manifests.sequences("fraud")).toEqual([9, 10]);
    expect(await manifests.sequences("nobody")).toEqual([]);
    expect(await manifests.read("fraud", 3)).toBeNull();
    expect(await manifests.read("nobody", 1)).toBeNull();
  });

  test("a manifest can be replaced and removed", async () => {
    await artifacts.manifests.write(manifest("fraud", 1));
    await artifacts.manifests.write({ ...manifest("fraud", 1), registeredBy: "bo" });
    expect(await artifacts.manifests.read("fraud", 1)).toMatchObject({ registeredBy: "bo" });
    await artifacts.manifests.remove("fraud", 1);
    await artifacts.manifests.remove("fraud", 1);
    expect(await artifacts.manifests.read("fraud", 1)).toBeNull();
    expect(await artifacts.manifests.sequences("fraud")).toEqual([]);
  });

  test("no text but a model's name reaches the storage", async () => {
    const names = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("..", ".", "../fraud", "fraud/../..", "/etc", "a\0b", "", "a..b", ".hidden"),
    );
    await fc.assert(
      fc.asyncProperty(names, async (model) => {
        fc.pre(!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(model) || model.includes(".."));
        const { manifests } = artifacts;
        const works = [
          manifests.read(model, 1),
          manifests.remove(model, 1),
          manifests.sequences(model),
          manifests.write(manifest(model, 1)),
        ];
        expect(await codesOf(works)).toEqual(works.map(() => "name.invalid"));
      }),
      { numRuns: 100 },
    );
    for (const sequence of [0, -1, 1.5, NaN])
      await expect(artifacts.manifests.read("fraud", sequence)).rejects.toMatchObject({
        code: "reference.invalid",
      });
  });

  test("a manifest that could not be read back is not written", async () => {
    const bad = {
      ...manifest("fraud", 1),
      files: [{ path: "../x", digest: digestOf(Buffer.from("m")), size: 1 }],
    };
    await expect(artifacts.manifests.write(bad)).rejects.toMatchObject({
      code: "artifact.corrupt",
    });
    expect(await artifacts.manifests.sequences("fraud")).toEqual([]);
  });
});
