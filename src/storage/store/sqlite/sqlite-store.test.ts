import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

import { afterEach, beforeEach, expect, test } from "vitest";

import { verifyChain } from "../../history/index.ts";
import { MIGRATIONS } from "../migrations/migrate.ts";
import type { Store, StoreRebuilt } from "../store.ts";
import { openSqliteStore } from "./sqlite-store.ts";

let folder: string;
let path: string;
let store: Store;
let alarms: StoreRebuilt[];

const open = async (): Promise<Store> => {
  store = await openSqliteStore({ path, onRebuilt: (rebuilt) => alarms.push(rebuilt) });
  return store;
};
const put = (key: string): Promise<boolean> => store.operations.put({ key, answer: key, at: 1 });
const has = async (key: string): Promise<boolean> => (await store.operations.get(key)) !== null;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "lastgood-sqlite-"));
  path = join(folder, "store.db");
  alarms = [];
  await open();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Reads the file as another process would. */
function fromOutside(sql: string): unknown {
  const other = new DatabaseSync(path, { readOnly: true });
  try {
    return other.prepare(sql).get();
  } finally {
    other.close();
  }
}

test("every commit is synced and there is a write-ahead log", async () => {
  await put("a");
  expect(fromOutside("pragma journal_mode")).toEqual({ journal_mode: "wal" });
  expect(JSON.parse(readFileSync(join(folder, "generation"), "utf8"))).toEqual({
    generation: 1,
    epoch: 0,
  });
});

test.each([
  { what: "the database", endings: [""] },
  { what: "the write-ahead log", endings: ["-wal"] },
  { what: "everything", endings: ["", "-wal", "-shm"] },
])("when $what is deleted under the running store, nothing is lost", async ({ endings }) => {
  await put("before");
  for (const ending of endings) rmSync(`${path}${ending}`);
  expect(await put("after")).toBe(true);
  expect(alarms).toMatchObject([{ why: "vanished", keptAside: null, generation: 2 }]);
  expect(store.rebuilt).toEqual(alarms[0]);
  expect(fromOutside("select count(*) as rows from operations")).toEqual({ rows: 2 });
  expect(await store.meta.order()).toMatchObject({ generation: 2 });
  await store.close();
  await open();
  expect(store.rebuilt).toBeNull();
  expect([await has("before"), await has("after")]).toEqual([true, true]);
  expect(alarms).toHaveLength(1);
});

test("a deleted file is noticed by a read too, and each time anew", async () => {
  await put("a");
  for (const generation of [2, 3, 4]) {
    rmSync(path);
    expect(await has("a")).toBe(true);
    expect(existsSync(path)).toBe(true);
    expect(await store.meta.order()).toMatchObject({ generation });
  }
});

test("a transaction under way when the file vanishes is kept", async () => {
  await store.transaction(async (nouns) => {
    await nouns.operations.put({ key: "a", answer: 1, at: 1 });
    rmSync(path);
    await nouns.operations.put({ key: "b", answer: 1, at: 1 });
  });
  expect([await has("a"), await has("b")]).toEqual([true, true]);
  expect(fromOutside("select count(*) as rows from operations")).toEqual({ rows: 2 });
});

test("another file put in its place is kept aside, and nothing of ours is lost", async () => {
  await put("ours");
  const foreign = join(folder, "foreign.db");
  const other = new DatabaseSync(foreign);
  other.exec("create table theirs (x)");
  other.close();
  renameSync(foreign, path);
  expect(await has("ours")).toBe(true);
  const [alarm] = alarms;
  expect(alarm).toMatchObject({ why: "replaced", generation: 2 });
  const kept = new DatabaseSync(alarm?.keptAside ?? "");
  expect(kept.prepare("select count(*) as n from theirs").get()).toEqual({ n: 0 });
  kept.close();
  await put("later");
  expect(fromOutside("select count(*) as rows from operations")).toEqual({ rows: 2 });
});

test("while the folder is gone the store says so, and works again when it is back", async () => {
  await put("a");
  const moved = `${folder}-moved`;
  renameSync(folder, moved);
  await expect(put("b")).rejects.toMatchObject({ code: "store.unavailable" });
  renameSync(moved, folder);
  expect(await put("b")).toBe(true);
  expect(alarms).toEqual([]);
});

test("a store missing at a start is begun anew, one generation later", async () => {
  await store.meta.beginEpoch();
  await put("a");
  await store.close();
  rmSync(path);
  await open();
  expect(store.rebuilt).toMatchObject({ why: "missing", generation: 2, keptAside: null });
  expect(await store.meta.beginEpoch()).toEqual({ generation: 2, epoch: 2 });
  expect(await has("a")).toBe(false);
});

test("a file that is no database is kept aside", async () => {
  await store.close();
  writeFileSync(path, "not a database at all, though long enough to be looked at".repeat(100));
  await open();
  expect(store.rebuilt).toMatchObject({ why: "unreadable", generation: 2 });
  expect(readFileSync(store.rebuilt?.keptAside ?? "", "utf8")).toContain("not a database");
  expect(await put("a")).toBe(true);
});

