/** Law 3: a rollback is reported done only when it was seen to be, and the answer says what was measured. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import type { History, HistoryEntry, RolledBack } from "../../src/core/api/index.ts";
import { gatewayStatus } from "../support/iris-endpoint.ts";
import { checkVerified } from "../support/law-checks/verified.ts";
import { Load } from "../support/load.ts";
import { startServer, until, type CliResult, type TestServer } from "../support/server.ts";
import { irisBodies, stage, type Stage } from "../support/stage.ts";
import { strangerOn } from "../support/stranger.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
});

afterAll(() => server.destroy());

test("the answer says from where to where, why, and what was measured", async () => {
  const told = stage(server, "told");
  await told.stable("v1.0");
  await told.register("v1.1");
  await told.deploy("v1.1", { bakeMs: 600_000 });
  const load = new Load({ url: told.url, bodies: irisBodies, concurrency: 16, pauseMs: 2 });
  const answered = (version: string): Promise<true> =>
    until(`an answer of ${version}`, () => load.answers.some((each) => each.version === version));
  await answered("v1.1");
  const before = Date.now();
  const { code, value } = await told.tell<RolledBack>("rollback", "told", "--reason", "wrong");
  await answered("v1.0");
  const answers = await load.stop();
  expect(code).toBe(0);
  const view = await told.view();
  expect(value).toEqual({
    endpoint: "told",
    from: { version: "v1.1", revision: 2, digest: view.revisions[1]?.digest },
    to: { version: "v1.0", revision: 1, digest: view.revisions[0]?.digest },
    why: "revision 1, the newest stable one before",
    passedOver: [],
    warm: true,
    verified: true,
    durable: true,
    via: "api",
    switchMs: expect.any(Number),
    lastOldAdmittedMs: expect.any(Number),
    // Null where every old answer had left before the command was read.
    lastOldResponseMs: value.lastOldResponseMs,
    failedRequests: 0,
    trigger: "manual",
    actor: "tester",
    reason: "wrong",
    at: expect.any(Number),
    historyHead: view.historyHead,
    dryRun: false,
    already: false,
    notes: [expect.stringContaining("v1.1 is marked failed, kept, and refused")],
  });
  expect(value.at).toBeGreaterThanOrEqual(before);
  expect(value.switchMs).toBeGreaterThan(0);
  expect(value.lastOldAdmittedMs).toBeLessThanOrEqual(value.switchMs ?? 0);
  expect(value.lastOldResponseMs ?? Infinity).toBeGreaterThanOrEqual(
    value.lastOldAdmittedMs ?? Infinity,
  );
  expect(load.failures).toEqual([]);
  expect(new Set(answers.map(({ version }) => version))).toEqual(new Set(["v1.1", "v1.0"]));
});

test("right after the answer every new and every open connection is answered by the target", async () => {
  const after = stage(server, "after");
  await after.stable("v1.0", "v1.1");
  // Connections from before the switch, spread over the workers and kept open.
  const open = new Load({ url: after.url, bodies: irisBodies, concurrency: 16 });
  await new Promise((resolve) => setTimeout(resolve, 100));
  const back = await server.client.rollback({ endpoint: "after", actor: "tester" });
  expect(back).toMatchObject({ to: { version: "v1.0" }, verified: true });
  const sent = open.answers.length;
  expect(await after.answering(32)).toEqual(["v1.0"]);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const answers = await open.stop();
  expect(open.failures).toEqual([]);
  // The first after the report may have been sent before it.
  const later = answers.slice(sent + 16);
  expect(later.length).toBeGreaterThan(16);
  expect(new Set(later.map(({ version }) => version))).toEqual(new Set(["v1.0"]));
});

test("the public port answers wrongly: not done, every target once, exit 1, and it stays where it was", async () => {
  await expect(checkVerified(server)).resolves.toBeUndefined();
});

test("a target that fails its verification is followed by the next one", async () => {
  const next = stage(server, "next");
  await next.stable("v1.0", "v1.1", "v1.2");
  // Another program on the port answers the first target's first probe and is gone.
  const stranger = await strangerOn(server.ports.serve, { answers: 1 });
  try {
    const done = await next.tell<RolledBack>("rollback", "next");
    expect(done).toMatchObject({
      code: 0,
      value: { from: { version: "v1.2" }, to: { version: "v1.0" }, verified: true },
    });
  } finally {
    await stranger.close();
  }
  expect(await next.answering()).toEqual(["v1.0"]);
  const { value } = await next.tell<History>("history", "next");
  expect(value.entries.at(-1)).toMatchObject({
    kind: "rollback.completed",
    data: { tried: [expect.stringContaining("v1.1: revision 2 did not answer as it should")] },
  });
});

/** A rollback by the gateway alone, to a target that cannot answer now. */
interface Unverified {
  readonly asked: Promise<CliResult>;
  readonly endTarget: () => void;
}

