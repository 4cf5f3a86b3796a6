import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";

import { plainRoute } from "../../../test/support/route-facts.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { parseDigest, parseEndpointName } from "../../core/version/index.ts";
import { connectPeer, ownIdentity, type Peer, type RequestHandler } from "../../link/peer/index.ts";
import { Gateways, type LinkHandlers } from "./index.ts";

const digest = parseDigest(`sha256:${"a".repeat(64)}`);
const endpoint = parseEndpointName("fraud-prod");
const order = { generation: 1, epoch: 2, sequence: 3 };
const route = plainRoute({ endpoint, order });
const acknowledged = {
  order,
  taken: true,
  why: null,
  workers: [{ worker: 0, swappedAt: 10, lastOldAdmittedAt: null, oldInFlight: 0 }],
  durable: true,
};
const override = {
  id: "o1",
  endpoint,
  kind: "rollback",
  over: order,
  from: 2,
  to: 1,
  at: 1,
  actor: "ann",
  reason: null,
  keepStatus: false,
  measured: {
    switchMs: 1,
    lastOldAdmittedMs: null,
    lastOldResponseMs: null,
    failedRequests: 0,
    verified: true,
    durable: true,
  },
};

let folder: string;
let gateways: Gateways;
let said: string[];
let refused: string[];
let peers: Peer[];

function handlers(more: Partial<LinkHandlers> = {}): LinkHandlers {
  return {
    onConnected: (status) => void said.push(`connected ${status.gateway}`),
    onRevisionState: (state, gateway) =>
      void said.push(`${gateway} ${state.revision} ${state.state}`),
    onOverride: (made) => {
      said.push(`override ${made.id}`);
      return Promise.resolve();
    },
    onEvidence: (evidence) => {
      said.push(`${evidence.length} evidence`);
      return Promise.resolve();
    },
    onCounts: (counts) => void said.push(`${counts.length} counts`),
    onGone: (gateway) => void said.push(`gone ${gateway}`),
    onShutdown: () => void said.push("shutdown"),
    onRefused: (kind, error) => void refused.push(`${kind}: ${error.code}`),
    ...more,
  };
}

async function listen(more: Partial<LinkHandlers> = {}): Promise<void> {
  await gateways.listen(
    join(folder, "control.sock"),
    ownIdentity("control", "b", folder),
    handlers(more),
  );
}

async function dial(
  role: "gateway" | "supervisor" | "cli",
  onRequest: RequestHandler = () => {
    throw new LastgoodError("internal", "nothing is asked here");
  },
): Promise<Peer> {
  const peer = await connectPeer(join(folder, "control.sock"), {
    self: ownIdentity(role, "b", folder),
    onRequest,
  });
  peers.push(peer);
  return peer;
}

async function connect(name: string, onRequest?: RequestHandler): Promise<Peer> {
  const peer = await dial("gateway", onRequest);
  await peer.request("gateway.connected", statusOf(name), { timeoutMs: 1_000 });
  return peer;
}

function statusOf(name: string): Record<string, unknown> {
  return {
    gateway: name,
    incarnation: "i",
    workers: 2,
    serveAddress: "127.0.0.1:8080",
    routes: [],
    overrides: [],
    revisions: [],
  };
}

function stateOf(revision: number, state: string): Record<string, unknown> {
  return {
    endpoint,
    revision,
    digest,
    state,
    proof: "",
    provenAt: null,
    why: null,
    code: null,
    engine: null,
    pid: null,
  };
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lastgood-link-"));
  gateways = new Gateways({ publishMs: 300, drainedMs: 300, arriveMs: 200 });
  said = [];
  refused = [];
  peers = [];
});

afterEach(async () => {
  for (const peer of peers) peer.close();
  await gateways.close();
  rmSync(folder, { recursive: true, force: true });
});

test("a gateway is known from its first message until its connection ends", async () => {
  await listen();
  const peer = await connect("g1");
  expect(gateways.connected()).toMatchObject([{ gateway: "g1", workers: 2, pid: process.pid }]);
  peer.close();
  await expect.poll(() => said).toEqual(["connected g1", "gone g1"]);
  expect(gateways.connected()).toEqual([]);
});

test("a gateway that dials again replaces its older connection", async () => {
  await listen();
  const first = await connect("g1");
  await connect("g1");
  await first.closed;
  expect(gateways.connected()).toHaveLength(1);
  expect(said).toEqual(["connected g1", "connected g1"]);
});

