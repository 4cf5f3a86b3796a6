import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { NO_SIGNAL_SOURCES } from "../../core/policy/index.ts";
import { connectPeer, ownIdentity, type Peer } from "../../link/peer/index.ts";
import { startControl, type ControlPlane } from "./index.ts";

let folder: string;
let planes: ControlPlane[];
let shutdowns: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lg-"));
  mkdirSync(join(folder, "data"));
  planes = [];
  shutdowns = 0;
});

afterEach(async () => {
  await Promise.all(planes.map((plane) => plane.stop()));
  rmSync(folder, { recursive: true, force: true });
});

async function start(): Promise<string> {
  const plane = await startControl(
    {
      dataDir: join(folder, "data"),
      apiHost: "127.0.0.1",
      apiPort: 0,
      socketFolder: folder,
      build: "b",
      maxFileBytes: 2 ** 30,
      errorInputs: "none",
      signals: NO_SIGNAL_SOURCES,
    },
    {
      log: pino({ level: "silent" }),
      checkpoint: () => undefined,
      onShutdown: () => {
        shutdowns++;
      },
    },
  );
  planes.push(plane);
  return `http://127.0.0.1:${plane.apiPort}`;
}

async function restart(): Promise<string> {
  await planes.pop()?.stop();
  return start();
}

interface Answered {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function get(url: string): Promise<Answered> {
  const response = await fetch(url);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function post(url: string, body: unknown): Promise<Answered> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

test("an empty server answers, is not ready without a gateway, and stops and starts again", async () => {
  const url = await start();
  expect((await get(`${url}/healthz`)).status).toBe(200);
  expect(await get(`${url}/readyz`)).toMatchObject({
    status: 503,
    body: { missing: ["no gateway is connected"] },
  });
  expect((await get(`${url}/api/v1/models`)).body).toEqual([]);
  expect((await get(`${url}/api/v1/status`)).body).toMatchObject({ endpoints: [] });
  expect((await get(`${await restart()}/healthz`)).status).toBe(200);
});

test("registering without a gateway is refused and nothing is stored", async () => {
  const url = await start();
  const bytes = Buffer.from("no model at all");
  const uploaded = await fetch(`${url}/api/v1/blobs`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: bytes,
  });
  const blob = (await uploaded.json()) as { digest: string; size: number };
  expect(blob).toEqual({
    digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`,
    size: bytes.length,
  });
  const refused = await post(`${url}/api/v1/models/fraud/versions`, {
    files: [{ path: "model.onnx", digest: blob.digest }],
    actor: "ann",
  });
  expect(refused).toMatchObject({ status: 503, body: { code: "gateway.unavailable" } });
  expect((await get(`${url}/api/v1/models`)).body).toEqual([]);
});

test("commands on what is not there are refused with their own codes", async () => {
  const url = await start();
  const rollback = await post(`${url}/api/v1/rollback`, { actor: "ann" });
  expect(rollback).toMatchObject({ status: 404, body: { code: "endpoint.not-found" } });
  const deploy = await post(`${url}/api/v1/deploy`, { reference: "fraud@v1", actor: "ann" });
  expect(deploy).toMatchObject({ status: 404, body: { code: "model.not-found" } });
});

test("doctor looks at everything that is no endpoint's", async () => {
  const { body } = await get(`${await start()}/api/v1/doctor`);
  const checks = body["checks"] as { check: string; level: string }[];
  expect(checks.map(({ check, level }) => `${check}: ${level}`)).toEqual([
    "node: ok",
    "engine: note",
    "data folder: ok",
    expect.stringContaining("free space: ") as string,
    "store: ok",
    "artefacts: ok",
    "processes: ok",
  ]);
});

test("a store that was lost knows what a gateway serves before the first command", async () => {
  await start();
  await planes.pop()?.stop();
  rmSync(join(folder, "data", "store.sqlite"));
  let ended = false;
  const dialled = dialAsGateway(() => ended);
  const { body } = await get(`${await start()}/api/v1/status`);
  ended = true;
  expect(body["endpoints"]).toMatchObject([{ name: "fraud-prod", model: "fraud" }]);
  (await dialled)?.close();
});

function onRequest(): never {
  throw new LastgoodError("internal", "nothing is asked here");
}

/** A gateway that was there before: dials until somebody listens, then tells its one route. */
async function dialAsGateway(isEnded: () => boolean): Promise<Peer | null> {
  const self = ownIdentity("gateway", "b", folder);
  while (!isEnded()) {
    const peer = await connectPeer(join(folder, "control.sock"), { self, onRequest }).catch(
      () => null,
    );
    if (peer === null) await new Promise((resolve) => setTimeout(resolve, 10));
    else {
      await peer.request("gateway.connected", lostStatus);
      return peer;
    }
  }
  return null;
}

const lostStatus = {
  gateway: "g1",
  incarnation: "i",
  workers: 1,
  serveAddress: "127.0.0.1:8080",
  routes: [
    {
      endpoint: "fraud-prod",
      model: "fraud",
      environment: "production",
      order: { generation: 1, epoch: 1, sequence: 4 },
      split: { salt: "s", arms: [] },
      revisions: [],
      hold: null,
      historyHead: null,
      rolledBack: null,
      acknowledges: [],
      targets: [],
      passedOver: [],
    },
  ],
  overrides: [],
  revisions: [],
};

test("the supervisor's request to end is passed on", async () => {
  await start();
  const supervisor = await connectPeer(join(folder, "control.sock"), {
    self: ownIdentity("supervisor", "b", folder),
    onRequest: () => ({ body: {} }),
  });
  expect(supervisor.other).toMatchObject({ role: "control", build: "b", pid: process.pid });
  await supervisor.request("shutdown", {}, { timeoutMs: 1_000 });
  await expect.poll(() => shutdowns).toBe(1);
  supervisor.close();
});

test("a start that fails leaves nothing running", async () => {
  const { port } = new URL(await start());
  const second = startControl(
    {
      dataDir: join(folder, "data"),
      apiHost: "127.0.0.1",
      apiPort: Number(port),
      socketFolder: mkdtempSync(join(folder, "s-")),
      build: "b",
      maxFileBytes: 2 ** 30,
      errorInputs: "none",
      signals: NO_SIGNAL_SOURCES,
    },
    { log: pino({ level: "silent" }), checkpoint: () => undefined, onShutdown: () => undefined },
  );
  await expect(second).rejects.toMatchObject({ code: "address.in-use" });
});