/** Resolves when the switch is on the gateway's disk, and not verified. */
async function beginsToGoBack(on: Stage): Promise<Unverified> {
  await until("the target is warm", async () => (await on.view()).rollback.warm);
  const target = (await on.loaded()).find(({ revision }) => revision === 1)?.pid;
  if (target === undefined || target === null) throw new Error("the target has no process");
  process.kill(target, "SIGSTOP");
  const asked = server.cli(["rollback", on.name, "--direct", "--reason", "wrong"]);
  const record = join(server.dataDir, "routes", `${on.name}.slots`);
  await until("it is switched", () => readFileSync(record, "latin1").includes('"verified":false'));
  return { asked, endTarget: () => process.kill(target, "SIGKILL") };
}

async function rollbacksOf(on: Stage): Promise<readonly HistoryEntry[]> {
  const { value } = await on.tell<History>("history", on.name);
  return value.entries.filter(({ kind }) => kind === "rollback.completed");
}

test("kill -9 of the gateway between a rollback and its verification: the next one verifies what it finds, or takes it back", async () => {
  const [holds, breaks] = [stage(server, "cut-short"), stage(server, "cut-off")];
  await holds.stable("v1.0", "v1.1");
  await breaks.stable("v1.0", "v1.1");
  const begun = [await beginsToGoBack(holds), await beginsToGoBack(breaks)];
  breaks.loseFile("v1.0");
  for (const pid of server.pids.gateway) process.kill(pid, "SIGKILL");
  for (const { endTarget } of begun) endTarget();
  for (const { asked } of begun) expect((await asked).code).toBe(1);
  const [done] = await until("the control plane heard of it", async () => {
    const found = await rollbacksOf(holds);
    return found.length > 0 && found;
  });
  expect(done).toMatchObject({ reason: "wrong", data: { via: "gateway", verified: true } });
  expect(await holds.answering()).toEqual(["v1.0"]);
  await until("what was left serves", async () => (await breaks.answering(1))[0] === "v1.1");
  expect((await gatewayStatus(server)).overrides).toEqual([]);
  expect(await rollbacksOf(breaks)).toEqual([]);
  expect(await breaks.view()).toMatchObject({ current: { version: "v1.1" } });
});

test("in a rollout the end is NoTarget; a deploy that is not verified is not reported done", async () => {
  const lost = stage(server, "lost");
  await lost.stable("v1.0");
  await lost.register("v1.1");
  await lost.register("v1.2");
  await lost.deploy("v1.1", { bakeMs: 600_000 });
  const stranger = await strangerOn(server.ports.serve);
  try {
    const refusal = await lost.refused(1, "rollback", "lost");
    expect(refusal.code).toBe("rollback.no-target-left");
    expect(await lost.view()).toMatchObject({
      current: { version: "v1.1" },
      rollout: null,
      lastRollout: { phase: "NoTarget" },
    });
    expect((await lost.view()).alarms.join()).toContain("failed its verification");
    // What serves now answers no probe either, so it says nothing of the candidate.
    const deployed = await lost.refused(5, "deploy", "lost@v1.2");
    expect(deployed.code).toBe("wait.undecided");
    expect((await lost.view()).rollout?.held?.why).toMatch(
      /^an outage: v1\.2 could not be verified/,
    );
  } finally {
    await stranger.close();
  }
  await until("the switch is verified", async () => (await lost.view()).rollout?.held === null);
  expect(await lost.answering()).toEqual(["v1.2"]);
  // Nothing was lost by it: the way back is there again.
  const done = await lost.tell<RolledBack>("rollback", "lost");
  expect(done).toMatchObject({ code: 0, value: { verified: true } });
});
