import { createHash } from "node:crypto";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";

import fc from "fast-check";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import type { EndpointService, Status } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { parseDigest, parseEndpointName, parseModelName } from "../../core/version/index.ts";
import type { Artifacts } from "../../storage/artifacts/index.ts";
import type { VersionPage } from "../../storage/store/index.ts";
import type { RegistryService } from "../registry/index.ts";
import { serveApi, type ApiDeps, type ApiServer } from "./index.ts";

let server: ApiServer;
let origin: string;
let calls: string[];
let status: Status;
let logged: string[];

function versionOf(model: string, sequence: number): Record<string, unknown> {
  return { model, name: `v1.${sequence}`, sequence, aliases: [], tags: {}, metrics: {} };
}

const registry = {
  models: () => Promise.resolve([{ name: "fraud", versions: 2, newest: versionOf("fraud", 1) }]),
  model: (name: string) => {
    if (name !== "fraud") throw new LastgoodError("model.not-found", "no such model");
    return Promise.resolve({ name });
  },
  versions: ({ model, after = 0, limit = 100 }: VersionPage) => {
    calls.push(`versions ${model} ${after} ${limit}`);
    const all = Array.from({ length: 2_500 }, (_, index) => versionOf(model, index + 1));
    return Promise.resolve(all.filter((each) => Number(each["sequence"]) > after).slice(0, limit));
  },
  version: (model: string, selector: string | { sequence: number }) => {
    if (typeof selector === "string") calls.push(`version ${model} ${selector}`);
    return Promise.resolve(versionOf(model, 3));
  },
  view: (version: object, known: object) => Promise.resolve({ ...version, ...known }),
  parseReference: (text: string) => {
    const [model, name] = text.split("@");
    return Promise.resolve({ model, selector: name === undefined ? null : { by: "name", name } });
  },
  register: ({ model }: { model: string }) => {
    calls.push(`register ${model}`);
    return Promise.resolve({ created: true, version: versionOf(model, 1), notes: [] });
  },
  mark: (version: object, verdict: { status: string }) => {
    calls.push(`mark ${verdict.status}`);
    return Promise.resolve(version);
  },
  deleteAlias: (model: string, alias: string) => {
    calls.push(`unalias ${model} ${alias}`);
    return Promise.resolve();
  },
} as unknown as RegistryService;

const served = { version: "v1.3", revision: 2, digest: "sha256:0" };
const endpoints = {
  rollback: (body: unknown, operation?: string) => {
    calls.push("rollback");
    return Promise.resolve({ endpoint: "fraud-prod", body, operation });
  },
  deploy: () => {
    const passedOver = [{ version: "v1.1", why: "failed: error rate" }];
    throw new LastgoodError("target.none", "no way back", { hint: "force it", passedOver });
  },
  versionMarked: (model: string, sequence: number, _: unknown, operation: string) =>
    Promise.resolve([`${model} #${sequence} was marked by ${operation}`]),
  rollout: () => Promise.resolve({ current: served, rollout: null }),
  status: () => Promise.resolve(status),
  readiness: () => {
    const missing = status.gateways.length === 0 ? ["no gateway is connected"] : [];
    return { ready: missing.length === 0, missing };
  },
  servedBy: () => [{ endpoint: "fraud-prod", revision: 2 }],
  serversOf: () => [],
  versionsChanged: () => undefined,
  doctor: () => {
    throw new TypeError("a mistake of ours");
  },
  history: (endpoint: string, after: number) => {
    const data = { trigger: "manual" };
    const entry = { endpoint, sequence: 1, kind: "rollback.completed", data };
    return Promise.resolve({ endpoint, head: null, entries: after > 0 ? [] : [entry] });
  },
  watch: () => () => undefined,
} as unknown as EndpointService;

const artifacts: Pick<Artifacts, "put"> = {
  put: async (content, options) => {
    const hash = createHash("sha256");
    let size = 0;
    for await (const chunk of content as AsyncIterable<Uint8Array>) {
      size += chunk.byteLength;
      if (size > (options?.limitBytes ?? 0))
        throw new LastgoodError("body.too-large", "the file is too large");
      hash.update(chunk);
    }
    return { digest: parseDigest(`sha256:${hash.digest("hex")}`), size, created: true };
  },
};