test("an older copy put back while nothing ran raises the generation", async () => {
  await put("a");
  await store.close();
  const backup = join(folder, "backup.db");
  copyFileSync(path, backup);
  await open();
  await store.meta.beginEpoch();
  await store.meta.beginEpoch();
  await store.close();
  copyFileSync(backup, path);
  await open();
  expect(store.rebuilt).toMatchObject({ why: "older", generation: 2 });
  expect(await store.meta.beginEpoch()).toEqual({ generation: 2, epoch: 3 });
  expect(await has("a")).toBe(true);
});

test("without its note the generation of the store itself holds", async () => {
  await store.meta.raiseGenerationAbove(6);
  await store.close();
  writeFileSync(join(folder, "generation"), "{ not json");
  await open();
  expect(store.rebuilt).toBeNull();
  expect(await store.meta.order()).toMatchObject({ generation: 7 });
});

test("a store that newer code has changed is refused by name, and left as it is", async () => {
  await store.close();
  const newer = new DatabaseSync(path);
  newer.exec("update meta set value = '99' where key in ('schema', 'oldestCode')");
  newer.close();
  await expect(open()).rejects.toMatchObject({
    code: "store.unavailable",
    message: expect.stringContaining("newer lastgood"),
    details: { stored: 99, oldestCode: 99, known: MIGRATIONS.length },
  });
  const tolerant = new DatabaseSync(path);
  tolerant.exec("update meta set value = '1' where key = 'oldestCode'");
  tolerant.close();
  await open();
  expect(await put("a")).toBe(true);
  expect(fromOutside("select value from meta where key = 'schema'")).toEqual({ value: "99" });
});

test("a store that another process holds is unavailable, and whole afterwards", async () => {
  await put("a");
  const other = new DatabaseSync(path);
  other.exec("begin immediate");
  const work = store.transaction(async (nouns) => {
    await nouns.operations.put({ key: "b", answer: 1, at: 1 });
  });
  await expect(work).rejects.toMatchObject({
    code: "store.unavailable",
    hint: expect.stringContaining("another process"),
    details: { sqliteCode: 5 },
  });
  other.exec("rollback");
  other.close();
  expect(await put("b")).toBe(true);
});

test("history cannot be changed or shortened through SQL", async () => {
  await store.history.append("e", [{ at: 1, kind: "k", actor: "ana", reason: null, data: {} }]);
  const other = new DatabaseSync(path);
  expect(() => other.exec("update history set actor = 'mallory'")).toThrow("append-only");
  expect(() => other.exec("delete from history")).toThrow("append-only");
  other.close();
});

test("a full disk is said so, what was stored stays, and room makes it work again", async () => {
  await put("a");
  await store.close();
  const module = join(import.meta.dirname, "sqlite-store.ts");
  const script = `
    import(${JSON.stringify(module)}).then(async ({ openSqliteStore }) => {
      const store = await openSqliteStore({ path: ${JSON.stringify(path)} });
      const answer = "x".repeat(200_000);
      for (let n = 0; n < 50; n += 1) {
        try {
          await store.transaction(async (nouns) => {
            await nouns.operations.put({ key: "half " + n, answer: 1, at: 1 });
            await nouns.operations.put({ key: "big " + n, answer, at: 1 });
          });
        } catch (error) {
          const stored = await store.operations.get("a");
          const half = await store.operations.get("half " + n);
          console.log(JSON.stringify({ code: error.code, n, stored, half }));
          process.exit(0);
        }
      }
    });`;
  // A limit on the size of files is what a process sees of a disk without room.
  const printed = execFileSync(
    "sh",
    ["-c", 'ulimit -f 1500; exec "$0" -e "$1"', process.execPath, script],
    {
      encoding: "utf8",
    },
  );
  const said = JSON.parse(printed) as { code: string; n: number; stored: unknown; half: unknown };
  expect(said).toMatchObject({ code: "store.unavailable", stored: { answer: "a" }, half: null });
  expect(said.n).toBeGreaterThan(0);
  await open();
  expect(await has("a")).toBe(true);
  expect(await has(`big ${said.n - 1}`)).toBe(true);
  expect(await put("b")).toBe(true);
});

test("nothing but the store's own files is left in the folder", async () => {
  rmSync(path);
  await put("a");
  await store.close();
  expect(readdirSync(folder).toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
    "generation",
    "store.db",
  ]);
  expect(statSync(path).size).toBeGreaterThan(0);
});

test.each(["{cut of", "[]", "null", '"text"'])(
  "an entry whose data became %s is found altered, and hides none of the others",
  async (data) => {
    const entry = { at: 1, actor: "ana", reason: null, data: { n: 1 } };
    await store.history.append("e", [
      { ...entry, kind: "a" },
      { ...entry, kind: "b" },
      { ...entry, kind: "c" },
    ]);
    const other = new DatabaseSync(path);
    other.exec("drop trigger history_no_update");
    other.prepare("update history set data = ? where sequence = 2").run(data);
    other.close();
    const entries = await store.history.list("e");
    expect(entries.map(({ kind }) => kind)).toEqual(["a", "b", "c"]);
    expect(verifyChain(entries)).toMatchObject({ ok: false, entries: 3, firstAltered: 2 });
  },
);
