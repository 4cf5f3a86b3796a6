/**
 * Evidence from elsewhere than the gateway, on real processes: labels that arrive later send a version
 * back that answers every request, also when the control plane is killed in between; so do a health
 * check and an application's log.
 */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { ENDPOINT, TESTER } from "../support/iris-endpoint.ts";
import { oipBody } from "../support/load.ts";
import { heldOutRows } from "../support/rows.ts";
import { example, startServer, until, type TestServer } from "../support/server.ts";

const OFF = { off: true } as const;
const folder = mkdtempSync(join(tmpdir(), "lg-signals-law-"));
const sick = join(folder, "sick");
const log = join(folder, "app.log");
const rows = heldOutRows("iris");

let server: TestServer;

/** A canary that would take an hour, watched by nothing but the metrics that are given. */
function policyOf(
  metrics: Readonly<Record<string, unknown>>,
  { time = "1h", ...analysis }: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const never = { requests: 1_000_000, time };
  return {
    model: "iris",
    rollout: { canary: { steps: [{ weight: "50%", until: never }] } },
    analysis: {
      flush: "250ms",
      metrics: {
        errorRate: OFF,
        rejected: OFF,
        latency: OFF,
        drift: OFF,
        accuracy: OFF,
        ...metrics,
      },
      ...analysis,
    },
    rollback: { atMost: "1000 per 1h", cooldown: "0s" },
  };
}

/** Versions whose check fails. */
const ill = new Set<string>();
const checked = createServer(({ url = "" }, response) =>
  response.writeHead(ill.has(url.slice(1)) ? 500 : 200).end(),
);

/** Answers each call of the gRPC health protocol: 1 is SERVING, 2 is not. */
let grpcHealth = 1;
const grpc = createHttp2();
grpc.on("stream", (stream) => {
  stream.on("error", () => undefined);
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(Buffer.from([0, 0, 0, 0, 2, 0x08, grpcHealth]));
});

function grpcListening(): Promise<number> {
  return new Promise((resolve) => {
    grpc.listen(0, "127.0.0.1", () => resolve((grpc.address() as AddressInfo).port));
  });
}

function listening(): Promise<number> {
  return new Promise((resolve) => {
    checked.listen(0, "127.0.0.1", () => resolve((checked.address() as AddressInfo).port));
  });
}

beforeAll(async () => {
  const config = join(folder, "server.yaml");
  const check =
    "if (require('node:fs').existsSync(process.argv[1])) { console.error('the shop is closed'); process.exit(1) }";
  const command = [process.execPath, "-e", check, sick];
  writeFileSync(log, "");
  writeFileSync(
    config,
    `health:
  shop: {command: ${JSON.stringify(command)}, every: 1s}
  each: {http: "http://127.0.0.1:${await listening()}/{{version}}", every: 1s}
  rpc: {grpc: "127.0.0.1:${await grpcListening()}/shop.Cart", every: 1s}
logs: {app: {files: [app.log], format: json, version: version}}
`,
  );
  server = await startServer({ args: ["--config", config] });
  for (const name of ["v1.0", "v1.1", "v2.0-scaled"]) {
    const bytes = new Uint8Array(readFileSync(example(`iris/${name}.onnx`)));
    const { digest } = await server.client.upload(bytes);
    const files = [{ path: "model.onnx", digest }];
    await server.client.register("iris", { name, files, actor: TESTER.actor });
  }
  await server.client.deploy({ ...TESTER, reference: "iris@v1.0", endpoint: ENDPOINT });
}, 120_000);