/** What it was configured to take. */
const MAX_FILE_BYTES = 3 * 2 ** 30;

function deps(): ApiDeps {
  const rows = new Map<string, { answer: unknown; at: number }>();
  return {
    registry,
    endpoints,
    artifacts,
    feedback: { take: () => Promise.reject(new Error("not asked here")) },
    garbage: { collect: () => Promise.reject(new Error("not asked here")) },
    store: {
      operations: {
        get: (key) => Promise.resolve(rows.get(key) ?? null),
        put: ({ key, answer, at }) => Promise.resolve(rows.set(key, { answer, at }).size > 0),
      },
      counts: { totals: () => Promise.resolve([]) },
      endpoints: {
        list: () =>
          Promise.resolve([
            {
              name: parseEndpointName("fraud-prod"),
              model: parseModelName("fraud"),
              state: null,
              revisionOfState: 1,
              historyHead: null,
            },
          ]),
      },
    },
    clock: { now: () => 1, monotonic: () => 1 },
    build: "b1",
    maxFileBytes: MAX_FILE_BYTES,
    log: pino({}, { write: (line) => void logged.push(line) }),
  };
}

beforeAll(async () => {
  logged = [];
  server = await serveApi(deps(), { host: "127.0.0.1", port: 0 });
  origin = `http://127.0.0.1:${server.port}`;
});

afterAll(() => server.close(100));

beforeEach(() => {
  calls = [];
  status = {
    endpoints: [
      {
        name: "fraud-prod",
        current: { version: "v1.1", revision: 2, digest: "sha256:0" },
        rollout: null,
        lastRollout: null,
        split: [{ version: "v1.1", revision: 2, weight: 100 }],
        revisions: [{ revision: 2, version: "v1.1", warm: true }],
      },
    ],
    gateways: [{ gateway: "g" }],
    alarms: [],
  } as unknown as Status;
});

interface Sent {
  readonly status: number;
  readonly text: string;
  readonly type: string | undefined;
}

