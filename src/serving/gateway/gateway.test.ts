import { setTimeout as pause } from "node:timers/promises";
import { gzipSync } from "node:zlib";

import { afterEach, expect, test } from "vitest";

import { GatewayHarness, SAMPLE, type Answer } from "../../../test/support/gateway-harness.ts";
import { parseDigest } from "../../core/version/index.ts";
import {
  gatewayStatusSchema,
  probedSchema,
  routeDrainedSchema,
  type GatewayStatus,
} from "../../link/message/index.ts";
import { DEFAULT_LIMITS, type RouteRevision } from "../../link/route/index.ts";

let harness: GatewayHarness;

async function serving(): Promise<{ readonly one: RouteRevision; readonly two: RouteRevision }> {
  harness = new GatewayHarness();
  await harness.startBoth();
  const one = await harness.revision(1, "v1.0");
  const two = await harness.revision(2, "v1.1");
  await harness.publish(harness.route([one, two], 1));
  await harness.until(async () => {
    const { revisions } = await harness.admin<GatewayStatus>("gateway.status", {});
    return revisions.length === 2 && revisions.every((each) => each.state === "ready");
  }, "both revisions");
  return { one, two };
}

function failures(answers: readonly Answer[]): readonly Answer[] {
  return answers.filter((answer) => answer.status !== 200);
}

afterEach(() => harness.end(), 20_000);

