/** Servers that speak something of their own: real gateway, real sockets, nothing read on the way. */
import { request, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { parseDigest, parseModelName, parseVersionName } from "../../src/core/version/index.ts";
import type { Count, Evidence } from "../../src/link/count/index.ts";
import { inspectedSchema, probedSchema, type GatewayStatus } from "../../src/link/message/index.ts";
import { DEFAULT_LIMITS, type Route, type RouteRevision } from "../../src/link/route/index.ts";
import { totals } from "../support/canary.ts";
import { GatewayHarness } from "../support/gateway-harness.ts";
import { OwnServer } from "../support/own-server.ts";

interface Answered {
  readonly status: number | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  readonly isWhole: boolean;
}

let old: OwnServer;
let young: OwnServer;
let harness: GatewayHarness;

function ask(
  path: string,
  {
    method = "GET",
    headers = {},
    body = "",
    onChunk = () => undefined,
  }: {
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string | readonly string[];
    readonly onChunk?: (text: string) => void;
  } = {},
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { port: harness.port, host: "127.0.0.1", path, method, headers, agent: harness.agent },
      (response) => {
        let text = "";
        const done = (isWhole: boolean): void =>
          resolve({
            status: response.statusCode,
            headers: response.headers,
            body: text,
            isWhole,
          });
        response.on("data", (chunk: Buffer) => {
          text += chunk.toString();
          onChunk(chunk.toString());
        });
        response.on("error", () => done(false));
        response.on("end", () => done(true));
      },
    );
    outgoing.on("error", reject);
    if (typeof body === "string") outgoing.end(body);
    else {
      for (const part of body) outgoing.write(part);
      outgoing.end();
    }
  });
}

function revision(number: number, remote: string): RouteRevision {
  const nothing = { inputs: [], outputs: [] };
  return {
    revision: number,
    version: {
      model: parseModelName("llm"),
      name: parseVersionName(`v1.${number}`),
      sequence: number,
    },
    digest: parseDigest(`sha256:${String(number).padStart(64, "0")}`),
    runtime: { kind: "remote", remote },
    files: [],
    signature: nothing,
    contract: nothing,
    batching: { on: false, why: "passed through" },
    golden: [],
    limits: { ...DEFAULT_LIMITS, timeoutMs: 2_000 },
  };
}

const revisions = [revision(1, "old"), revision(2, "young")];

async function publish(revisionServing: number, more: Partial<Route> = {}): Promise<void> {
  await harness.publish(harness.route(revisions, revisionServing, more));
  await harness.until(async () => {
    const status = await harness.admin<GatewayStatus>("gateway.status", {});
    return (
      status.revisions.length === 2 && status.revisions.every((each) => each.state === "ready")
    );
  }, "both revisions");
}

const candidate: Partial<Route> = {
  safeguards: { fallback: true, breaker: false },
  watch: {
    rollout: "r",
    candidate: 2,
    stable: 1,
    candidateShare: null,
    flushMs: 1_000,
    deadlineMs: 5_000,
    mirror: null,
    inputs: null,
  },
};

beforeAll(async () => {
  old = new OwnServer("old");
  young = new OwnServer("young");
  await Promise.all([old.start(), young.start()]);
}, 60_000);

async function serving(start = 1, more: Partial<Route> = {}): Promise<void> {
  for (const each of [old, young]) {
    each.seen.length = 0;
    each.behaviour = (_request, response) => response.end(each.name);
  }
  const settings = { protocol: "passthrough", health: "/health", retries: true } as const;
  harness = new GatewayHarness({
    remotes: { old: { ...settings, url: old.url }, young: { ...settings, url: young.url } },
  });
  await harness.startBoth();
  await publish(start, more);
}

afterEach(() => harness.end(), 20_000);

afterAll(async () => {
  await Promise.all([old.stop(), young.stop()]);
});

