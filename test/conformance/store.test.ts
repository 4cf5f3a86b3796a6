/**
 * What every store must do, run over each implementation.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { EndpointName, ModelName, VersionName } from "../../src/core/version/index.ts";
import { verifyChain, type HistoryDraft } from "../../src/storage/history/index.ts";
import type { Store, StoredManifest } from "../../src/storage/store/index.ts";
import { count, DIGEST, IMPLEMENTATIONS, OTHER_DIGEST } from "./stores.ts";

const FRAUD_PROD = "fraud-prod" as EndpointName;
const FRAUD = "fraud" as ModelName;

function manifest(sequence: number, name: string | null, model = "fraud"): StoredManifest {
  return {
    model: model as ModelName,
    name: name as VersionName | null,
    sequence,
    runtime: { kind: "onnx", file: "model.onnx" },
    files: [{ path: "model.onnx", digest: DIGEST, size: 12 }],
    signature: { inputs: [], outputs: [] },
    batching: { on: true },
    engine: { name: "onnxruntime-node", version: "1", threads: 1 },
    golden: [
      {
        inputs: [{ name: "x", dtype: "FP32", shape: [1, 1], data: [0.5] }],
        outputs: [{ name: "y", dtype: "INT64", shape: [1], data: ["9007199254740993"] }],
      },
    ],
    inputExample: { inputs: { x: [[0.5]] } },
    reference: null,
    metrics: { auc: 0.9 },
    params: { depth: "6" },
    lineage: { run: "r1" },
    registeredAt: 5_000 + sequence,
    registeredBy: "ana",
  };
}

const entry = (kind: string, key?: string): HistoryDraft => ({
  at: 7,
  kind,
  actor: "ana",
  reason: null,
  data: { note: kind },
  key,
});

const kinds = (entries: readonly { kind: string }[]): string[] => entries.map((one) => one.kind);

describe.each(IMPLEMENTATIONS)("store $name", ({ open }) => {
  let folder: string;
  let store: Store;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "lastgood-store-"));
    store = await open(folder);
  });
  afterEach(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const reopen = async (): Promise<void> => {
    await store.close();
    store = await open(folder);
  };

  test("a new store begins at generation 1 and is not rebuilt", async () => {
    expect(store.rebuilt).toBeNull();
    expect(await store.meta.order()).toEqual({ generation: 1, epoch: 0 });
  });

  test("the epoch rises at each start and survives it", async () => {
    expect(await store.meta.beginEpoch()).toEqual({ generation: 1, epoch: 1 });
    await reopen();
    expect(store.rebuilt).toBeNull();
    expect(await store.meta.beginEpoch()).toEqual({ generation: 1, epoch: 2 });
  });

  test("the generation is raised above one a gateway knows, and never falls", async () => {
    expect(await store.meta.raiseGenerationAbove(4)).toMatchObject({ generation: 5 });
    expect(await store.meta.raiseGenerationAbove(2)).toMatchObject({ generation: 5 });
    await reopen();
    expect(await store.meta.order()).toMatchObject({ generation: 5 });
  });

  test("a version comes back as it was stored, with its samples when asked for", async () => {
    expect(await store.versions.insert({ manifest: manifest(1, "v1.0"), digest: DIGEST })).toBe(
      true,
    );
    await reopen();
    const { golden: _, inputExample: __, reference: ___, ...rest } = manifest(1, "v1.0");
    const record = await store.versions.byName("fraud", "v1.0");
    expect(record).toEqual({
      ...rest,
      digest: DIGEST,
      status: "pending",
      statusReason: null,
      statusAt: 5_001,
      tags: {},
      aliases: [],
    });
    expect(await store.versions.bySequence("fraud", 1)).toEqual(record);
    expect(await store.versions.manifest("fraud", 1)).toEqual(manifest(1, "v1.0"));
    const samples = await store.versions.samples("fraud", 1);
    expect(samples?.golden[0]?.outputs[0]).toMatchObject({
      data: BigInt64Array.of(9_007_199_254_740_993n),
    });
    expect(samples?.inputExample).toEqual({ inputs: { x: [[0.5]] } });
  });

  test("a taken name or number is not stored, and neither is what came with it", async () => {
    await store.versions.insert({ manifest: manifest(1, "v1.0"), digest: DIGEST });
    const taken = await store.versions.insert({
      manifest: manifest(2, "v1.0"),
      digest: OTHER_DIGEST,
    });
    const numbered = await store.versions.insert({ manifest: manifest(1, "v1.1"), digest: DIGEST });
    expect([taken, numbered]).toEqual([false, false]);
    expect(await store.versions.sequences("fraud")).toEqual([1]);
  });

  test("several versions without a name, and one name in two models, are fine", async () => {
    for (const one of [manifest(1, null), manifest(2, null), manifest(1, "v1", "iris")])
      expect(await store.versions.insert({ manifest: one, digest: DIGEST })).toBe(true);
    expect(await store.models.list()).toEqual([
      { name: "fraud", versions: 2, newest: { name: null, sequence: 2 } },
      { name: "iris", versions: 1, newest: { name: "v1", sequence: 1 } },
    ]);
    expect((await store.versions.byDigest(DIGEST)).map((one) => one.model)).toEqual([
      "fraud",
      "fraud",
      "iris",
    ]);
  });

  test("lists are ordered by sequence and come in pages, in both directions", async () => {
    for (let sequence = 1; sequence <= 12; sequence += 1)
      await store.versions.insert({
        manifest: manifest(sequence, `v1.${sequence}`),
        digest: DIGEST,
      });
    await store.versions.mark({
      model: "fraud",
      sequence: 3,
      status: "stable",
      reason: null,
      at: 1,
    });
    const numbers = async (page: object): Promise<number[]> =>
      (await store.versions.list({ model: "fraud", ...page })).map((one) => one.sequence);
    expect(await numbers({ limit: 4 })).toEqual([1, 2, 3, 4]);
    expect(await numbers({ limit: 4, after: 4 })).toEqual([5, 6, 7, 8]);
    expect(await numbers({ limit: 2, newestFirst: true })).toEqual([12, 11]);
    expect(await numbers({ limit: 2, newestFirst: true, after: 11 })).toEqual([10, 9]);
    expect(await numbers({ status: "stable" })).toEqual([3]);
    expect(await store.versions.list({ model: "nobody" })).toEqual([]);
  });

  test("models are found among names, and by their letters alone", async () => {
    await store.versions.insert({ manifest: manifest(1, null), digest: DIGEST });
    expect(await store.models.existing(["fraud", "fraud_v1", "x"])).toEqual(["fraud"]);
    expect(await store.models.existing([])).toEqual([]);
    expect(await store.models.sameButCase("Fraud")).toBe("fraud");
    expect(await store.models.sameButCase("fraud")).toBeNull();
    expect(await store.models.get("nobody")).toBeNull();
  });

  test("tags, aliases and the verdict belong to one version", async () => {
    await store.versions.insert({ manifest: manifest(1, "v1.0"), digest: DIGEST });
    await store.versions.insert({ manifest: manifest(2, "v1.1"), digest: DIGEST });
    const of1 = { model: "fraud", sequence: 1 };
    await store.versions.tag({ ...of1, set: { team: "risk", a: "1" }, unset: [] });
    await store.versions.tag({ ...of1, set: { team: "core" }, unset: ["a", "never there"] });
    await store.versions.setAlias("fraud", "champion", 1);
    await store.versions.setAlias("fraud", "champion", 2);
    await store.versions.setAlias("fraud", "previous", 1);
    await store.versions.mark({ ...of1, status: "failed", reason: "error rate", at: 99 });
    expect(await store.versions.bySequence("fraud", 1)).toMatchObject({
      tags: { team: "core" },
      aliases: ["previous"],
      status: "failed",
      statusReason: "error rate",
      statusAt: 99,
    });
    expect((await store.versions.byAlias("fraud", "champion"))?.sequence).toBe(2);
    expect(await store.versions.aliases("fraud")).toEqual({ champion: 2, previous: 1 });
    expect(await store.versions.deleteAlias("fraud", "champion")).toBe(true);
    expect(await store.versions.deleteAlias("fraud", "champion")).toBe(false);
    expect(await store.versions.byAlias("fraud", "champion")).toBeNull();
    const missing = { model: "fraud", sequence: 9, status: "stable", reason: null, at: 1 } as const;
    expect(await store.versions.mark(missing)).toBe(false);
  });

  test("an endpoint's state and its history are stored together", async () => {
    const saved = await store.endpoints.save({
      name: FRAUD_PROD,
      model: FRAUD,
      state: { phase: "Baking", list: [1] },
      revisionOfState: 0,
      entries: [entry("deployed"), entry("switched")],
    });
    expect(saved).toMatchObject({
      revisionOfState: 1,
      entries: [{ sequence: 1 }, { sequence: 2 }],
    });
    await reopen();
    expect(await store.endpoints.get("fraud-prod")).toEqual({
      name: "fraud-prod",
      model: "fraud",
      state: { phase: "Baking", list: [1] },
      revisionOfState: 1,
      historyHead: saved.historyHead,
    });
    expect(await store.endpoints.list()).toHaveLength(1);
    const entries = await store.history.list("fraud-prod");
    expect(verifyChain(entries, saved.historyHead)).toMatchObject({ ok: true, entries: 2 });
    expect(await store.endpoints.get("nobody")).toBeNull();
  });

  test("of two saves over one state the second is refused, with its history", async () => {
    const save = { name: FRAUD_PROD, model: FRAUD, state: 1, revisionOfState: 0, entries: [] };
    await store.endpoints.save(save);
    const late = { ...save, state: 2, entries: [entry("lost")] };
    await expect(store.endpoints.save(late)).rejects.toMatchObject({ code: "internal" });
    await expect(store.endpoints.save({ ...late, revisionOfState: 7 })).rejects.toThrow(
      "saved by somebody else",
    );
    const both = await Promise.allSettled([
      store.endpoints.save({ ...late, revisionOfState: 1 }),
      store.endpoints.save({ ...late, revisionOfState: 1 }),
    ]);
    expect(both.map((one) => one.status).toSorted()).toEqual(["fulfilled", "rejected"]);
    expect(await store.history.list("fraud-prod")).toHaveLength(1);
  });

  test("what arrives twice under one key is recorded once", async () => {
    expect(
      await store.history.append("e", [entry("override", "o1"), entry("x", "o1")]),
    ).toHaveLength(1);
    expect(await store.history.append("e", [entry("override", "o1"), entry("next")])).toMatchObject(
      [{ sequence: 2, kind: "next" }],
    );
    expect(await store.history.hasKey("e", "o1")).toBe(true);
    expect(await store.history.hasKey("other", "o1")).toBe(false);
    expect(await store.history.append("other", [entry("override", "o1")])).toHaveLength(1);
  });

  test("history comes in pages, and its end by itself", async () => {
    await store.history.append(
      "e",
      Array.from({ length: 7 }, (_, index) => entry(`k${index + 1}`)),
    );
    expect(kinds(await store.history.list("e", { after: 2, limit: 3 }))).toEqual([
      "k3",
      "k4",
      "k5",
    ]);
    expect(kinds(await store.history.last("e", 2))).toEqual(["k6", "k7"]);
    expect(await store.history.head("e")).toMatchObject({ sequence: 7 });
    expect(await store.history.head("nobody")).toBeNull();
  });

  test("appends at the same time make one chain without a gap", async () => {
    await Promise.all(
      Array.from({ length: 30 }, (_, index) => store.history.append("e", [entry(`k${index}`)])),
    );
    const entries = await store.history.list("e");
    expect(verifyChain(entries)).toMatchObject({ ok: true, entries: 30 });
  });

  test("a transaction stores all of its work or nothing", async () => {
    const work = store.transaction(async (nouns) => {
      await nouns.versions.insert({ manifest: manifest(1, "v1.0"), digest: DIGEST });
      await nouns.history.append("e", [entry("registered")]);
      await nouns.operations.put({ key: "k", answer: 1, at: 1 });
      await nouns.counts.merge([count()]);
      throw new Error("changed my mind");
    });
    await expect(work).rejects.toThrow("changed my mind");
    expect(await store.models.list()).toEqual([]);
    expect(await store.history.head("e")).toBeNull();
    expect(await store.operations.get("k")).toBeNull();
    expect(await store.counts.totals("fraud-prod")).toEqual([]);
  });

  test("nobody sees a transaction before it ends, and they wait for each other", async () => {
    const order: string[] = [];
    const slow = store.transaction(async (nouns) => {
      await nouns.operations.put({ key: "k", answer: 1, at: 1 });
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
      order.push("first");
    });
    const read = store.operations
      .get("k")
      .then((found) => order.push(`read ${String(found?.answer)}`));
    await Promise.all([slow, read]);
    expect(order).toEqual(["first", "read 1"]);
  });

  test("the store itself cannot be used inside its transaction, where it would wait for ever", async () => {
    const work = store.transaction(() => store.operations.get("k"));
    await expect(work).rejects.toMatchObject({ code: "internal" });
    expect(await store.operations.get("k")).toBeNull();
  });

  test("the first answer of an operation stays", async () => {
    expect(await store.operations.put({ key: "k", answer: { a: [1] }, at: 3 })).toBe(true);
    expect(await store.operations.put({ key: "k", answer: 2, at: 4 })).toBe(false);
    expect(await store.operations.get("k")).toEqual({ answer: { a: [1] }, at: 3 });
  });
});