test("a published route is served in every protocol, and errors come in each one's own form", async () => {
  await serving();
  const oip = await harness.ask("/v2/models/iris-prod/infer", SAMPLE, { "x-request-id": "mine" });
  expect(oip).toMatchObject({ status: 200, revision: "1" });
  expect(oip.body).toContain('"model_version":"v1.0"');
  const mlflow = await harness.ask("/invocations", { inputs: [[4.8, 3, 1.4, 0.1]] });
  expect(mlflow).toMatchObject({ status: 200, revision: "1" });
  const path = "/v1/models/iris-prod";
  const rows = { instances: [[4.8, 3, 1.4, 0.1]] };
  const tfserving = await harness.ask(`${path}:predict`, rows);
  expect(tfserving).toMatchObject({ status: 200, revision: "1" });
  expect(tfserving.body).toMatch(/^\{"predictions":\[/);
  expect(await harness.ask(`${path}/versions/2:predict`, rows)).toMatchObject({ revision: "2" });
  expect(await harness.ask(`${path}/labels/stable:predict`, rows)).toMatchObject({ revision: "1" });
  expect((await harness.ask(`${path}/labels/canary:predict`, rows)).status).toBe(404);
  const classify = await harness.ask(`${path}:classify`, { examples: [] });
  expect(classify).toMatchObject({ status: 501, body: expect.stringContaining('{"error":') });
  expect(await harness.ask("/v2/models/iris-prod/versions/v1.1/infer", SAMPLE)).toMatchObject({
    status: 200,
    revision: "2",
  });
  expect((await harness.ask("/v2/models/iris-prod/versions/v9/infer", SAMPLE)).status).toBe(404);
  const unknown = await harness.ask("/v2/models/nobody/infer", SAMPLE);
  expect(unknown.status).toBe(404);
  expect(unknown.body).toContain("iris-prod");
  expect((await harness.ask("/v2/models/iris-prod/infer", "{")).status).toBe(400);
  expect((await harness.ask("/invocations", "[".repeat(10_000))).status).toBe(400);
  const probed = probedSchema.parse(
    await harness.control("endpoint.probe", { endpoint: "iris-prod", revision: 1 }),
  );
  expect(probed.probes.map((probe) => [probe.protocol, probe.ok, probe.why])).toEqual([
    ["oip", true, null],
    ["mlflow", true, null],
    ["tfserving", true, null],
  ]);
  const wrong = await harness.control("endpoint.probe", { endpoint: "iris-prod", revision: 2 });
  expect(probedSchema.parse(wrong).ok).toBe(false);
  const apart = { endpoint: "iris-prod", revision: 2, apart: true };
  const own = probedSchema.parse(await harness.control("endpoint.probe", apart));
  expect(own.ok).toBe(true);
  expect(new Set(own.probes.map(({ answeredBy }) => answeredBy))).toEqual(new Set([2]));
}, 30_000);

test("odd and hostile requests get the right 4xx and leave the gateway as it was", async () => {
  await serving();
  const path = "/v2/models/iris-prod/infer";
  const huge = await harness.ask(path, "x".repeat(DEFAULT_LIMITS.bodyBytes + 1));
  expect(huge.status).toBe(413);
  const zipped = gzipSync(JSON.stringify(SAMPLE));
  const gzip = { "content-encoding": "gzip" };
  for (const coding of ["gzip", "GZip", "x-gzip"])
    expect(await harness.ask(path, zipped, { "content-encoding": coding })).toMatchObject({
      status: 200,
      revision: "1",
    });
  const plain = { "content-encoding": "Identity" };
  expect(await harness.ask(path, SAMPLE, plain)).toMatchObject({ status: 200, revision: "1" });
  expect((await harness.ask(path, "no gzip", gzip)).status).toBe(400);
  const bomb = gzipSync(Buffer.alloc(DEFAULT_LIMITS.bodyBytes + 1));
  expect((await harness.ask(path, bomb, gzip)).status).toBe(413);
  expect((await harness.ask(path, SAMPLE, { "content-encoding": "br" })).status).toBe(415);
  expect((await harness.ask("/v2/models/../../etc/passwd/infer", SAMPLE)).status).toBe(404);
  const forged = await harness.ask(path, SAMPLE, { "x-lastgood-probe": "guess.2" });
  expect(forged).toMatchObject({ status: 200, revision: "1" });
  // A caller that closes its half of the connection still gets its answer.
  const text = JSON.stringify(SAMPLE);
  const raw = `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
  expect(await harness.raw(raw)).toMatch(/^HTTP\/1.1 200 /);
  expect(await harness.raw(raw.slice(0, -5))).not.toContain("200 OK");
  expect(await harness.raw("nonsense\r\n\r\n")).toMatch(/^HTTP\/1.1 400 /);
  expect(await harness.infer()).toMatchObject({ status: 200, revision: "1" });
}, 30_000);

test("SIGTERM finishes what is in flight, ends the model processes, and exits with 0", async () => {
  await serving();
  const status = await harness.admin<GatewayStatus>("gateway.status", {});
  const pids = [1, 2].map((revision) => harness.modelPid(status, revision));
  const fifty = (): Promise<Awaited<ReturnType<typeof harness.infer>>[]> =>
    Promise.all(Array.from({ length: 50 }, () => harness.infer()));
  // On connections that are open: one that the system has not handed over yet dies with its listener.
  await fifty();
  const answers = fifty();
  await harness.infer();
  expect(await harness.terminate()).toBe(0);
  expect(failures(await answers)).toEqual([]);
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow("ESRCH");
}, 30_000);

test("switches under load fail nothing, and nothing is answered by the old version after the report", async () => {
  const { one, two } = await serving();
  const load = harness.load(32);
  const periods: { readonly from: number; readonly until: number; readonly revision: string }[] =
    [];
  for (let turn = 0; turn < 20; turn += 1) {
    const to = turn % 2 === 0 ? 2 : 1;
    const switched = await harness.publish(harness.route([one, two], to));
    const from = performance.now();
    expect(switched).toMatchObject({ taken: true, durable: true });
    expect(switched.workers).toHaveLength(2);
    await pause(40);
    periods.push({ from, until: performance.now(), revision: String(to) });
  }
  const answers = await load.stop();
  const stale = periods.flatMap(({ from, until, revision }) =>
    answers.filter(
      (each) => each.sentAt > from && each.receivedAt < until && each.revision !== revision,
    ),
  );
  expect(failures(answers)).toEqual([]);
  expect(stale).toEqual([]);
  expect(answers.length).toBeGreaterThan(500);
  const counted = harness.news.filter((each) => each.kind === "counts");
  expect(counted.length).toBeGreaterThan(0);
}, 60_000);

test("a model process killed under load costs no request, and its requests are run again", async () => {
  await serving();
  const load = harness.load(32);
  for (let turn = 0; turn < 3; turn += 1) {
    const status = await harness.admin<GatewayStatus>("gateway.status", {});
    const killed = harness.modelPid(status, 1);
    process.kill(killed, "SIGKILL");
    await harness.until(async () => {
      const { revisions } = await harness.admin<GatewayStatus>("gateway.status", {});
      return revisions.every(
        ({ state, pid }) => state === "ready" && pid !== null && pid !== killed,
      );
    }, "the replacement");
    await pause(100);
  }
  const answers = await load.stop();
  expect(failures(answers)).toEqual([]);
  expect(answers.length).toBeGreaterThan(100);
}, 60_000);

test("without a control plane a rollback switches, is verified and durable, and survives kill -9", async () => {
  const { one, two } = await serving();
  await harness.publish(harness.route([one, two], 2));
  await harness.stopControl();
  const load = harness.load(16);
  await pause(100);
  const rehearsed = await harness.rollback({ dryRun: true });
  expect(rehearsed).toMatchObject({ override: null, to: { version: "v1.0" } });
  await expect(harness.rollback({ ifCurrent: "v9" })).rejects.toThrow("would leave v1.1, not v9");
  const done = await harness.rollback();
  const reportedAt = performance.now();
  expect(done).toMatchObject({ already: false, from: { revision: 2 }, to: { revision: 1 } });
  expect(done.override?.measured).toMatchObject({
    verified: true,
    durable: true,
    failedRequests: 0,
  });
  await pause(50);
  const answers = await load.stop();
  expect(failures(answers)).toEqual([]);
  expect(answers.filter((each) => each.sentAt > reportedAt && each.revision !== "1")).toEqual([]);
  expect(await harness.rollback()).toMatchObject({
    already: true,
    override: { id: done.override?.id },
  });
  await expect(harness.rollback({ again: true })).rejects.toMatchObject({ code: "target.none" });

  const before = await harness.admin<GatewayStatus>("gateway.status", {});
  await harness.killGateway();
  harness.agent.destroy();
  await harness.start();
  expect(await harness.infer()).toMatchObject({ status: 200, revision: "1" });
  const after = await harness.until(async () => {
    const status = await harness.admin<GatewayStatus>("gateway.status", {});
    return (
      status.revisions.length === 2 &&
      status.revisions.every((each) => each.state === "ready") &&
      status
    );
  }, "both revisions");
  if (after === false) throw new Error("no status");
  expect(harness.modelPid(after, 1)).toBe(harness.modelPid(before, 1));
  expect(harness.modelPid(after, 2)).toBe(harness.modelPid(before, 2));

  harness.news.length = 0;
  await harness.startControl();
  const connected = harness.news.find((each) => each.kind === "gateway.connected");
  expect(gatewayStatusSchema.parse(connected?.body).overrides).toMatchObject([
    { id: done.override?.id },
  ]);
  expect(await harness.publish(harness.route([one, two], 2))).toMatchObject({ taken: false });
  expect(await harness.infer()).toMatchObject({ revision: "1" });
  const acknowledging = harness.route([one, two], 1, { acknowledges: [done.override?.id ?? ""] });
  expect(await harness.publish(acknowledging)).toMatchObject({ taken: true });
}, 60_000);

test("a route with an arm that cannot be loaded is refused and the old one stays", async () => {
  const { one, two } = await serving();
  const missing = {
    ...two,
    revision: 3,
    files: [
      {
        ...two.files[0],
        path: "model.onnx",
        digest: parseDigest(`sha256:${"0".repeat(64)}`),
        size: 1,
      },
    ],
  };
  await expect(harness.publish(harness.route([one, missing], 3))).rejects.toMatchObject({
    code: "artifact.missing",
  });
  expect(await harness.infer()).toMatchObject({ status: 200, revision: "1" });
  expect(await harness.publish(harness.route([one, two], 2))).toMatchObject({ taken: true });
}, 60_000);

test("recreate holds requests while the old version is freed and the new one loaded", async () => {
  const { one, two } = await serving();
  await harness.publish(harness.route([one], 1));
  const load = harness.load(16);
  await pause(100);
  const switched = await harness.publish(harness.route([two], 2, { hold: { maxMs: 10_000 } }));
  expect(switched.taken).toBe(true);
  const drained = await harness.control("route.drained", {
    endpoint: "iris-prod",
    order: switched.order,
    since: 0,
    timeoutMs: 5_000,
  });
  expect(routeDrainedSchema.parse(drained)).toMatchObject({ drained: true, failedRequests: 0 });
  await pause(50);
  const answers = await load.stop();
  expect(failures(answers)).toEqual([]);
  expect(answers.at(-1)?.revision).toBe("2");
  const { revisions } = await harness.admin<GatewayStatus>("gateway.status", {});
  expect(revisions.map((each) => each.revision)).toEqual([2]);
}, 60_000);