test("any method, path, query, header and body go there as they came, and back", async () => {
  await serving();
  old.behaviour = (_incoming, response) => {
    response.writeHead(201, {
      "x-own": "yes",
      "set-cookie": ["a=1", "b=2"],
      "x-lastgood-version": "forged",
      connection: "x-hop",
      "x-hop": "1",
    });
    response.end("made");
  };
  const path = "/v1/chat%2Fx/completions?q=1&r=%20";
  const answer = await ask(`/endpoints/iris-prod${path}`, {
    method: "PATCH",
    headers: {
      authorization: "Bearer own",
      "x-request-id": "caller-7",
      connection: "x-mine",
      "x-mine": "1",
    },
    body: "not json",
  });
  expect(answer).toMatchObject({ status: 201, body: "made" });
  expect(answer.headers).toMatchObject({
    "x-own": "yes",
    "set-cookie": ["a=1", "b=2"],
    "x-lastgood-version": "v1.1",
    "x-lastgood-revision": "1",
    "x-request-id": "caller-7",
  });
  expect(answer.headers["x-hop"]).toBeUndefined();
  expect(old.seen).toHaveLength(1);
  const [seen] = old.seen;
  expect(seen).toMatchObject({ method: "PATCH", url: `/base${path}`, body: "not json" });
  expect(seen?.headers).toMatchObject({
    authorization: "Bearer own",
    "content-length": "8",
    "x-forwarded-prefix": "/endpoints/iris-prod",
    host: expect.stringContaining("127.0.0.1") as string,
  });
  expect(seen?.headers["x-mine"]).toBeUndefined();
  const head = await ask("/endpoints/iris-prod", { method: "HEAD" });
  expect(head).toMatchObject({ status: 201, body: "" });
  expect(old.seen[1]?.url).toBe("/base/");
});

test("answers stream as they are written, requests too", async () => {
  await serving();
  let next: (() => void) | null = null;
  old.behaviour = (_incoming, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: 1\n\n");
    next = () => response.end("data: 2\n\n");
  };
  const chunks: string[] = [];
  const answer = await ask("/endpoints/iris-prod/stream", {
    // The second event is written once the first was seen here.
    onChunk: (text) => {
      chunks.push(text);
      next?.();
      next = null;
    },
  });
  expect(answer.isWhole).toBe(true);
  expect(chunks).toEqual(["data: 1\n\n", "data: 2\n\n"]);
  const large = "x".repeat(3 * 1024 * 1024);
  old.behaviour = (_incoming, response) => response.end(old.seen.at(-1)?.body);
  const echoed = await ask("/endpoints/iris-prod/echo", { method: "POST", body: [large, large] });
  expect(echoed.body.length).toBe(2 * large.length);
});

test("the split, a sticky key and a switch are those of every endpoint", async () => {
  await serving(1, {
    split: {
      salt: "s",
      arms: [
        { revision: 1, weight: 50 },
        { revision: 2, weight: 50 },
      ],
    },
  });
  const many = await Promise.all(Array.from({ length: 60 }, () => ask("/endpoints/iris-prod/x")));
  expect(new Set(many.map((each) => each.body))).toEqual(new Set(["old", "young"]));
  const headers = { "x-lastgood-key": "customer-7" };
  const sticky = await Promise.all(
    Array.from({ length: 20 }, () => ask("/endpoints/iris-prod/x", { headers })),
  );
  expect(new Set(sticky.map((each) => each.body)).size).toBe(1);
  await publish(2);
  expect((await ask("/endpoints/iris-prod/x")).body).toBe("young");
  const probed = probedSchema.parse(
    await harness.control("endpoint.probe", { endpoint: "iris-prod", revision: 2 }),
  );
  expect(probed.probes).toMatchObject([
    { protocol: "passthrough", ok: true, status: 200, answeredBy: 2 },
  ]);
  expect((await harness.rollback()).to.revision).toBe(1);
  expect((await ask("/endpoints/iris-prod/x")).body).toBe("old");
});

test("what the candidate fails before the first byte is answered by stable", async () => {
  await serving(2, candidate);
  young.behaviour = (_incoming, response) => {
    response.writeHead(500);
    response.end("broken");
  };
  const answer = await ask("/endpoints/iris-prod/x", { method: "POST", body: "kept" });
  expect(answer).toMatchObject({ status: 200, body: "old" });
  expect(answer.headers).toMatchObject({
    "x-lastgood-revision": "1",
    "x-lastgood-fallback": "v1.2/2",
  });
  expect(old.seen.at(-1)?.body).toBe("kept");
  young.behaviour = (incoming) => incoming.socket.destroy();
  expect((await ask("/endpoints/iris-prod/x")).body).toBe("old");
  // The caller's own mistake, as the server has it, is the answer.
  young.behaviour = (_incoming, response) => {
    response.writeHead(404);
    response.end("no such thing");
  };
  expect(await ask("/endpoints/iris-prod/x")).toMatchObject({ status: 404, body: "no such thing" });
});

