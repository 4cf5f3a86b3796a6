/**
 * Automatic rollback beside a canary: blue/green and recreate, a policy or a person that keeps it from
 * going back, what a waiting command learns, and a rollback that is taken back.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import type { Deployed, RolledBack, RolloutAnswer } from "../../src/core/api/index.ts";
import { oipBody } from "../support/load.ts";
import { heldOutRows } from "../support/rows.ts";
import { startServer, until, type TestServer } from "../support/server.ts";
import {
  quickAnalysis,
  quickCanary,
  UnderTraffic,
  type UnderTrafficOptions,
} from "../support/under-traffic.ts";

let server: TestServer;
const started: UnderTraffic[] = [];

beforeAll(async () => {
  server = await startServer();
});

afterAll(async () => {
  await Promise.all(started.map(({ load }) => load.stop()));
  await server.destroy();
});

async function start(name: string, options: UnderTrafficOptions = {}): Promise<UnderTraffic> {
  const made = await UnderTraffic.start(server, name, { pauseMs: 25, ...options });
  started.push(made);
  return made;
}

/** Waits until the evidence holds the rollout. */
async function held(on: UnderTraffic, why: RegExp): Promise<void> {
  const isHeld = async (): Promise<boolean> => why.test((await on.view()).rollout?.held?.why ?? "");
  try {
    await until(`${on.name} is held`, isHeld, 80_000);
  } catch (cause) {
    throw new Error(`not held: ${JSON.stringify((await on.view()).rollout)}`, { cause });
  }
}

/** The alarms of this kind that were raised about the endpoint, as the control plane logged them. */
function alarmsOf(endpoint: string, alarm: string): readonly string[] {
  const lines = readFileSync(join(server.dataDir, "logs", "control.log"), "utf8").split("\n");
  return lines.filter(
    (line) => line.includes(`"alarm":"${alarm}"`) && line.includes(`"endpoint":"${endpoint}"`),
  );
}

/** One request to the address of a preview. */
async function preview(
  path: string,
  row: number,
): Promise<{ readonly status: number; readonly version: string | null; readonly body: string }> {
  const response = await fetch(`${server.serveUrl}${path}/infer`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: oipBody(heldOutRows("iris")[row]?.features ?? []),
  });
  const version = response.headers.get("x-lastgood-version");
  return { status: response.status, version, body: await response.text() };
}

test.concurrent("blue/green under the default policy: mirrored requests send it back in its bake", async () => {
  const on = await start("mirrored", { policy: null });
  await on.registerBroken("v2.0-throws");
  const { code, value } = await on.tell<Deployed>(
    "deploy",
    "mirrored@v2.0-throws",
    "--bake",
    "40s",
  );
  expect({ code, rollout: value.rollout }).toMatchObject({
    code: 0,
    rollout: { phase: "Baking", strategy: "blueGreen" },
  });
  await on.wasSentBackBy("errorRate", "v2.0-throws", await on.endOf(value.rollout?.id ?? ""));
}, 120_000);

test.concurrent("blue/green: a slow version goes back in its bake, by the times of both for the same requests", async () => {
  const rollout = { blueGreen: {}, bake: "60s", holdback: "50%" };
  const on = await start("slow-copies", { policy: { rollout, analysis: quickAnalysis() } });
  await on.registerBroken("v2.0-slow");
  const { rollout: begun } = await on.begin("v2.0-slow");
  const ended = await on.endOf(begun?.id ?? "", 80_000);
  expect(ended.reason).toMatch(/latency: \S+ [\d.]+ ms, stable [\d.]+ ms: /);
  await on.wasSentBackBy("latency", "v2.0-slow", ended);
}, 120_000);

test.concurrent("blue/green with preview: the candidate is reached at its own address, by nobody else, until a person promotes", async () => {
  const rollout = { blueGreen: { promotion: "manual" }, bake: "1s" };
  const on = await start("previewed", { policy: { rollout, analysis: { flush: "250ms" } } });
  await on.register("v1.2");
  const { rollout: begun } = await on.begin("v1.2");
  expect(begun).toMatchObject({ phase: "Progressing", weight: 0, step: { kind: "pause" } });
  const { body, status, version } = await preview(
    begun?.preview ?? "",
    on.load.answers[0]?.index ?? 0,
  );
  expect({ status, version }).toEqual({ status: 200, version: "v1.2" });
  expect(JSON.parse(body)).toMatchObject({ model_version: "v1.2" });
  const { value } = await on.tell<RolloutAnswer>("rollout", "status", "previewed");
  expect(value.rollout?.preview).toBe("/v2/models/previewed/versions/v1.2");
  expect(new Set(await on.answering())).toEqual(new Set(["v1.1"]));
  await on.tell("rollout", "promote", "previewed");
  expect((await on.endOf(begun?.id ?? "")).phase).toBe("Succeeded");
  expect(await on.answering()).toEqual(["v1.2"]);
  expect(on.load.failures).toEqual([]);
}, 120_000);

