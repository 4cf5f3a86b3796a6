/** Law 4: versions never change, a failed one is kept, history shows every alteration. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import type { History, HistoryVerified, RolledBack } from "../../src/core/api/index.ts";
import { checkNothingLost, tamper } from "../support/law-checks/nothing-lost.ts";
import { example, startServer, type TestServer } from "../support/server.ts";
import { stage, withNote } from "../support/stage.ts";

let server: TestServer;
const folder = mkdtempSync(join(tmpdir(), "lastgood-kept-"));

beforeAll(async () => {
  server = await startServer();
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await server.destroy();
});

test("versions are immutable: the same name with other bytes is refused, the same bytes are no change", async () => {
  const fixed = stage(server, "fixed");
  const file = join(folder, "model.onnx");
  const model = readFileSync(example("iris/v1.0.onnx"));
  writeFileSync(file, withNote(model, "first"));
  const register = ["register", "fixed", file, "--version", "v1.0"];
  const first = await fixed.tell(...register, "--metric", "auc=0.94", "--tag", "team=risk");
  expect(first).toMatchObject({ code: 0, value: { created: true, version: { sequence: 1 } } });
  const before = await server.client.version("fixed", "v1.0");

  expect(await fixed.tell(...register)).toMatchObject({ code: 0, value: { created: false } });
  writeFileSync(file, withNote(model, "second"));
  const refusal = await fixed.refused(4, ...register);
  expect(refusal).toMatchObject({
    code: "version.exists",
    hint: expect.stringContaining("under a new name"),
  });
  expect(await server.client.version("fixed", "v1.0")).toEqual(before);
  expect(before).toMatchObject({ metrics: { auc: 0.94 }, tags: { team: "risk" } });

  for (const name of ["latest", "final", "backup", "3"]) {
    const reserved = await fixed.refused(2, "register", "fixed", file, "--version", name);
    expect(reserved).toMatchObject({ code: "name.reserved", hint: expect.stringContaining("v") });
  }
  expect((await server.client.versions("fixed")).map(({ name }) => name)).toEqual(["v1.0"]);
});

test("a failed version is marked, kept and barred; altered history is found", async () => {
  await checkNothingLost(server);
  const kept = stage(server, "law-kept");
  const forced = await kept.tell("deploy", "law-kept@v1.1", "--force", "--bake", "0s");
  expect(forced).toMatchObject({ code: 0, value: { verified: true } });
});

test("a cut tail is noticed against a head that was noted down", async () => {
  const cut = stage(server, "cut");
  await cut.stable("v1.0", "v1.1");
  const { head, entries } = (await cut.tell<History>("history", "cut", "--all")).value;
  if (head === null) throw new Error("there is no history");
  const verify = ["history", "cut", "--verify", "--expect", head];
  expect(await cut.tell(...verify)).toMatchObject({ code: 0, value: { ok: true, head } });
  tamper(server, `delete from history where endpoint = 'cut' and sequence > ${entries.length - 2}`);
  const alone = await cut.tell<HistoryVerified>("history", "cut", "--verify");
  expect(alone).toMatchObject({ code: 0, value: { ok: true } });
  const expected = await cut.tell<HistoryVerified>(...verify);
  expect(expected).toMatchObject({
    code: 1,
    value: { ok: false, problem: expect.stringContaining("cut off the end") },
  });
});

test("the store itself refuses to change or delete an entry", async () => {
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(join(server.dataDir, "store.sqlite"));
  try {
    expect(() => database.exec("update history set actor = 'nobody'")).toThrow("append-only");
    expect(() => database.exec("delete from history")).toThrow("append-only");
  } finally {
    database.close();
  }
});

test("reinstate takes a wrong rollback back: version, statuses and the bake that was under way", async () => {
  const wrong = stage(server, "wrong");
  await wrong.stable("v1.0");
  await wrong.register("v1.1");
  await wrong.deploy("v1.1", { bakeMs: 600_000 });
  await wrong.tell("rollback", "wrong", "--reason", "a broken dashboard");
  expect((await server.client.version("wrong", "v1.1")).status).toBe("failed");

  const unsaid = await wrong.refused(2, "reinstate", "wrong");
  expect(unsaid.message).toContain("--reason");
  const dry = await wrong.tell<RolledBack>("reinstate", "wrong", "--reason", "x", "--dry-run");
  expect(dry).toMatchObject({ code: 0, value: { dryRun: true, to: { version: "v1.1" } } });
  const done = await wrong.tell<RolledBack>("reinstate", "wrong", "--reason", "it was fine");
  expect(done).toMatchObject({
    code: 0,
    value: { from: { version: "v1.0" }, to: { version: "v1.1" }, verified: true },
  });
  const view = await wrong.view();
  expect(view).toMatchObject({
    current: { version: "v1.1" },
    rollout: { phase: "Baking", to: { version: "v1.1" } },
    revisions: [{ status: "stable" }, { status: "provisional" }],
  });
  expect(await server.client.version("wrong", "v1.1")).toMatchObject({ status: "pending" });
  expect(await wrong.answering()).toEqual(["v1.1"]);

  await wrong.tell("rollback", "wrong");
  await wrong.mark("v1.1", "stable", "let it be deployed again");
  await wrong.deploy("v1.1", { force: true });
  const later = await wrong.refused(4, "reinstate", "wrong", "--reason", "too late");
  expect(later.code).toBe("reinstate.refused");
});

test("reinstate brings a candidate back that had no share of the traffic, though it was unloaded since", async () => {
  const mirrored = stage(server, "mirrored");
  await mirrored.stable("v1.0");
  await mirrored.register("v1.1");
  const rollout = { blueGreen: { promotion: "manual" }, bake: "10m" };
  await mirrored.deploy("v1.1", { bakeMs: null, policy: { model: "mirrored", rollout } });
  await mirrored.tell("rollback", "mirrored", "--reason", "a broken dashboard");
  await mirrored.unloadedTo(1);
  const done = await mirrored.tell<RolledBack>("reinstate", "mirrored", "--reason", "it was fine");
  expect(done).toMatchObject({
    code: 0,
    value: { to: { version: "v1.1" }, warm: false, verified: true },
  });
  expect(await mirrored.view()).toMatchObject({
    current: { version: "v1.0" },
    rollout: { phase: "Progressing", to: { version: "v1.1" } },
    revisions: [{ status: "stable" }, { status: "candidate", warm: true }],
  });
  expect(await mirrored.answering()).toEqual(["v1.0"]);
});

test("everything is as it was after a restart: versions, statuses, what serves, history", async () => {
  const again = stage(server, "again");
  await again.stable("v1.0", "v1.1");
  await again.tell("rollback", "again", "--reason", "bad");
  const facts = async (): Promise<unknown> => {
    const { current, revisions, historyHead } = await again.view();
    return {
      current,
      historyHead,
      revisions: revisions.map(({ version, status, reason }) => ({ version, status, reason })),
      versions: (await server.client.versions("again")).map(({ name, status }) => [name, status]),
      history: (await server.client.history("again")).entries.length,
    };
  };
  const before = await facts();
  expect(await server.terminate()).toBe(0);
  await server.start();
  expect(await facts()).toEqual(before);
  expect(await again.answering()).toEqual(["v1.0"]);
  expect((await server.client.verifyHistory("again", null)).ok).toBe(true);
});