afterAll(async () => {
  await server.destroy();
  checked.closeAllConnections();
  checked.close();
  grpc.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Begins a rollout under those metrics. */
async function roll(
  version: string,
  metrics: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  await server.client.applyPolicy(ENDPOINT, { ...TESTER, policy: policyOf(metrics, more) });
  const { rollout } = await server.client.deploy({
    ...TESTER,
    reference: `iris@${version}`,
    force: true,
  });
  return rollout?.id ?? "";
}

async function sentBack(id: string): Promise<string> {
  return until(
    "the version is sent back",
    async () => {
      const { lastRollout } = await server.client.endpoint(ENDPOINT);
      return lastRollout?.id === id && lastRollout.phase === "RolledBack"
        ? (lastRollout.reason ?? "")
        : null;
    },
    60_000,
  );
}

/** What was true of answered requests, by their ids, and who answered. */
async function labelled(
  count: number,
): Promise<{ id: string; label: string; version: string | null }[]> {
  const told: { id: string; label: string; version: string | null }[] = [];
  for (let at = 0; at < count; at += 1) {
    const row = rows[at % rows.length];
    if (row === undefined) throw new Error("there are no rows");
    const answer = await fetch(`${server.serveUrl}/v2/models/${ENDPOINT}/infer`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: oipBody(row.features),
    });
    await answer.text();
    expect(answer.status).toBe(200);
    told.push({
      id: answer.headers.get("x-lastgood-request-id") ?? "",
      label: row.label,
      version: answer.headers.get("x-lastgood-version"),
    });
  }
  return told;
}

test("labels that come later send a wrong version back, and a killed control plane counts none twice", async () => {
  const id = await roll("v2.0-scaled", { accuracy: { tolerance: { absolute: "1%" } } });
  // Too few to decide anything yet.
  const told = await labelled(12);
  const csv = (labels: typeof told): string =>
    ["request_id,label", ...labels.map((each) => `${each.id},${each.label}`)].join("\n");
  expect(await server.client.feedbackCsv(csv(told))).toMatchObject({ accepted: 12, refused: 0 });
  const observed = async (): Promise<number> => {
    const { assessment } = await server.client.rollout(ENDPOINT);
    const metric = assessment?.metrics.find(({ name }) => name === "accuracy");
    return (metric?.candidate.observations ?? 0) + (metric?.stable.observations ?? 0);
  };
  await until("all labels are counted", async () => (await observed()) === 12, 20_000);
  const [control = 0] = server.pids.control;
  process.kill(control, "SIGKILL");
  await until("another control plane runs", () =>
    server.pids.control.some((pid) => pid !== control),
  );
  await server.ready();
  expect(await server.client.feedbackCsv(csv(told))).toMatchObject({ accepted: 0, duplicates: 12 });
  await until("the evidence is read again", async () => (await observed()) > 0, 20_000);
  expect(await observed()).toBe(12);
  for (let times = 0; times < 10; times += 1) {
    if ((await server.client.rollout(ENDPOINT)).rollout?.phase !== "Progressing") break;
    await server.client.feedbackCsv(csv(await labelled(40)));
  }
  expect(await sentBack(id)).toContain("accuracy: ");
}, 180_000);

test("scores that callers send take back the version whose answers are worth less", async () => {
  const id = await roll("v1.1", { score: { tolerance: { absolute: "2%" } } });
  for (let times = 0; times < 15; times += 1) {
    const answered = await labelled(24);
    const items = answered.map(({ id: requestId, version }) => ({
      requestId,
      score: version?.endsWith("v1.1") === true ? 0.2 : 0.9,
    }));
    const sent = await fetch(`${server.client.url}/api/v1/feedback`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(times === 0 ? items : items.slice(1)),
    });
    expect(await sent.json()).toMatchObject({ accepted: times === 0 ? 24 : 23, refused: 0 });
    if (times === 0) continue;
    const single = await server.cli(["feedback", items[0]?.requestId ?? "", "--score", "0.5"]);
    expect(single.code).toBe(0);
    if ((await server.client.rollout(ENDPOINT)).rollout?.phase !== "Progressing") break;
  }
  expect(await sentBack(id)).toMatch(/^score: .*stable/);
  const { entries } = await server.client.history(ENDPOINT);
  expect(entries.at(-1)).toMatchObject({ kind: "rollback.completed", actor: "lastgood" });
}, 180_000);