test.concurrent("mirror first: a good version goes on to its callers, one that throws goes back before any was answered by it", async () => {
  const steps = [
    { mirror: "100%", until: { requests: 40, time: "1s" } },
    { weight: "50%", until: { requests: 40, time: "1s" } },
  ];
  const rollout = { canary: { steps }, bake: "1s" };
  const on = await start("shadowed", { policy: quickCanary({ rollout }) });
  await on.register("v1.2");
  expect((await on.rollsOut("v1.2")).phase).toBe("Succeeded");
  await on.registerBroken("v2.0-throws");
  const ended = await on.rollsOut("v2.0-throws");
  expect(ended).toMatchObject({
    phase: "RolledBack",
    reason: expect.stringMatching(/^errorRate: \d+ % errors, stable 0 %: /),
  });
  const versions = on.load.answers.map(({ version }) => version);
  expect(new Set(versions)).toEqual(new Set(["v1.1", "v1.2"]));
  // The next one waits out the cooldown, and says so.
  await on.register("v1.3");
  await on.begin("v1.3");
  const { value } = await on.tell<RolloutAnswer>("rollout", "status", "shadowed");
  expect(value.rollout?.step?.coolingUntil).toBeGreaterThan(Date.now());
  expect(on.load.failures).toEqual([]);
}, 120_000);

test.concurrent("recreate: nothing runs beside it, so it holds and says so, and a person decides", async () => {
  const on = await start("recreated", { policy: null });
  // What stable did before is all there is to compare with: intervals of 10 s.
  await until("a baseline", () => on.load.answers.length > 1_000, 60_000);
  await new Promise((resolve) => setTimeout(resolve, 12_000));
  await on.registerBroken("v2.0-throws");
  await on.begin("v2.0-throws", { strategy: "recreate", bakeMs: 600_000 });
  await held(on, /errorRate: .*nobody knows whether stable would do better/);
  expect((await on.view()).alarms).toContainEqual(expect.stringMatching(/^the rollout is held: /));
  expect(alarmsOf(on.name, "rollout.proposed")).toHaveLength(1);
  expect((await on.view()).split).toMatchObject([{ version: "v2.0-throws", weight: 100 }]);
  const back = await on.tell<RolledBack>("rollback", "recreated", "--reason", "it throws");
  expect(back).toMatchObject({ code: 0, value: { to: { version: "v1.1" }, warm: false } });
  expect(await on.answering()).toEqual(["v1.1"]);
}, 120_000);

test.concurrent("a canary without a holdback: what fails in its bake goes back once stable answered it", async () => {
  const steps = [{ weight: "1%", until: { requests: 1, time: "250ms" } }];
  const rollout = { canary: { steps }, bake: "60s", holdback: "0%" };
  const on = await start("unheld", { policy: quickCanary({ rollout }) });
  await on.registerBroken("v2.0-throws");
  const ended = await on.rollsOut("v2.0-throws");
  expect(ended).toMatchObject({
    phase: "RolledBack",
    reason: expect.stringMatching(/^errorRate: .*; stable answers what it fails/),
  });
  expect(on.load.failures).toEqual([]);
}, 120_000);

test.concurrent("a waiting deploy ends with 0 when it is stable, and with 3 when it was sent back", async () => {
  const on = await start("waited");
  await on.register("v1.2");
  const good = await on.tell<Deployed>("deploy", "waited@v1.2", "--wait");
  expect(good).toMatchObject({ code: 0, value: { rollout: { phase: "Succeeded" } } });
  await on.registerBroken("v2.0-throws");
  const refusal = await on.refused(3, "deploy", "waited@v2.0-throws", "--wait");
  expect(refusal).toMatchObject({
    code: "rollout.rolled-back",
    message: expect.stringContaining("errorRate: "),
  });
  expect((await on.view()).current?.version).toBe("v1.2");
  expect(on.load.failures).toEqual([]);
}, 120_000);