test("a route is acknowledged by every gateway or the answer names who did not", async () => {
  await listen();
  await connect("g1", () => ({ body: acknowledged }));
  await connect("g2", () => ({ body: acknowledged }));
  const both = await gateways.publish(route);
  expect(both).toMatchObject({ taken: true, durable: true, failures: [] });
  expect(both.workers).toHaveLength(2);
  await connect("g3", () => new Promise(() => undefined));
  const two = await gateways.publish(route);
  expect(two.failures.map((failure) => failure.gateway)).toEqual(["g3"]);
  expect(two).toMatchObject({ taken: false, durable: false });
});

test("one gateway that did not write it down makes the whole not durable", async () => {
  await listen();
  await connect("g1", () => ({ body: acknowledged }));
  await connect("g2", () => ({ body: { ...acknowledged, durable: false } }));
  expect(await gateways.publish(route)).toMatchObject({ taken: true, durable: false });
});

const inspection: Parameters<Gateways["inspect"]>[0] = {
  digest,
  runtime: { kind: "onnx", file: "m" },
  files: [],
  signature: null,
  examples: [],
};

test("a version is looked at by the gateway that comes a moment later", async () => {
  await listen();
  const inspected = gateways.inspect(inspection);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await connect("g1", () => {
    throw new LastgoodError("artifact.invalid", "no model");
  });
  await expect(inspected).rejects.toMatchObject({ code: "artifact.invalid" });
});

test("without a gateway each request says so", async () => {
  await listen();
  await expect(gateways.publish(route)).rejects.toMatchObject({ code: "gateway.unavailable" });
  await expect(gateways.probe({ endpoint, revision: 1, apart: false })).rejects.toMatchObject({
    code: "gateway.unavailable",
  });
  await expect(gateways.inspect(inspection)).rejects.toMatchObject({
    code: "gateway.unavailable",
    hint: expect.any(String) as string,
  });
});

test("an answer of another form is refused, and a gateway's own error comes through", async () => {
  await listen();
  const odd = await connect("g1", () => ({ body: { order: "no" } }));
  await expect(gateways.publish(route)).rejects.toMatchObject({ code: "link.invalid" });
  odd.close();
  await odd.closed;
  await expect.poll(() => gateways.connected()).toEqual([]);
  await connect("g2", () => {
    throw new LastgoodError("target.none", "nothing to go back to");
  });
  await expect(
    gateways.rollback({
      endpoint: null,
      version: null,
      ifCurrent: null,
      actor: "ann",
      reason: null,
      keepStatus: false,
      again: false,
      dryRun: false,
    }),
  ).rejects.toMatchObject({ code: "target.none" });
});

test("drains add up and the last response of any gateway counts", async () => {
  await listen();
  const body = { drained: true, inFlight: 0, lastOldResponseAt: 5, failedRequests: 1 };
  await connect("g1", () => ({ body }));
  await connect("g2", () => ({
    body: { drained: false, inFlight: 2, lastOldResponseAt: null, failedRequests: 0 },
  }));
  const drained = await gateways.drained({ endpoint, order, since: 0, timeoutMs: 100 });
  expect(drained).toEqual({ drained: false, inFlight: 2, lastOldResponseAt: 5, failedRequests: 1 });
});

test("an override is acknowledged only after it was taken in", async () => {
  let taken: (() => void) | null = null;
  const onOverride = (): Promise<void> =>
    new Promise((resolve) => {
      taken = resolve;
    });
  await listen({ onOverride });
  const peer = await connect("g1");
  let isAcknowledged = false;
  const answer = peer.request("override.made", override, { timeoutMs: 2_000 }).then(() => {
    isAcknowledged = true;
  });
  await expect.poll(() => taken).not.toBeNull();
  // A round trip on the same connection: an early acknowledgement would have arrived before it.
  await peer.request("ping", {}, { timeoutMs: 1_000 });
  expect(isAcknowledged).toBe(false);
  (taken as unknown as () => void)();
  await answer;
});

test("an override that could not be kept is not acknowledged", async () => {
  await listen({
    onOverride: () => Promise.reject(new LastgoodError("store.unavailable", "disk full")),
  });
  const peer = await connect("g1");
  await expect(peer.request("override.made", override, { timeoutMs: 1_000 })).rejects.toMatchObject(
    { code: "store.unavailable" },
  );
});

