/**
 * What every store must do with what rollouts are judged by, run over each implementation.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type {
  EvidenceRecord,
  FeedbackRecord,
  Store,
  StoredFeedback,
} from "../../src/storage/store/index.ts";
import { count, DIGEST, IMPLEMENTATIONS, OTHER_DIGEST } from "./stores.ts";

const told = (requestId: string, over: Partial<FeedbackRecord> = {}): FeedbackRecord => ({
  requestId,
  endpoint: "fraud-prod",
  revision: 2,
  minute: 100,
  kind: "correct",
  value: true,
  at: 7,
  ...over,
});

/** What a gateway saw of a rollout. */
const evidence = (sequence: number, over: Partial<EvidenceRecord> = {}): EvidenceRecord => ({
  watch: "r1",
  source: "gateway g i",
  sequence,
  endpoint: "fraud-prod",
  at: 1_000 + sequence,
  body: { requests: sequence },
  ...over,
});

describe.each(IMPLEMENTATIONS)("evidence in store $name", ({ open }) => {
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

  test("counts that arrive twice, late or in any order change nothing", async () => {
    const arrivals = [
      count({ requests: 10, errors: 1 }),
      count({ requests: 30, errors: 4, rejected: 2 }),
      count({ requests: 20, errors: 3 }),
      count({ worker: 1, requests: 5, errors: 0 }),
      count({ incarnation: "j", requests: 7, errors: 7 }),
      count({ revision: 2, interval: 2, requests: 1, errors: 0 }),
    ];
    await store.counts.merge(arrivals);
    await store.counts.merge(arrivals.toReversed());
    await store.counts.merge([]);
    const common = { endpoint: "fraud-prod", arm: "assigned" };
    expect(await store.counts.totals("fraud-prod")).toEqual([
      { ...common, revision: 1, interval: 1, requests: 42, errors: 11, rejected: 2 },
      { ...common, revision: 2, interval: 2, requests: 1, errors: 0, rejected: 0 },
    ]);
    expect(await store.counts.totals("nobody")).toEqual([]);
  });

  test("evidence is stored once, in the order it came, and pruned but for what is kept", async () => {
    expect(await store.evidence.append([])).toEqual([]);
    const first = await store.evidence.append([evidence(4), evidence(3), evidence(4)]);
    expect(first.map(({ position, sequence }) => [position, sequence])).toEqual([
      [1, 4],
      [2, 3],
    ]);
    const other = evidence(3, { source: "labels" });
    expect(await store.evidence.append([evidence(3), other])).toEqual([{ ...other, position: 3 }]);
    await store.evidence.append([evidence(1, { watch: "r2" })]);
    expect(await store.evidence.list("r1")).toEqual([
      { ...evidence(4), position: 1 },
      { ...evidence(3), position: 2 },
      { ...other, position: 3 },
    ]);
    expect(await store.evidence.list("r1", { after: 1, limit: 1 })).toEqual([
      { ...evidence(3), position: 2 },
    ]);
    expect(await store.evidence.prune("fraud-prod", { before: 1_004, keep: ["r2"] })).toBe(2);
    expect(await store.evidence.prune("another", { before: 9_999 })).toBe(0);
    expect(await store.evidence.prune("fraud-prod", { before: 9_999, of: ["r3"] })).toBe(0);
    expect((await store.evidence.list("r1")).map((one) => one.position)).toEqual([1]);
    expect(await store.evidence.list("r2")).toHaveLength(1);
  });

  const waiting = async (joined: boolean, limit = 10): Promise<readonly StoredFeedback[]> =>
    store.feedback.waiting({
      endpoint: "fraud-prod",
      revisions: [1, 2],
      sinceMinute: 100,
      joined,
      limit,
    });

  test("what feedback came since a time is summed up: how many, how late, how much of it was bad", async () => {
    const of = { endpoint: "fraud-prod", revision: told("a").revision, since: 0 };
    expect(await store.feedback.cameOf(of)).toEqual({ count: 0, delayMs: 0, judged: 0, bad: 0 });
    const at = told("a").minute * 60_000;
    await store.feedback.put([
      told("a", { kind: "correct", value: false, at: at + 1_000 }),
      told("b", { kind: "correct", value: true, at: at + 3_000 }),
      told("c", { kind: "score", value: 0.25, at: at + 5_000 }),
      told("d", { kind: "label", value: "x", at: at + 7_000 }),
      told("e", { kind: "label", value: "x", at: at + 7_000, revision: of.revision + 5 }),
    ]);
    expect(await store.feedback.cameOf(of)).toEqual({
      count: 4,
      delayMs: 4_000,
      judged: 3,
      bad: 1.75,
    });
    expect(await store.feedback.cameOf({ ...of, since: at + 6_000 })).toMatchObject({ count: 1 });
  });

  test("the last feedback on a request wins until it is counted; then it is ignored", async () => {
    expect(await store.feedback.put([])).toEqual({ taken: 0, counted: 0 });
    const first = [told("a"), told("b"), told("a", { value: false, at: 8 })];
    expect(await store.feedback.put(first)).toEqual({ taken: 3, counted: 0 });
    const elsewhere = [
      told("c", { revision: 3 }),
      told("d", { endpoint: "other" }),
      told("e", { minute: 99 }),
    ];
    await store.feedback.put(elsewhere);
    expect(await waiting(true)).toEqual([
      { ...told("a", { value: false, at: 8 }), prediction: null },
      { ...told("b"), prediction: null },
    ]);
    expect(await waiting(true, 1)).toHaveLength(1);
    await store.feedback.count(["a", "nobody"]);
    expect(await store.feedback.put([told("a"), told("b", { value: false })])).toEqual({
      taken: 1,
      counted: 1,
    });
    expect((await waiting(true)).map(({ requestId, value }) => [requestId, value])).toEqual([
      ["b", false],
    ]);
    expect(await store.feedback.prune(100)).toBe(1);
    expect(await store.feedback.prune(101)).toBe(4);
    expect(await waiting(true)).toEqual([]);
  });

  test("a label waits for its prediction, and a later label of the request keeps it", async () => {
    await store.feedback.put([told("a", { kind: "label", value: ["x", 1] })]);
    expect(await waiting(true)).toEqual([]);
    expect(await waiting(false)).toHaveLength(1);
    await store.feedback.join([{ requestId: "a", prediction: { rows: 2 } }]);
    await store.feedback.put([told("a", { kind: "label", value: "y" })]);
    expect(await waiting(false)).toEqual([]);
    expect(await waiting(true)).toEqual([
      { ...told("a", { kind: "label", value: "y" }), prediction: { rows: 2 } },
    ]);
  });

  test("a cursor goes on once from where it was read, and with what is stored beside it", async () => {
    expect(await store.cursors.get("w")).toBeNull();
    await store.cursors.advance({ watch: "w", from: 0, body: { at: 1 }, at: 5 });
    await expect(
      store.transaction(async (nouns) => {
        await nouns.feedback.put([told("a")]);
        await nouns.cursors.advance({ watch: "w", from: 0, body: { at: 2 }, at: 6 });
      }),
    ).rejects.toMatchObject({ code: "internal" });
    expect(await waiting(true)).toEqual([]);
    expect(await store.cursors.get("w")).toEqual({ sequence: 1, body: { at: 1 } });
    await store.cursors.advance({ watch: "w", from: 1, body: null, at: 7 });
    expect(await store.cursors.prune(7)).toBe(0);
    expect(await store.cursors.prune(8)).toBe(1);
  });

  test("what disagreed last is known by its bytes until it is forgotten", async () => {
    const [digest, other] = [DIGEST, OTHER_DIGEST];
    expect(await store.disagreements.get(digest)).toBeNull();
    await store.disagreements.put({ digest, why: "sample 1: 0.5 (was 0.9)", at: 5 });
    await store.disagreements.put({ digest, why: "sample 2: 0.1 (was 0.2)", at: 6 });
    expect(await store.disagreements.get(digest)).toEqual({
      why: "sample 2: 0.1 (was 0.2)",
      at: 6,
    });
    expect(await store.disagreements.get(other)).toBeNull();
    await store.disagreements.forget(digest);
    await store.disagreements.forget(digest);
    expect(await store.disagreements.get(digest)).toBeNull();
  });
});