test.concurrent("automatic: false holds and raises an alarm, moves no traffic, and goes back by hand", async () => {
  const on = await start("by-hand", { policy: quickCanary({ rollback: { automatic: false } }) });
  await on.registerBroken("v2.0-throws");
  await on.begin("v2.0-throws");
  await held(on, /errorRate: .*its policy says automatic: false.*lastgood rollback by-hand/);
  const alarms = alarmsOf(on.name, "rollback.wanted");
  expect(alarms).toHaveLength(1);
  expect((await on.view()).alarms.join()).toMatch(/a rollback is wanted: errorRate: /);
  const { split } = await on.view();
  expect(split).toContainEqual(expect.objectContaining({ version: "v2.0-throws" }));
  // More of the same evidence neither moves nor tells anything.
  const answered = on.load.answers.length;
  await until("more requests", () => on.load.answers.length > answered + 200, 60_000);
  expect(await on.decisions()).toEqual([]);
  expect((await on.view()).split).toEqual(split);
  expect(alarmsOf(on.name, "rollback.wanted")).toEqual(alarms);
  const back = await on.tell<RolledBack>("rollback", "by-hand");
  expect(back).toMatchObject({ code: 0, value: { to: { version: "v1.1" }, trigger: "manual" } });
  expect(await on.answering()).toEqual(["v1.1"]);
  expect(on.load.failures).toEqual([]);
}, 120_000);

test.concurrent("a pin holds it and raises an alarm; without the pin it goes back by itself", async () => {
  const on = await start("pinned");
  await on.registerBroken("v2.0-throws");
  const pin = await on.tell("pin", "pinned", "--reason", "we are looking at it");
  expect(pin).toMatchObject({ code: 0 });
  const { rollout } = await on.begin("v2.0-throws");
  await held(on, /errorRate: .*pinned by tester \(we are looking at it\)/);
  expect(alarmsOf(on.name, "rollback.pinned")).toHaveLength(1);
  expect((await on.view()).alarms.join()).toMatch(/a rollback is wanted: .*pinned by tester/);
  expect(await on.decisions()).toEqual([]);
  expect((await on.view()).split).toContainEqual(
    expect.objectContaining({ version: "v2.0-throws" }),
  );
  expect(await on.tell("unpin", "pinned")).toMatchObject({ code: 0 });
  await on.wasSentBackBy("errorRate", "v2.0-throws", await on.endOf(rollout?.id ?? ""));
}, 120_000);

test.concurrent("a candidate that fails every request at 50 % costs no caller an answer", async () => {
  const wide = heldOutRows("iris").filter(({ features }) => (features[2] ?? 0) >= 5);
  const on = await start("all-fail", {
    bodies: wide.map(({ features }) => oipBody(features)),
    concurrency: 8,
    policy: quickCanary({ rollout: { canary: { steps: [{ weight: "50%" }] } } }),
  });
  await on.registerBroken("v2.0-throws");
  const { phase, reason } = await on.rollsOut("v2.0-throws");
  expect(phase).toBe("RolledBack");
  await on.isBackFrom("v2.0-throws", reason);
}, 120_000);

test.concurrent("a rollback that was taken back goes on with evidence of its own, and may be sent back again", async () => {
  const on = await start("reinstated");
  await on.registerBroken("v2.0-throws");
  const ended = await on.rollsOut("v2.0-throws");
  expect(ended.phase).toBe("RolledBack");
  const again = await on.tell<RolledBack>("reinstate", "reinstated", "--reason", "it was the data");
  expect(again).toMatchObject({ code: 0, value: { to: { version: "v2.0-throws" } } });
  const [first, second] = await until(
    "a second decision",
    async () => {
      const decisions = await on.decisions();
      return decisions.length === 2 && decisions;
    },
    60_000,
  );
  const evidence = [first, second].map(
    (decision) => decision?.data["evidence"] as { readonly id: string },
  );
  expect(evidence[1]?.id).toBe(`${evidence[0]?.id}.1`);
  await until("it is back again", async () => (await on.view()).rollout === null);
  await on.isBackFrom("v2.0-throws", second?.reason ?? null);
  const status = await on.tell<RolloutAnswer>("rollout", "status", "reinstated");
  expect(status.value.rollout).toMatchObject({ phase: "RolledBack" });
}, 120_000);