test("where inputs are kept of what the candidate fails, no path, no header and no body is", async () => {
  const { watch = null } = candidate;
  if (watch === null) throw new Error("a candidate is watched");
  await serving(2, { ...candidate, watch: { ...watch, errorInputs: "redacted" } });
  young.behaviour = (_incoming, response) => {
    response.writeHead(500);
    response.end("broken");
  };
  const headers = { "content-type": "text/csv; by=ana", authorization: "Bearer ana" };
  await ask("/endpoints/iris-prod/ana?q=ana", { method: "POST", headers, body: "ana".repeat(411) });
  const evidence = await harness.until(() => {
    const told = harness.news.filter((each) => each.kind === "evidence");
    const records = told.flatMap((each) => (each.body as { evidence: Evidence[] }).evidence);
    return records.some(({ errors }) => errors.length > 0) ? records : null;
  }, "the evidence");
  expect(
    (evidence ?? []).flatMap(({ errors }) => errors.map(({ inputs }) => inputs)),
  ).toContainEqual({
    kind: "unread",
    method: "POST",
    contentType: "text/csv",
    bytes: 1_000,
  });
  expect(JSON.stringify(evidence)).not.toContain("ana");
});

test("what was passed on as it came cannot be sent again, and is counted as that", async () => {
  await serving(2, candidate);
  young.behaviour = (_incoming, response) => {
    response.writeHead(500);
    response.end("broken");
  };
  const answer = await ask("/endpoints/iris-prod/x", { method: "POST", body: ["in", "parts"] });
  expect(answer).toMatchObject({ status: 500, body: "broken" });
  await harness.until(() => totals(harness)["2 ineligible"], "the counts");
  expect(totals(harness)).toEqual({
    "2 assigned": { requests: 1, errors: 1 },
    "2 ineligible": { requests: 1, errors: 0 },
  });
});

test("no more requests wait for the next version than one may have", async () => {
  await serving();
  const few = [...revisions, revision(3, "young")].map((each) => ({
    ...each,
    limits: { ...each.limits, queue: 1 },
  }));
  await harness.publish(harness.route(few.slice(0, 2), 1));
  const healthy = Promise.withResolvers<void>();
  const { checks } = young;
  young.healthy = healthy.promise;
  const switched = harness.publish(harness.route(few, 3, { hold: { maxMs: 10_000 } }));
  await harness.until(() => young.checks > checks, "the next version is being loaded");
  const answered: number[] = [];
  const asked = Array.from({ length: 8 }, async () => {
    answered.push((await ask("/endpoints/iris-prod/x")).status ?? 0);
  });
  // One waits in each of the two workers.
  await expect.poll(() => answered.length, { timeout: 4_000 }).toBeGreaterThanOrEqual(6);
  expect(new Set(answered)).toEqual(new Set([429]));
  healthy.resolve();
  await Promise.all([switched, ...asked]);
  expect(answered.at(-1)).toBe(200);
});

test("nothing is repeated once a byte has left: a broken stream breaks off", async () => {
  await serving(2, candidate);
  young.behaviour = (incoming, response) => {
    response.writeHead(200);
    response.write("half");
    setTimeout(() => incoming.socket.destroy(), 50);
  };
  const answer = await ask("/endpoints/iris-prod/x");
  expect(answer).toMatchObject({ status: 200, body: "half", isWhole: false });
  expect(old.seen).toEqual([]);
  young.behaviour = (_incoming, response) => response.end("whole");
  expect(await ask("/endpoints/iris-prod/x")).toMatchObject({ body: "whole", isWhole: true });
});

test("streams that end with their server are one error of the candidate, and the others aborted", async () => {
  await serving(2, candidate);
  const streams = new Set<IncomingMessage>();
  young.behaviour = (incoming, response) => {
    streams.add(incoming);
    response.writeHead(200);
    response.write("half");
  };
  const broken = Promise.all(Array.from({ length: 12 }, () => ask("/endpoints/iris-prod/x")));
  await harness.until(() => streams.size === 12, "all streams");
  for (const { socket } of streams) socket.destroy();
  expect((await broken).map((each) => each.isWhole)).toEqual(Array(12).fill(false));
  const counted = await harness.until(() => {
    const all = { requests: 0, errors: 0, aborted: 0 };
    const told = harness.news.filter((each) => each.kind === "evidence");
    const records = told.flatMap((each) => (each.body as { evidence: Evidence[] }).evidence);
    for (const { arms } of records)
      for (const { counts } of arms.filter((arm) => arm.revision === 2)) {
        all.requests += counts.requests;
        all.errors += counts.errors;
        all.aborted += counts.aborted;
      }
    return all.requests + all.aborted === 12 && all;
  }, "the evidence");
  expect(counted).toEqual({ requests: 1, errors: 1, aborted: 11 });
});

