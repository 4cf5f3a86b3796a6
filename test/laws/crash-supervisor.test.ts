/** The supervisor is killed, everything is killed, or it ends in order; what is started next is right. */
import { rmSync } from "node:fs";
import { createServer } from "node:net";

import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import {
  deployIris,
  gatewayStatus,
  irisLoad,
  modelPids,
  settledOn,
} from "../support/iris-endpoint.ts";
import {
  isFree,
  isRunning,
  processesOf,
  startServer,
  until,
  type TestServer,
} from "../support/server.ts";

const STOP_MS = 15_000;

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
  await deployIris(server);
});

// A test that failed may have left the server down.
beforeEach(async () => {
  if (!isRunning(server.pid)) await server.start();
});

afterAll(() => server.destroy());

/** Ends the server as an operator would, and checks that nothing of it is left. */
async function endCleanly(): Promise<void> {
  const startedAt = performance.now();
  expect(await server.terminate()).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(STOP_MS);
  expect(processesOf(server.dataDir)).toEqual([]);
  expect(await isFree(server.ports.api)).toBe(true);
  expect(await isFree(server.ports.serve)).toBe(true);
}

test("kill -9 of the supervisor under load: no request fails, the next serve adopts every process, and SIGTERM ends all of them", async () => {
  const before = await settledOn(server, "v1.1");
  const { control, gateway } = server.pids;
  const models = await modelPids(server);
  const load = irisLoad(server);
  await until("there is load", () => load.answers.length > 200);
  const supervisor = server.pid;
  process.kill(supervisor, "SIGKILL");
  await until("the supervisor is gone", () => !isRunning(supervisor));
  await server.start();
  expect(server.pid).not.toBe(supervisor);
  const after = await settledOn(server, "v1.1");
  const answered = load.answers.length;
  await until("requests go on", () => load.answers.length > answered + 200);
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(server.pids).toMatchObject({ control, gateway });
  expect(await modelPids(server)).toEqual(models);
  expect(new Set(server.pids.models)).toEqual(new Set(models.values()));
  const [route] = (await gatewayStatus(server)).routes;
  const routed = route?.revisions.map(({ revision }) => revision).toSorted((a, b) => a - b);
  expect([...models.keys()].toSorted((a, b) => a - b)).toEqual(routed);
  expect(after.history).toEqual(before.history);
  await endCleanly();
});

test("kill -9 of everything at once: the next start serves the same version with its history", async () => {
  const before = await settledOn(server, "v1.1");
  const pids = [server.pid, ...processesOf(server.dataDir).map(({ pid }) => pid)];
  expect(pids.length).toBeGreaterThanOrEqual(5);
  server.killAll();
  await until("everything is gone", () => pids.every((pid) => !isRunning(pid)));
  await server.start();
  const after = await settledOn(server, "v1.1");
  expect(after.history).toEqual(before.history);
  expect(after.view.revisions.map(({ version, status }) => ({ version, status }))).toEqual(
    before.view.revisions.map(({ version, status }) => ({ version, status })),
  );
  await until("the target is warm again", async () => {
    const { rollback } = await server.client.endpoint(after.view.name);
    return rollback.warm && rollback.target?.version === "v1.0";
  });
  expect(new Set(server.pids.models)).toEqual(new Set((await modelPids(server)).values()));
});

test("SIGTERM under load: what was admitted is answered, exit code 0, and a second start finds everything as it was", async () => {
  const before = await settledOn(server, "v1.1");
  const load = irisLoad(server);
  await until("there is load", () => load.answers.length > 200);
  await endCleanly();
  const answers = await load.stop();
  // A request the gateway has begun to answer is answered; later ones find no one listening.
  expect(answers.filter((answer) => answer.status !== null && answer.status !== 200)).toEqual([]);
  const broken = answers.filter((answer) => answer.error !== null);
  expect(broken.map((answer) => answer.error).filter((error) => !isRefused(error))).toEqual([]);
  await server.start();
  const after = await settledOn(server, "v1.1");
  expect(after.history).toEqual(before.history);
});

/** Nobody listens any more: the request was never admitted. */
function isRefused(error: string | null): boolean {
  return error?.includes("ECONNREFUSED") === true;
}

test("a second server on the same data folder is refused and names the first one", async () => {
  const second = await server.cli([
    "serve",
    "--data-dir",
    server.dataDir,
    "--api-address",
    "127.0.0.1:0",
    "--serve-address",
    "127.0.0.1:0",
  ]);
  expect(second.code).toBe(4);
  expect(second.stderr).toContain(`pid ${server.pid}`);
  await settledOn(server, "v1.1");
});

test("a port that a stranger holds is refused and names its pid", async () => {
  const stranger = createServer();
  await new Promise<void>((resolve) => stranger.listen(0, "127.0.0.1", resolve));
  const address = stranger.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const dataDir = `${server.dataDir}-stranger`;
  try {
    const flags = ["--api-address", "--serve-address", "--grpc-address"];
    for (const flag of flags) {
      const others = flags.flatMap((other) => (other === flag ? [] : [other, "127.0.0.1:0"]));
      const args = ["--data-dir", dataDir, flag, `127.0.0.1:${port}`, ...others];
      const refused = await server.cli(["serve", ...args]);
      expect(refused.code).not.toBe(0);
      expect(refused.stderr).toContain(`process ${process.pid}`);
      expect(refused.stderr).toContain(flag);
      expect(processesOf(dataDir)).toEqual([]);
    }
  } finally {
    stranger.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
});