/** Sends exactly these headers: fetch would set Host and Origin itself. */
function send(
  method: string,
  path: string,
  options: { headers?: Record<string, string>; body?: string | Buffer } = {},
): Promise<Sent> {
  return new Promise((resolve, reject) => {
    const { body } = options;
    const outgoing = httpRequest(
      {
        host: "127.0.0.1",
        port: server.port,
        method,
        path,
        headers: {
          ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }),
          ...options.headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            text: Buffer.concat(chunks).toString(),
            type: response.headers["content-type"],
          }),
        );
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Sent> {
  return send("POST", path, {
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

function codeIn(sent: Sent): unknown {
  return (JSON.parse(sent.text) as { code?: unknown }).code;
}

test("a request is parsed, passed on with its defaults, and answered as JSON", async () => {
  const sent = await post("/api/v1/rollback", { actor: "ann" });
  expect(sent).toMatchObject({ status: 200, type: "application/json" });
  expect(JSON.parse(sent.text)).toMatchObject({
    body: { actor: "ann", endpoint: null, version: null, trigger: "manual", dryRun: false },
  });
});

test("an error is a problem with everything its other forms have", async () => {
  const sent = await post("/api/v1/deploy", { reference: "fraud@v1.1", actor: "ann" });
  expect(sent).toMatchObject({ status: 409, type: "application/problem+json" });
  expect(JSON.parse(sent.text)).toEqual({
    type: "urn:lastgood:error:target.none",
    title: "There is no proven version to go back to",
    status: 409,
    detail: "no way back",
    code: "target.none",
    message: "no way back",
    hint: "force it",
    details: {},
    passedOver: [{ version: "v1.1", why: "failed: error rate" }],
  });
});

test("a mistake of ours is a 500 that is logged, and the server goes on", async () => {
  const sent = await send("GET", "/api/v1/doctor");
  expect(sent.status).toBe(500);
  expect(codeIn(sent)).toBe("internal");
  expect(logged.some((line) => line.includes("a mistake of ours"))).toBe(true);
  expect((await send("GET", "/healthz")).status).toBe(200);
});

test("what is wrong with an input is named with its path and what is accepted", async () => {
  const sent = await post("/api/v1/deploy", {
    reference: "fraud@v1",
    strategy: "green",
    actor: "a",
  });
  expect(sent.status).toBe(400);
  const problem = JSON.parse(sent.text) as { code: string; message: string };
  expect(problem.code).toBe("input.invalid");
  expect(problem.message).toContain("body.strategy");
  expect(problem.message).toContain("blueGreen");
});

test("a field nobody knows is refused, not ignored", async () => {
  const sent = await post("/api/v1/rollback", { actor: "ann", dryrun: true });
  expect(sent.status).toBe(400);
  expect(sent.text).toContain("dryrun");
  expect(calls).toEqual([]);
});

test("reserved and traversing names keep their own code and hint", async () => {
  const reserved = await post("/api/v1/models/fraud/versions", { name: "latest", actor: "ann" });
  expect(JSON.parse(reserved.text)).toMatchObject({
    status: 400,
    code: "name.reserved",
    hint: expect.stringContaining("v1.1") as string,
  });
  for (const name of ["..%2f..%2fetc", "%2e%2e%2f", ".hidden", "a%00b", "a%2f..", "%ff"]) {
    const sent = await send("GET", `/api/v1/models/${name}/versions`);
    expect([400, 404]).toContain(sent.status);
  }
  const path = { path: "../../etc/passwd", digest: `sha256:${"0".repeat(64)}` };
  const sent = await post("/api/v1/models/fraud/versions", { files: [path], actor: "ann" });
  expect(sent.status).toBe(400);
  expect(sent.text).toContain("body.files[0].path");
  expect(calls).toEqual([]);
});

test("selectors with @ and percent-encoding arrive as they were meant", async () => {
  await send("GET", "/api/v1/models/fraud/versions/%40champion");
  await send("GET", "/api/v1/models/fraud/versions/3");
  expect(calls).toEqual(["version fraud @champion", "version fraud 3"]);
});

test("a version's view names the endpoints it serves", async () => {
  const sent = await post("/api/v1/resolve", { reference: "fraud@v1.3" });
  expect(JSON.parse(sent.text)).toMatchObject({
    model: "fraud",
    version: { sequence: 3, servedBy: [{ endpoint: "fraud-prod", revision: 2 }] },
  });
  const alone = await post("/api/v1/resolve", { reference: "fraud" });
  expect(JSON.parse(alone.text)).toEqual({ model: "fraud", version: null });
  expect(codeIn(await post("/api/v1/resolve", { reference: "nothing" }))).toBe("model.not-found");
});

test("a list holds every version, or the part that is asked for", async () => {
  const all = JSON.parse((await send("GET", "/api/v1/models/fraud/versions")).text) as unknown[];
  expect(all).toHaveLength(2_500);
  const path = "/api/v1/models/fraud/versions?after=7&limit=2";
  const part = JSON.parse((await send("GET", path)).text) as { sequence: number }[];
  expect(part.map((each) => each.sequence)).toEqual([8, 9]);
  expect((await send("GET", "/api/v1/models/fraud/versions?limit=x")).status).toBe(400);
});

test("a mark is carried to the endpoints, once under its key", async () => {
  const body = { status: "failed", reason: null, actor: "ann" };
  const asked = ["/api/v1/models/fraud/versions/3/mark", body, { "idempotency-key": "k" }] as const;
  const sent = await post(...asked);
  expect(JSON.parse(sent.text)).toMatchObject({
    version: { model: "fraud", sequence: 3 },
    consequences: [expect.stringMatching(/^fraud #3 was marked by k [0-9a-f]{16}$/)],
  });
  expect(await post(...asked)).toEqual(sent);
  expect(calls.filter((call) => call === "mark failed")).toHaveLength(1);
});

test("an alias is removed with a body that says who", async () => {
  const sent = await send("DELETE", "/api/v1/models/fraud/aliases/champion", {
    headers: { "content-type": "application/json" },
    body: '{"actor":"ann"}',
  });
  expect(sent.status).toBe(200);
  expect(calls).toEqual(["unalias fraud champion"]);
});

test("an unknown path, and a known one by another method, are not found", async () => {
  for (const [method, path] of [
    ["GET", "/api/v1/nothing"],
    ["DELETE", "/api/v1/rollback"],
    ["GET", "/"],
    ["POST", "/healthz"],
  ] as const) {
    const sent = await send(method, path);
    expect(sent.status).toBe(404);
    expect(codeIn(sent)).toBe("route.not-found");
  }
});

test("a foreign Host is refused on every path before anything else", async () => {
  for (const path of ["/healthz", "/metrics", "/openapi.json", "/api/v1/status", "/nothing"]) {
    const sent = await send("GET", path, { headers: { host: "evil.example" } });
    expect(sent.status).toBe(403);
    expect(codeIn(sent)).toBe("host.forbidden");
  }
  const headers = { host: `localhost:${server.port}` };
  expect((await send("GET", "/healthz", { headers })).status).toBe(200);
});

test("a foreign Origin is refused, the own one is not, and nobody gets CORS headers", async () => {
  const foreign = await post("/api/v1/rollback", { actor: "a" }, { origin: "http://evil.example" });
  expect(foreign.status).toBe(403);
  expect(codeIn(foreign)).toBe("origin.forbidden");
  expect(calls).toEqual([]);
  expect((await post("/api/v1/rollback", { actor: "a" }, { origin })).status).toBe(200);
  const image = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" };
  expect(codeIn(await send("GET", "/api/v1/doctor", { headers: image }))).toBe("origin.forbidden");
  expect(calls).toHaveLength(1);
  const preflight = await fetch(`${origin}/api/v1/rollback`, { method: "OPTIONS" });
  expect([...preflight.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual(
    [],
  );
});

test("changes need a content type that no form can send", async () => {
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
    const sent = await post("/api/v1/rollback", { actor: "a" }, { "content-type": type });
    expect(sent.status).toBe(415);
    expect(codeIn(sent)).toBe("content-type.unsupported");
  }
  const blob = await post("/api/v1/blobs", "{}");
  expect(blob.status).toBe(415);
  expect(calls).toEqual([]);
});

test("bodies that are no JSON, too deep, too long or not UTF-8 get their 4xx", async () => {
  const type = { headers: { "content-type": "application/json" } };
  const bodies: [string | Buffer, number][] = [
    ["", 400],
    ["{", 400],
    ["[".repeat(10_000) + "]".repeat(10_000), 400],
    [Buffer.from([0x7b, 0xff, 0x7d]), 400],
    ["null", 400],
    [`"${"x".repeat(17 * 1024 * 1024)}"`, 413],
  ];
  for (const [body, expected] of bodies) {
    const sent = await send("POST", "/api/v1/rollback", { ...type, body });
    expect(sent.status).toBe(expected);
    expect(sent.type).toBe("application/problem+json");
  }
  expect(calls).toEqual([]);
});

test("bodies of any JSON are answered and never end the server", async () => {
  const paths = ["/rollback", "/rollout", "/resolve", "/models/fraud/versions", "/reinstate"];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...paths), fc.jsonValue(), async (path, body) => {
      const sent = await post(`/api/v1${path}`, body);
      expect(sent.status).toBe(400);
      expect(sent.type).toBe("application/problem+json");
    }),
    { numRuns: 100 },
  );
});

test("a repeated Idempotency-Key is answered and not done again", async () => {
  const key = { "idempotency-key": "one" };
  const first = await post("/api/v1/rollback", { actor: "ann" }, key);
  const again = await post("/api/v1/rollback", { actor: "ann" }, key);
  expect(again).toEqual(first);
  expect(first.text, "what the endpoint knows it by").toMatch(/"operation":"one [0-9a-f]{16}"/);
  expect(calls).toEqual(["rollback"]);
  const other = await post("/api/v1/rollback", { actor: "ben" }, key);
  expect(other.status).toBe(400);
  const deploy = (): Promise<Sent> =>
    post("/api/v1/deploy", { reference: "f", actor: "a" }, { "idempotency-key": "2" });
  const refused = await deploy();
  const refusedAgain = await deploy();
  expect(refusedAgain).toEqual(refused);
  expect(refusedAgain).toMatchObject({ status: 409, type: "application/problem+json" });
});

test("bytes are uploaded whole and answered with their digest", async () => {
  const body = Buffer.alloc(1_000_000, 7);
  const headers = { "content-type": "application/octet-stream" };
  const sent = await send("POST", "/api/v1/blobs", { headers, body });
  expect(JSON.parse(sent.text)).toEqual({
    digest: `sha256:${createHash("sha256").update(body).digest("hex")}`,
    size: body.length,
  });
});

test("an upload that announces too much is refused before it is read", async () => {
  const headers = {
    "content-type": "application/octet-stream",
    "content-length": String(MAX_FILE_BYTES + 1),
    expect: "100-continue",
  };
  const answer = await rawExchange("POST /api/v1/blobs HTTP/1.1", headers, "");
  expect(answer).toContain(" 413 ");
  expect(answer).toContain("uploads: { maxFile:");
  const limit = await send("GET", "/api/v1/blobs");
  expect(JSON.parse(limit.text)).toEqual({ maxFileBytes: MAX_FILE_BYTES });
});

test("connections that break off, stay half or speak no HTTP leave the server well", async () => {
  const upload = { "content-type": "application/octet-stream", "content-length": "1000" };
  const lines = ["POST /api/v1/blobs HTTP/1.1", "POST /api/v1/rollback HTTP/1.1"];
  await Promise.all(lines.map((line) => abandoned(line, upload, "part")));
  expect(await rawExchange("nonsense", {}, "\0\0")).toContain(" 400 ");
  expect(await rawExchange("GET /healthz HTTP/1.1", { "transfer-encoding": "nope" }, "")).toMatch(
    / 4\d\d | 5\d\d |^$/,
  );
  const halfClosed = await rawExchange("GET /healthz HTTP/1.1", { connection: "close" }, "");
  expect(halfClosed).toContain(" 200 ");
  expect((await send("GET", "/healthz")).status).toBe(200);
});

function rawHead(line: string, headers: Record<string, string>): string {
  const all = { host: `127.0.0.1:${server.port}`, ...headers };
  const fields = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${line}\r\n${fields.join("")}\r\n`;
}

/** Sends bytes, closes its own half, and gives what came back. */
function rawExchange(line: string, headers: Record<string, string>, body: string): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(server.port, "127.0.0.1", () => {
      socket.end(rawHead(line, headers) + body);
    });
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(text));
  });
}

/** Sends a part of a body and resets the connection. */
function abandoned(line: string, headers: Record<string, string>, part: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(server.port, "127.0.0.1", () => {
      socket.write(rawHead(line, headers) + part, () => {
        setTimeout(() => socket.resetAndDestroy(), 20);
      });
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
  });
}

test("readiness is a status code and the reasons", async () => {
  expect((await send("GET", "/readyz")).status).toBe(200);
  status = { ...status, gateways: [] };
  const sent = await send("GET", "/readyz");
  expect(sent.status).toBe(503);
  expect(sent.text).toContain("no gateway is connected");
});

test("metrics come as Prometheus text", async () => {
  const { type, text } = await send("GET", "/metrics");
  expect(type).toContain("text/plain; version=0.0.4");
  expect(text).toContain('lastgood_rollbacks_total{endpoint="fraud-prod",trigger="manual"} 1');
});

test("the OpenAPI document names every operation with its problem answer", async () => {
  const sent = await send("GET", "/openapi.json");
  type Operations = Record<string, { responses: Record<string, unknown> }>;
  const document = JSON.parse(sent.text) as { paths: Record<string, Operations> };
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, each]) => {
      expect(each.responses).toHaveProperty("default");
      return `${method} ${path.replace("/api/v1", "")}`;
    }),
  );
  expect([operations.length, operations.includes("post /rollback")]).toEqual([33, true]);
});

test("the event stream starts at once and refuses an id it does not know", async () => {
  const controller = new AbortController();
  const response = await fetch(`${origin}/api/v1/events`, { signal: controller.signal });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const first = await response.body?.getReader().read();
  expect(Buffer.from(first?.value ?? []).toString()).toContain("retry: 1000");
  controller.abort();
  const headers = { "last-event-id": "odd" };
  expect(await send("GET", "/api/v1/events", { headers })).toMatchObject({ status: 400 });
});

test("a port that is taken is refused with its own code", async () => {
  await expect(serveApi(deps(), { host: "127.0.0.1", port: server.port })).rejects.toMatchObject({
    code: "address.in-use",
  });
});