test("a server that does not begin is a timeout, one that is away is 503", async () => {
  await serving();
  old.behaviour = () => undefined;
  expect(await ask("/endpoints/iris-prod/x")).toMatchObject({
    status: 504,
    body: expect.stringContaining('{"error":') as string,
  });
  old.behaviour = (incoming) => incoming.socket.destroy();
  expect((await ask("/endpoints/iris-prod/x")).status).toBe(503);
});

test("what is asked in another protocol or coding, a WebSocket, and a way out of the path are refused", async () => {
  await serving();
  const inferred = await harness.ask("/v2/models/iris-prod/infer", { inputs: [] });
  expect(inferred.status).toBe(501);
  expect(inferred.body).toContain("/endpoints/iris-prod/");
  for (const [rest, why] of [
    [
      "connection: upgrade\r\nupgrade: websocket\r\n\r\n",
      "WebSocket connections are not passed on",
    ],
    ["transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "is not undone"],
  ] as const) {
    const socket = connect({ port: harness.port, host: "127.0.0.1" });
    const refused = await new Promise<string>((resolve) => {
      socket.once("data", (chunk: Buffer) => resolve(chunk.toString()));
      socket.write(`GET /endpoints/iris-prod/x HTTP/1.1\r\nhost: x\r\n${rest}`);
    });
    socket.destroy();
    expect(refused).toMatch(/^HTTP\/1.1 501 /);
    expect(refused).toContain(why);
  }
  for (const path of ["/../x", "/a/%2e%2e/x", "/.%2E"])
    expect((await ask(`/endpoints/iris-prod${path}`)).status).toBe(404);
  expect((await ask("/endpoints/nobody/x")).status).toBe(404);
  expect(old.seen).toEqual([]);
});

test("a caller who leaves ends the stream, and the server hears of it", async () => {
  await serving();
  const left = Promise.withResolvers<void>();
  old.behaviour = (_incoming, response) => {
    response.writeHead(200);
    response.write("first");
    response.once("close", () => left.resolve());
  };
  const outgoing = request({
    port: harness.port,
    host: "127.0.0.1",
    path: "/endpoints/iris-prod/x",
  });
  outgoing.on("error", () => undefined);
  outgoing.on("response", (response) => {
    response.on("error", () => undefined);
    response.once("data", () => outgoing.destroy());
  });
  outgoing.end();
  await left.promise;
  await pause(20);
  old.behaviour = (_incoming, response) => response.end("again");
  expect((await ask("/endpoints/iris-prod/x")).body).toBe("again");
});

test("of several requests sent together one is passed on at a time, and none once the caller has left", async () => {
  await serving();
  let opened = 0;
  let open = 0;
  old.behaviour = (_incoming, response) => {
    opened += 1;
    open += 1;
    response.once("close", () => (open -= 1));
    response.writeHead(200);
    response.write(Buffer.alloc(8 * 1024 * 1024));
  };
  const socket = connect(harness.port, "127.0.0.1");
  const head = "POST /endpoints/iris-prod/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked";
  socket.write(`${head}\r\n\r\n1\r\na\r\n0\r\n\r\n`.repeat(3));
  await new Promise<void>((resolve) => void socket.once("data", () => resolve()));
  await pause(100);
  socket.resetAndDestroy();
  await expect.poll(() => open, { timeout: 4_000 }).toBe(0);
  expect(opened).toBe(1);
});

test("a caller who breaks off its upload is nobody's failure", async () => {
  await serving();
  const outgoing = request({
    port: harness.port,
    host: "127.0.0.1",
    path: "/endpoints/iris-prod/upload",
    method: "POST",
    headers: { "content-length": String(64 * 1024 * 1024) },
  });
  outgoing.on("error", () => undefined);
  outgoing.write("x".repeat(1024 * 1024));
  await pause(100);
  outgoing.destroy();
  const counted = await harness.until(() => {
    const counts = harness.news
      .filter((each) => each.kind === "counts")
      .flatMap((each) => (each.body as { readonly counts: readonly Count[] }).counts)
      .filter((count) => count.arm === "assigned" && count.requests > 0);
    return counts.length > 0 ? counts : null;
  }, "its count");
  expect(counted?.map(({ requests, errors }) => [requests, errors])).toEqual([[1, 0]]);
});

test("registering looks at its health, and has no signature", async () => {
  await serving();
  const [one] = revisions;
  const body = {
    digest: one?.digest,
    runtime: one?.runtime,
    files: [],
    signature: null,
    examples: [],
  };
  const inspected = inspectedSchema.parse(await harness.control("version.inspect", body));
  expect(inspected).toMatchObject({ signature: { inputs: [], outputs: [] }, golden: [] });
});
