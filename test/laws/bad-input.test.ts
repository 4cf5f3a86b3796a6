/** No input ends a process, nothing is left half-written, and every mistake gets the right 4xx. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as fc from "fast-check";
import { afterAll, beforeAll, beforeEach, afterEach, expect, test } from "vitest";

import type { ErrorBody } from "../../src/core/errors/index.ts";
import { looseEnds, manifestsOf } from "../support/data-folder.ts";
import { rawExchange, type RawAnswer } from "../support/raw-http.ts";
import { example, startServer, type ServerPids, type TestServer } from "../support/server.ts";
import { irisBody, stage, type Stage } from "../support/stage.ts";

/** Longer than the servers wait for a request's head. */
const SLOW_MS = 25_000;

let server: TestServer;
let iris: Stage;
/** Connections that send a request's head and never end it, opened at the start. */
let slow: readonly Promise<RawAnswer>[];
let before: { readonly pids: ServerPids; readonly manifests: readonly string[] };
const folder = mkdtempSync(join(tmpdir(), "lastgood-bad-"));

beforeAll(async () => {
  server = await startServer();
  iris = stage(server, "iris");
  await iris.stable("v1.0", "v1.1");
  slow = [server.ports.serve, server.ports.api].map((port) =>
    rawExchange(port, "POST /v2/models/iris/infer HTTP/1.1\r\nhost: x\r\nx-slow: ", {
      waitMs: SLOW_MS,
    }),
  );
});

beforeEach(() => {
  before = { pids: server.pids, manifests: manifestsOf(server.dataDir) };
});

afterEach(expectUnharmed);

/** The same processes run, nothing was stored or half-written, callers are answered. */
async function expectUnharmed(): Promise<void> {
  expect(server.pids).toEqual(before.pids);
  expect(manifestsOf(server.dataDir)).toEqual(before.manifests);
  expect(looseEnds(server.dataDir)).toEqual([]);
  expect(await iris.answering(4)).toEqual(["v1.1"]);
  expect(await server.client.isReady(5_000)).toBe(true);
}

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await server.destroy();
});

const JSON_TYPE = { "content-type": "application/json" };
const deep = `${"[".repeat(10_000)}${"]".repeat(10_000)}`;
const notUtf8 = new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]);

function infer(input: Record<string, unknown>): string {
  const right = { name: "features", shape: [1, 4], datatype: "FP32", data: [1, 2, 3, 4] };
  return JSON.stringify({ inputs: [{ ...right, ...input }] });
}

const INFER = "/v2/models/iris/infer";

/** What was sent to the serving port, and the status it must get. */
const SERVING: readonly (readonly [
  what: string,
  status: number,
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers?: Readonly<Record<string, string>>,
])[] = [
  ["malformed JSON", 400, INFER, "{nonsense"],
  ["an empty body", 400, INFER, ""],
  ["null", 400, INFER, "null"],
  ["a wrong data type", 400, INFER, infer({ datatype: "INT64" })],
  ["an unknown data type", 400, INFER, infer({ datatype: "FP31" })],
  ["text for numbers", 400, INFER, infer({ data: ["a", "b", "c", "d"] })],
  ["a wrong shape", 400, INFER, infer({ shape: [1, 5], data: [1, 2, 3, 4, 5] })],
  ["a shape that lies", 400, INFER, infer({ shape: [2, 4] })],
  ["a negative shape", 400, INFER, infer({ shape: [-1, 4] })],
  ["a huge shape", 400, INFER, infer({ shape: [1e15, 4] })],
  ["a shape whose product overflows", 400, INFER, infer({ shape: [2 ** 32, 2 ** 32, 4] })],
  ["too few elements", 400, INFER, infer({ data: [1, 2] })],
  ["an unknown input", 400, INFER, infer({ name: "other" })],
  ["no inputs", 400, INFER, '{"inputs":[]}'],
  [
    "one input twice",
    400,
    INFER,
    JSON.stringify({ inputs: [1, 2].map(() => JSON.parse(infer({})).inputs[0]) }),
  ],
  [
    "an unknown output",
    400,
    INFER,
    JSON.stringify({ ...JSON.parse(infer({})), outputs: [{ name: "x" }] }),
  ],
  ["JSON 10,000 deep", 400, INFER, deep],
  ["what is not UTF-8", 400, INFER, notUtf8],
  [
    "a binary length that lies",
    400,
    INFER,
    infer({}),
    { "inference-header-content-length": "99999999" },
  ],
  ["a negative binary length", 400, INFER, infer({}), { "inference-header-content-length": "-5" }],
  ["a body that is no gzip", 400, INFER, infer({}), { "content-encoding": "gzip" }],
  ["an unknown encoding", 415, INFER, infer({}), { "content-encoding": "br" }],
  ["an oversized body", 413, INFER, " ".repeat(17 * 1024 * 1024)],
  ["an unknown model", 404, "/v2/models/nobody/infer", infer({})],
  ["a version that is not loaded", 404, "/v2/models/iris/versions/v7/infer", infer({})],
  ["traversal in a model name", 404, "/v2/models/..%2f..%2fetc%2fpasswd/infer", infer({})],
  ["traversal in an endpoint", 404, "/endpoints/%2e%2e%2fx/invocations", infer({})],
  ["a control character in a name", 404, "/v2/models/a%00b/infer", infer({})],
  ["broken percent-encoding", 404, "/v2/models/%zz/infer", infer({})],
  ["MLflow: two forms", 400, "/endpoints/iris/invocations", '{"inputs":[[1]],"instances":[[1]]}'],
  ["MLflow: ragged rows", 400, "/endpoints/iris/invocations", '{"inputs":[[1,2,3,4],[1]]}'],
  ["MLflow: JSON 10,000 deep", 400, "/endpoints/iris/invocations", `{"inputs":${deep}}`],
  [
    "MLflow: CSV without rows",
    400,
    "/endpoints/iris/invocations",
    "a,b",
    { "content-type": "text/csv" },
  ],
  [
    "MLflow: a form's content type",
    415,
    "/endpoints/iris/invocations",
    "a=1",
    { "content-type": "application/x-www-form-urlencoded" },
  ],
];