test("a gRPC check that is healthy lets a rollout pass, and says why once it is not", async () => {
  const health = { health: { source: "rpc", failures: 2 } };
  const id = await roll("v1.1", health);
  const words = async (): Promise<string | undefined> => {
    const { assessment } = await server.client.rollout(ENDPOINT);
    return assessment?.metrics.find(({ kind }) => kind === "health")?.words;
  };
  await until("it is checked", async () => (await words()) === "healthy at the last check", 20_000);
  await new Promise((resolve) => {
    setTimeout(resolve, 2_500);
  });
  expect(await words()).toBe("healthy at the last check");
  expect((await server.client.rollout(ENDPOINT)).rollout).toMatchObject({
    id,
    phase: "Progressing",
  });
  grpcHealth = 2;
  expect(await sentBack(id)).toMatch(
    /^health: \d failures in a row, the last: gRPC health NOT_SERVING$/,
  );
  grpcHealth = 1;
}, 90_000);

test("a check that fails so many times in a row sends the candidate back", async () => {
  const id = await roll("v1.1", { health: { source: "shop", failures: 2 } });
  await until("it was healthy once", async () => {
    const { assessment } = await server.client.rollout(ENDPOINT);
    return assessment?.metrics.some(
      ({ kind, candidate }) => kind === "health" && candidate.observations > candidate.bad,
    );
  });
  writeFileSync(sick, "");
  const why = await sentBack(id);
  expect(why).toMatch(/^health: \d failures in a row, the last: exit code 1: the shop is closed$/);
  expect((await server.cli(["rollout", "status"])).stdout).toContain(`\n  ${why}\n`);
  const incident = await server.cli(["incident", id]);
  expect(incident.stdout).toContain(why);
  rmSync(sick);
}, 90_000);

test("a check of each revision: what fails both is an outage and is held, what fails the candidate alone sends it back", async () => {
  ill.add("v1.0").add("v1.1");
  const id = await roll("v1.1", { health: { source: "each", failures: 2 } });
  const held = await until("it is held", async () => {
    const { rollout } = await server.client.rollout(ENDPOINT);
    return rollout?.held?.why;
  });
  expect(held).toBe(
    "an outage: the health checks of both revisions fail: health (it answers HTTP 500)",
  );
  expect((await server.client.rollout(ENDPOINT)).rollout?.phase).toBe("Progressing");
  ill.delete("v1.0");
  expect(await sentBack(id)).toContain("health: ");
  ill.clear();
}, 90_000);

/** Policies that go back for want of data, and of evidence; in a file's words, as `then` is a promise's. */
const WANTING: readonly Record<string, unknown>[] = JSON.parse(`[
  {"noData": {"after": "1s", "then": "rollback"}},
  {"time": "1s", "inconclusive": {"deadline": "1s", "then": "rollback"}}
]`);

test.each(WANTING)(
  "what goes back by %j is recorded with what was known, and explains itself",
  async (more) => {
    const id = await roll("v1.1", { errorRate: {} }, more);
    await sentBack(id);
    const { code, stdout } = await server.cli(["explain", id, "--json"]);
    const { agrees, assessment } = JSON.parse(stdout) as Record<string, unknown>;
    expect({ code, agrees }).toEqual({ code: 0, agrees: true });
    expect(assessment).not.toBeNull();
  },
  90_000,
);

test("a source that the server does not name is told before it holds a rollout", async () => {
  const policy = policyOf({ errorRate: {}, health: { source: "nowhere" } });
  const told = expect.stringContaining('server.yaml names no source "nowhere" under health');
  const by = { ...TESTER, dryRun: true };
  expect(await server.client.applyPolicy(ENDPOINT, { ...by, policy })).toMatchObject({
    notes: [told],
  });
  const reference = "iris@v1.1";
  const deployed = await server.client.deploy({ ...by, reference, policy, force: true });
  expect(deployed).toMatchObject({ dryRun: true, notes: expect.arrayContaining([told]) });
}, 60_000);

const line = (version: string, level: string): string => JSON.stringify({ version, level });

test("error lines of the candidate's version send it back", async () => {
  const id = await roll("v1.1", { logs: { source: "app", tolerance: { absolute: "1%" } } });
  for (let times = 0; times < 40; times += 1) {
    const lines = [line("v1.1", "error"), line("v1.0", "info"), line("v1.0", "info")];
    appendFileSync(log, `${[...lines, line("v1.1", "info")].join("\n")}\n`);
    await labelled(4);
    if ((await server.client.rollout(ENDPOINT)).rollout?.phase !== "Progressing") break;
  }
  expect(await sentBack(id)).toContain("logs: ");
}, 90_000);