test("a revision is ready when it is ready in every gateway", async () => {
  await listen();
  const first = await connect("g1");
  const second = await connect("g2");
  const key = { endpoint, revision: 1 };
  const settled = gateways.whenSettled(key, 2_000);
  await first.request("revision.state", stateOf(1, "ready"), { timeoutMs: 1_000 });
  expect(gateways.revisionState(key)).toBeNull();
  await second.request("revision.state", stateOf(1, "loading"), { timeoutMs: 1_000 });
  expect(gateways.revisionState(key)?.state).toBe("loading");
  await second.request("revision.state", stateOf(1, "ready"), { timeoutMs: 1_000 });
  expect((await settled).state).toBe("ready");
  second.close();
  await expect.poll(() => gateways.connected()).toHaveLength(1);
  expect(gateways.revisionState(key)?.state).toBe("ready");
  await first.request("revision.state", stateOf(1, "gone"), { timeoutMs: 1_000 });
  expect(gateways.revisionState(key)).toBeNull();
});

test("waiting for a revision ends at its limit or with a failed load", async () => {
  await listen();
  const peer = await connect("g1");
  await expect(gateways.whenSettled({ endpoint, revision: 1 }, 10)).rejects.toMatchObject({
    code: "runtime.timeout",
  });
  await peer.request("revision.state", stateOf(1, "failed"), { timeoutMs: 1_000 });
  expect((await gateways.whenSettled({ endpoint, revision: 1 }, 10)).state).toBe("failed");
});

test("the supervisor pings and shuts down; nobody else may shut down", async () => {
  await listen();
  const supervisor = await dial("supervisor");
  await supervisor.request("ping", {}, { timeoutMs: 1_000 });
  const cli = await dial("cli");
  await expect(cli.request("shutdown", {}, { timeoutMs: 1_000 })).rejects.toMatchObject({
    code: "link.invalid",
  });
  expect(said).toEqual([]);
  await supervisor.request("shutdown", {}, { timeoutMs: 1_000 });
  await expect.poll(() => said).toEqual(["shutdown"]);
});

test("messages of any other form are answered link.invalid and end nothing", async () => {
  await listen();
  const peer = await connect("g1");
  const kinds = ["gateway.connected", "revision.state", "override.made", "counts"];
  const broken = fc
    .tuple(fc.constantFrom(...kinds), fc.jsonValue())
    .filter(([kind, body]) => kind !== "counts" || !isEmptyCounts(body));
  const unknown = fc.tuple(
    fc.string().filter((kind) => ![...kinds, "ping", "reply", "error"].includes(kind)),
    fc.jsonValue(),
  );
  await fc.assert(
    fc.asyncProperty(fc.oneof(broken, unknown), async ([kind, body]) => {
      await expect(peer.request(kind, body, { timeoutMs: 1_000 })).rejects.toMatchObject({
        code: "link.invalid",
      });
    }),
    { numRuns: 200 },
  );
  expect(gateways.connected()).toHaveLength(1);
  expect(said).toEqual(["connected g1"]);
});

test("a status with one altered field is refused and leaves what was known", async () => {
  await listen();
  const peer = await connect("g1");
  const fields = Object.keys(statusOf("g1"));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...fields), async (field) => {
      const body = { ...statusOf("g1"), [field]: { odd: true } };
      await expect(
        peer.request("gateway.connected", body, { timeoutMs: 1_000 }),
      ).rejects.toMatchObject({ code: "link.invalid" });
    }),
    { numRuns: 30 },
  );
  expect(gateways.connected()).toHaveLength(1);
});

test("a message that nobody waits for and nobody understands is told to the log", async () => {
  await listen();
  const peer = await connect("g1");
  peer.notify("revision.state", { revision: "one" });
  await expect.poll(() => refused).toEqual(["revision.state: link.invalid"]);
});

test("nothing is taken from a gateway that has not said what it is", async () => {
  await listen();
  const peer = await dial("gateway");
  await expect(
    peer.request("revision.state", stateOf(1, "ready"), { timeoutMs: 1_000 }),
  ).rejects.toMatchObject({ code: "link.invalid" });
});

function isEmptyCounts(body: unknown): boolean {
  return (
    typeof body === "object" &&
    body !== null &&
    "counts" in body &&
    Array.isArray(body.counts) &&
    body.counts.length === 0
  );
}

test("a gateway whose introduction could not be taken in is there all the same, and introduces itself again", async () => {
  let isFull = true;
  await listen({
    onConnected: () => {
      if (isFull) throw new LastgoodError("store.unavailable", "the disk is full");
    },
  });
  const peer = await dial("gateway", () => ({ body: acknowledged }));
  const introduce = (): Promise<unknown> => peer.request("gateway.connected", statusOf("one"));
  await expect(introduce()).rejects.toMatchObject({ code: "store.unavailable" });
  expect(await gateways.publish(route)).toMatchObject({ taken: true });
  isFull = false;
  await introduce();
  expect(gateways.connected()).toHaveLength(1);
  expect(peer.isOpen).toBe(true);
  expect(said).not.toContain("gone one");
});