test("the serving port answers each mistake with its 4xx, in its protocol's own form", async () => {
  for (const [what, status, path, body, headers] of SERVING) {
    const response = await fetch(`${server.serveUrl}${path}`, {
      method: "POST",
      headers: { ...JSON_TYPE, ...headers },
      body,
    });
    const text = await response.text();
    expect(response.status, `${what}: ${text.slice(0, 300)}`).toBe(status);
    const plain = response.headers.get("content-type") === "text/plain";
    const said = plain ? text : Object.values(JSON.parse(text) as Record<string, string>).join();
    expect(said.length, `${what}: ${text}`).toBeGreaterThan(10);
    expect(text, "no path and no stack leaves").not.toMatch(/\/work\/|\.cjs|at .*\(.*:\d+:\d+\)/);
  }
  // The caller's mistakes count against nobody.
  expect((await iris.view()).revisions.map(({ errors }) => errors)).toEqual([0, 0]);
});

const VERSIONS = "/api/v1/models/iris/versions";
const registering = { name: "v9.0", actor: "x", files: [] as unknown[] };
const someDigest = `sha256:${"0".repeat(64)}`;

/** What was sent to the API port, the status and the code it must get. */
const API: readonly (readonly [
  what: string,
  status: number,
  code: string,
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers?: Readonly<Record<string, string>>,
])[] = [
  ["malformed JSON", 400, "input.invalid", VERSIONS, "{"],
  ["JSON 10,000 deep", 400, "input.invalid", VERSIONS, deep],
  ["what is not UTF-8", 400, "input.invalid", VERSIONS, notUtf8],
  ["another shape", 400, "input.invalid", VERSIONS, '{"name":7}'],
  ["an unknown field", 400, "input.invalid", VERSIONS, JSON.stringify({ ...registering, x: 1 })],
  ["an oversized body", 413, "body.too-large", VERSIONS, " ".repeat(17 * 1024 * 1024)],
  [
    "traversal in a file's path",
    400,
    "input.invalid",
    VERSIONS,
    JSON.stringify({ ...registering, files: [{ path: "../../etc/x.onnx", digest: someDigest }] }),
  ],
  [
    "an absolute path",
    400,
    "input.invalid",
    VERSIONS,
    JSON.stringify({ ...registering, files: [{ path: "/etc/x.onnx", digest: someDigest }] }),
  ],
  [
    "traversal in a digest",
    400,
    "reference.invalid",
    VERSIONS,
    JSON.stringify({
      ...registering,
      files: [{ path: "x.onnx", digest: "sha256:../../../etc/passwd" }],
    }),
  ],
  [
    "bytes that were not uploaded",
    409,
    "artifact.missing",
    VERSIONS,
    JSON.stringify({ ...registering, files: [{ path: "x.onnx", digest: someDigest }] }),
  ],
  [
    "a reserved name",
    400,
    "name.reserved",
    VERSIONS,
    JSON.stringify({ ...registering, name: "latest" }),
  ],
  [
    "traversal in a model name",
    400,
    "name.invalid",
    "/api/v1/models/..%2f..%2fx/versions",
    JSON.stringify({ ...registering, name: null }),
  ],
  [
    "an unknown endpoint",
    404,
    "endpoint.not-found",
    "/api/v1/rollback",
    '{"endpoint":"nobody","actor":"x"}',
  ],
  [
    "a form's content type",
    415,
    "content-type.unsupported",
    VERSIONS,
    "a=1",
    { "content-type": "application/x-www-form-urlencoded" },
  ],
  ["text/plain", 415, "content-type.unsupported", VERSIONS, "{}", { "content-type": "text/plain" }],
  [
    "a multipart form",
    415,
    "content-type.unsupported",
    "/api/v1/blobs",
    "x",
    { "content-type": "multipart/form-data; boundary=x" },
  ],
  ["JSON where bytes belong", 415, "content-type.unsupported", "/api/v1/blobs", "{}"],
  ["a foreign origin", 403, "origin.forbidden", VERSIONS, "{}", { origin: "https://evil.example" }],
  ["the null origin", 403, "origin.forbidden", VERSIONS, "{}", { origin: "null" }],
  ["no such path", 404, "route.not-found", "/api/v1/nothing", "{}"],
];

