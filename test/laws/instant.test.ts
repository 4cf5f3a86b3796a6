/** Law 1: until the bake ends, and for one revision after it, a rollback is a switch of the route. */
import { afterAll, beforeAll, expect, test } from "vitest";

import type { RolledBack } from "../../src/core/api/index.ts";
import { checkInstant } from "../support/law-checks/instant.ts";
import { Load } from "../support/load.ts";
import { isRunning, startServer, type TestServer } from "../support/server.ts";
import { irisBodies, stage } from "../support/stage.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
});

afterAll(() => server.destroy());

test("after a bake the target stays loaded and warm in a process of its own, older ones go", async () => {
  await expect(checkInstant(server)).resolves.toBeUndefined();
});

test("during a bake the revision it started from stays warm, whatever was served before", async () => {
  const baking = stage(server, "baking");
  await baking.stable("v1.0", "v1.1");
  await baking.register("v1.2");
  await baking.deploy("v1.2", { bakeMs: 600_000 });
  const { rollback, rollout, revisions } = await baking.view();
  expect(rollout).toMatchObject({ phase: "Baking", from: { version: "v1.1" } });
  expect(rollback).toMatchObject({ target: { version: "v1.1", revision: 2 }, warm: true });
  const warm = revisions.filter((revision) => revision.warm).map(({ version }) => version);
  expect(warm).toEqual(expect.arrayContaining(["v1.1", "v1.2"]));
  const target = (await baking.loaded()).find(({ revision }) => revision === 2);
  expect(target).toMatchObject({ state: "ready", proof: "digest verified, 3 samples agree" });
  expect(isRunning(target?.pid ?? 0)).toBe(true);

  const doctor = await baking.tell<{ checks: { check: string; message: string }[] }>("doctor");
  const found = doctor.value.checks.find(({ check }) => check === "rollback of baking");
  expect(found?.message).toBe(
    "would go from v1.2 to v1.1 (revision 2, the newest stable one before; warm, in milliseconds)",
  );
});

test("rollbacks under load are warm and take milliseconds", async ({ annotate }) => {
  const busy = stage(server, "busy");
  await busy.stable("v1.0");
  await busy.register("v1.1");
  const load = new Load({ url: busy.url, bodies: irisBodies, concurrency: 16, pauseMs: 2 });
  const switches: number[] = [];
  for (let round = 0; round < 6; round += 1) {
    await busy.deploy("v1.1", { force: true, bakeMs: 600_000 });
    const back = await server.client.rollback({ endpoint: "busy", actor: "tester", again: true });
    expect(back).toMatchObject({ warm: true, verified: true, durable: true, failedRequests: 0 });
    switches.push(back.switchMs ?? Infinity);
  }
  await load.stop();
  expect(load.failures).toEqual([]);
  const p50 = switches.toSorted((a, b) => a - b)[switches.length / 2] ?? Infinity;
  await annotate(`switchMs of 6 rollbacks under load: p50 ${p50.toFixed(1)}`, "notice");
  // A cold start takes more than this on any machine that runs these tests; the bench has the goal.
  expect(p50).toBeLessThan(150);
});

test("recreate is cold and says so with the expected seconds; its requests wait and none fails", async () => {
  const lean = stage(server, "lean");
  await lean.stable("v1.0");
  await lean.register("v1.1");
  const load = new Load({ url: lean.url, bodies: irisBodies, concurrency: 8, pauseMs: 5 });
  await lean.deploy("v1.1", { strategy: "recreate", bakeMs: 600_000 });
  expect((await lean.loaded()).map(({ revision }) => revision)).toEqual([2]);
  const { rollback } = await lean.view();
  expect(rollback).toMatchObject({ target: { version: "v1.0" }, warm: false });
  expect(rollback.expectedSeconds).toBeGreaterThan(0);

  const rehearsed = await lean.tell<RolledBack>("rollback", "lean", "--dry-run");
  expect(rehearsed).toMatchObject({
    code: 0,
    value: { warm: false, dryRun: true, switchMs: null },
  });
  expect(rehearsed.value.notes.join()).toMatch(/cold.*about \d+(\.\d+)? m?s/);
  const said = await server.cli(["rollback", "lean", "--dry-run"]);
  expect(said.stdout).toContain("cold");

  const done = await lean.tell<RolledBack>("rollback", "lean");
  expect(done).toMatchObject({
    code: 0,
    value: { to: { version: "v1.0" }, warm: false, verified: true, failedRequests: 0 },
  });
  expect(await lean.answering()).toEqual(["v1.0"]);
  await load.stop();
  expect(load.failures).toEqual([]);
  const slowest = Math.max(...load.answers.map(({ sentAt, doneAt }) => doneAt - sentAt));
  expect(slowest).toBeLessThan(10_000);
});
