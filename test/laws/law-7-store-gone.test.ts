/** Law 7: the database file is deleted, under a running server and under none. */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import {
  answeringVersions,
  deployIris,
  goForward,
  irisLoad,
  rollbacksIn,
  settledOn,
  TESTER,
  typeRollback,
} from "../support/iris-endpoint.ts";
import { isRunning, processesOf, startServer, until, type TestServer } from "../support/server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
  await deployIris(server);
});

afterAll(() => server.destroy());

function deleteStore(): void {
  const files = readdirSync(server.dataDir).filter((name) => name.startsWith("store.sqlite"));
  expect(files).toContain("store.sqlite");
  for (const file of files) rmSync(join(server.dataDir, file));
}

test("the database deleted under a running server: a rollback works, nothing is lost, a restart finds everything", async () => {
  const before = await settledOn(server, "v1.1");
  const load = irisLoad(server, 16);
  deleteStore();
  const { answer } = await typeRollback(server, "--reason", "without a store");
  expect(answer).toMatchObject({ to: { version: "v1.0" }, verified: true, failedRequests: 0 });
  const after = await settledOn(server, "v1.0");
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(after.history.slice(0, before.history.length)).toEqual(before.history);
  expect(rollbacksIn(after.history)).toMatchObject([{ reason: "without a store" }]);
  const { alarms } = await server.client.status();
  expect(alarms.join()).toContain("was deleted");
  expect(await server.terminate()).toBe(0);
  await server.start();
  const again = await settledOn(server, "v1.0");
  expect(again.history).toEqual(after.history);
  expect((await server.client.versions("iris")).map(({ name }) => name)).toEqual(["v1.0", "v1.1"]);
  await goForward(server);
});

test("everything killed and the database deleted: versions come back from their manifests, the endpoint from the gateway's routes", async () => {
  const before = await settledOn(server, "v1.1");
  const pids = [server.pid, ...processesOf(server.dataDir).map(({ pid }) => pid)];
  server.killAll();
  await until("everything is gone", () => pids.every((pid) => !isRunning(pid)));
  deleteStore();
  await server.start({ unready: true });
  const seen = new Set<string>();
  await until("it answers again", async () => {
    const versions = await answeringVersions(server, 2);
    for (const version of versions) if (!version.startsWith("failed: dropped")) seen.add(version);
    return seen.size > 0;
  });
  const load = irisLoad(server, 16);
  await server.ready();
  const after = await settledOn(server, "v1.1");
  expect(after.history).toMatchObject([
    { kind: "endpoint.rebuilt", data: { historyHeadBefore: before.view.historyHead } },
  ]);
  expect(after.view.revisions.map(({ version }) => version)).toEqual(["v1.0", "v1.1"]);
  expect(after.view.current?.digest).toBe(before.view.current?.digest);
  expect((await server.client.versions("iris")).map(({ name }) => name)).toEqual(["v1.0", "v1.1"]);
  const back = await server.client.rollback({ ...TESTER, reason: "after the loss" });
  expect(back).toMatchObject({ to: { version: "v1.0" }, verified: true, failedRequests: 0 });
  await settledOn(server, "v1.0");
  const answers = await load.stop();
  expect(load.failures).toEqual([]);
  for (const answer of answers) seen.add(answer.version ?? "none");
  expect(seen).toEqual(new Set(["v1.1", "v1.0"]));
});