test("the API answers each mistake with its 4xx as problem details", async () => {
  for (const [what, status, code, path, body, headers] of API) {
    const response = await fetch(`${server.apiUrl}${path}`, {
      method: "POST",
      headers: { ...JSON_TYPE, ...headers },
      body,
    });
    const text = await response.text();
    expect(response.status, `${what}: ${text.slice(0, 300)}`).toBe(status);
    expect(response.headers.get("content-type"), `of ${what}`).toContain(
      "application/problem+json",
    );
    const problem = JSON.parse(text) as ErrorBody;
    expect(problem.code, `${what}: ${text}`).toBe(code);
    expect(problem.message.length, `of ${what}`).toBeGreaterThan(5);
  }
});

test("a foreign Host on the API port is refused on every path, whatever the method", async () => {
  const ask = (request: string, host: string): Promise<RawAnswer> =>
    rawExchange(
      server.ports.api,
      `${request} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
    );
  const own = `127.0.0.1:${server.ports.api}`;
  expect((await ask("GET /api/v1/status", own)).status).toBe(200);
  for (const host of ["evil.example", `evil.example:${server.ports.api}`, "127.0.0.1:1"]) {
    for (const request of ["GET /api/v1/status", "GET /openapi.json", "DELETE /api/v1/models"]) {
      const { status, text } = await ask(request, host);
      expect(status, `${request} ${host}: ${text}`).toBe(403);
    }
  }
  const none = await rawExchange(server.ports.api, "GET /api/v1/status HTTP/1.0\r\n\r\n");
  expect(none.status).toBe(400);
});

test("a truncated, foreign or empty model file is refused at the command line, nothing is registered", async () => {
  const model = readFileSync(example("iris/v1.0.onnx"));
  const files = {
    truncated: model.subarray(0, Math.floor(model.length / 2)),
    "cut-short": model.subarray(0, model.length - 1),
    empty: new Uint8Array(),
    text: Buffer.from("not a model at all"),
    external: readFileSync(join(import.meta.dirname, "../fixtures/onnx/external.onnx")),
  };
  for (const [name, bytes] of Object.entries(files)) {
    const path = join(folder, `${name}.onnx`);
    writeFileSync(path, bytes);
    const refusal = await iris.refused(1, "register", "iris", path, "--version", "v9.0");
    expect(refusal.code, `of ${name}`).toBe("artifact.invalid");
  }
  const absent = await iris.tell("register", "iris", join(folder, "none.onnx"));
  expect(absent.code).not.toBe(0);
  expect((await server.client.versions("iris")).map(({ name }) => name)).toEqual(["v1.0", "v1.1"]);
});

test("path traversal in any name is refused at the command line", async () => {
  const file = example("iris/v1.0.onnx");
  const cases: readonly (readonly string[])[] = [
    ["register", "../iris", file, "--version", "v9.0"],
    ["register", "iris", file, "--version", "../v9.0"],
    ["register", "iris", file, "--version", "a..b"],
    ["deploy", "iris@v1.0", "--to", "../../etc"],
    ["deploy", "iris@../../x"],
    ["alias", "iris@v1.0", "../champion"],
    ["show", "../../etc@passwd"],
    ["rollback", "../iris"],
  ];
  for (const args of cases) {
    const told = await iris.tell<{ error: ErrorBody }>(...args);
    expect([1, 2], `${args.join(" ")}: ${told.code}`).toContain(told.code);
    expect(told.value.error.message.length).toBeGreaterThan(5);
    expect(told.value.error.code).not.toBe("internal");
  }
});

test("half-closed and broken connections cost nobody else anything", async () => {
  const head = `POST ${INFER} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;
  const body = irisBody();
  const ports = [server.ports.serve, server.ports.api];
  const exchanges = ports.flatMap((port) => [
    // The caller says it is done in the middle of the head, of the body, and right after all of it.
    rawExchange(port, head, { end: true }),
    rawExchange(port, `${head}content-length: ${body.length}\r\n\r\n${body.slice(0, 20)}`, {
      end: true,
    }),
    rawExchange(port, "\r\n\r\n\0\0\0", { end: true }),
    rawExchange(port, `${head}content-length: 5\r\ncontent-length: 6\r\n\r\nhello`),
    rawExchange(port, `${head}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\nzz\r\n`),
    rawExchange(port, `GET /${"a".repeat(100_000)} HTTP/1.1\r\nhost: x\r\n\r\n`),
    rawExchange(port, `GET / HTTP/1.1\r\nhost: x\r\nx: ${"a".repeat(100_000)}\r\n\r\n`),
    rawExchange(port, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  ]);
  for (const { status } of await Promise.all(exchanges))
    expect(status === null || (status >= 400 && status < 500) || status === 505).toBe(true);

  const whole = await rawExchange(
    server.ports.serve,
    `${head}content-length: ${body.length}\r\n\r\n${body}`,
    { end: true },
  );
  expect(whole.status).toBe(200);
});

/** Bytes that look like HTTP to a different degree. */
const requests = fc.record({
  method: fc.constantFrom("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"),
  path: fc
    .tuple(
      fc.constantFrom(
        "/v2/models/",
        "/api/v1/models/",
        "/endpoints/",
        "/invocations",
        "/",
        "/api/",
      ),
      fc.webPath(),
    )
    .map(([root, rest]) => `${root}${rest}`.replaceAll(/\s/g, "")),
  type: fc.constantFrom("application/json", "text/csv", "application/octet-stream", "x/y", ""),
  body: fc.oneof(
    fc.json().map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ unit: "binary" }).map((text) => Buffer.from(text)),
    fc.json().map((text) => Buffer.from(`{"inputs":${text}}`)),
  ),
});

