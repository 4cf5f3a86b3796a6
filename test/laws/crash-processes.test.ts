/** Law 7 under `kill -9`: of the control plane, of a model process, of the gateway. */
import { spawnSync } from "node:child_process";

import { afterAll, beforeAll, expect, test } from "vitest";

import {
  answeringVersions,
  askOnce,
  deployIris,
  ENDPOINT,
  gatewayStatus,
  goForward,
  irisLoad,
  modelPids,
  rollbacksIn,
  settledOn,
  TESTER,
  typeRollback,
} from "../support/iris-endpoint.ts";
import { isRunning, startServer, until, type TestServer } from "../support/server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
  await deployIris(server);
});

afterAll(() => server.destroy());

/** The pid of the one process of a kind. */
function pidOf(role: "control" | "gateway"): number {
  const [pid, ...others] = server.pids[role];
  if (pid === undefined || others.length > 0)
    throw new Error(`there is not one ${role} but ${others.length === 0 ? "none" : "several"}`);
  return pid;
}

/** A second; up to four where the machine has so little time left that even a bare Node starts slowly. */
function aSecondMs(): number {
  const startedAt = performance.now();
  spawnSync(process.execPath, ["-e", "0"]);
  return Math.min(4_000, Math.max(1_000, 25 * (performance.now() - startedAt)));
}

test("kill -9 of the control plane under load: no request fails, and a rollback typed meanwhile is in history once", async () => {
  const before = await settledOn(server, "v1.1");
  const { gateway } = server.pids;
  const load = irisLoad(server);
  await until("there is load", () => load.answers.length > 200);
  const control = pidOf("control");
  process.kill(control, "SIGKILL");
  const { answer } = await typeRollback(
    server,
    "--reason",
    "typed while the control plane is away",
  );
  expect(answer).toMatchObject({
    from: { version: "v1.1" },
    to: { version: "v1.0" },
    verified: true,
    durable: true,
    failedRequests: 0,
    already: false,
  });
  expect(await answeringVersions(server)).toEqual(["v1.0"]);
  const after = await settledOn(server, "v1.0");
  const answered = load.answers.length;
  await until("requests go on", () => load.answers.length > answered + 200);
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(pidOf("control")).not.toBe(control);
  expect(server.pids.gateway).toEqual(gateway);
  const added = rollbacksIn(after.history).slice(rollbacksIn(before.history).length);
  expect(added).toMatchObject([
    { actor: "tester", reason: "typed while the control plane is away", data: { via: answer.via } },
  ]);
  expect(after.view.revisions.at(-1)).toMatchObject({ version: "v1.1", status: "failed" });
  await goForward(server);
});

test("kill -9 of the serving model process under load, twice in a row: no request fails, nothing is judged", async () => {
  const before = await settledOn(server, "v1.1");
  const current = before.view.current?.revision ?? 0;
  const load = irisLoad(server, 64, 0);
  await until("there is load", () => load.answers.length > 200);
  for (let round = 0; round < 2; round += 1) {
    const victim = (await modelPids(server)).get(current) ?? 0;
    expect(isRunning(victim)).toBe(true);
    process.kill(victim, "SIGKILL");
    await until("the replacement is up", async () => {
      const next = (await modelPids(server)).get(current);
      return next !== undefined && next !== victim && isRunning(next);
    });
  }
  const answered = load.answers.length;
  await until("requests go on", () => load.answers.length > answered + 200);
  const answers = await load.stop();
  expect(load.failures).toEqual([]);
  // While v1.1 bakes, stable answers for it where a replacement takes long to start, and says so.
  const answeredBy = new Set(
    answers.map(({ version, fallback }) => `${version} for ${fallback ?? "itself"}`),
  );
  answeredBy.delete(`v1.0 for v1.1/${current}`);
  expect(answeredBy).toEqual(new Set(["v1.1 for itself"]));
  const after = await settledOn(server, "v1.1");
  expect(after.history).toEqual(before.history);
  expect(after.view.alarms).toEqual(before.view.alarms);
  expect(after.view.rollback).toMatchObject({ target: { version: "v1.0" }, warm: true });
});

test("kill -9 of the gateway: the best of three is back in under a second, with its model processes adopted", async () => {
  const models = await modelPids(server);
  expect(models.size).toBe(2);
  const tookMs: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    const gateway = pidOf("gateway");
    const killedAt = performance.now();
    process.kill(gateway, "SIGKILL");
    const first = await until("the gateway answers again", async () => {
      const answer = await askOnce(server);
      return answer === null ? null : { ...answer, ms: performance.now() - killedAt };
    });
    expect(first).toMatchObject({ status: 200, version: "v1.1" });
    tookMs.push(Math.round(first.ms));
    const load = irisLoad(server, 16);
    await settledOn(server, "v1.1");
    const answers = await load.stop();
    expect(load.failures).toEqual([]);
    expect(new Set(answers.map((answer) => answer.version))).toEqual(new Set(["v1.1"]));
    expect(pidOf("gateway")).not.toBe(gateway);
    // What is no arm is adopted once the gateway serves.
    await until(
      "all model processes are adopted",
      async () => (await modelPids(server)).size === 2,
    );
    expect(await modelPids(server)).toEqual(models);
    expect(new Set(server.pids.models)).toEqual(new Set(models.values()));
  }
  // The second and third start wait a little: the supervisor takes three deaths in a row for a loop.
  expect(Math.min(...tookMs), `of ${tookMs.join(", ")} ms`).toBeLessThan(aSecondMs());
  const { routes } = await gatewayStatus(server);
  expect(routes.map((route) => route.endpoint)).toEqual([ENDPOINT]);
});

test("kill -9 of the gateway in the middle of a rollback and of a deploy: each ends on the version it says", async () => {
  const { revision } = (await settledOn(server, "v1.1")).view.current ?? {};
  const rollback = server.client.rollback({ ...TESTER, reason: "in the middle of it" });
  await new Promise((resolve) => setTimeout(resolve, 5));
  process.kill(pidOf("gateway"), "SIGKILL");
  expect(await rollback).toMatchObject({ to: { version: "v1.0" }, verified: true });
  const { history } = await settledOn(server, "v1.0");
  expect(history.at(-1)).toMatchObject({
    kind: "rollback.completed",
    data: { from: { revision }, to: { version: "v1.0" } },
  });
  const deploy = server.client.deploy({ ...TESTER, reference: "iris@v1.1", force: true });
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.kill(pidOf("gateway"), "SIGKILL");
  expect(await deploy).toMatchObject({ current: { version: "v1.1" }, verified: true });
  await settledOn(server, "v1.1");
});