test("200 generated requests at both ports: never a 5xx, never a process that ends", async () => {
  const property = fc.asyncProperty(requests, async ({ method, path, type, body }) => {
    for (const port of [server.ports.serve, server.ports.api]) {
      const head = `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: close\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\n\r\n`;
      const { status } = await rawExchange(port, Buffer.concat([Buffer.from(head), body]));
      expect(status ?? 400).toBeLessThan(500);
    }
  });
  await fc.assert(property, { numRuns: 100 });
});

test("50 generated inference bodies in the right form: 200 or 400, nothing else", async () => {
  const numbers = fc.oneof(fc.double(), fc.integer(), fc.constant(null), fc.string(), fc.boolean());
  const inputs = fc.array(
    fc.record({
      name: fc.constantFrom("features", "inputs", "", "__proto__"),
      shape: fc.array(fc.oneof(fc.nat(5), fc.integer(), fc.double()), { maxLength: 4 }),
      datatype: fc.constantFrom("FP32", "FP64", "BYTES", "INT64", "BOOL", "nothing"),
      data: fc.oneof(fc.array(numbers, { maxLength: 8 }), fc.array(fc.array(numbers)), fc.object()),
    }),
    { maxLength: 2 },
  );
  const property = fc.asyncProperty(inputs, async (made) => {
    const { status, text } = await iris.score(JSON.stringify({ inputs: made }));
    expect([200, 400], `answer: ${text}`).toContain(status);
  });
  await fc.assert(property, { numRuns: 50 });
});

test("a slow connection is cut off, and nobody waits for it", async () => {
  for (const answer of await Promise.all(slow)) {
    expect(answer.closed).toBe(true);
    expect(answer.status ?? 408).toBe(408);
  }
});
