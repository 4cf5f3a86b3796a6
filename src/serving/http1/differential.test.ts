import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect, type AddressInfo, type Server as Listener } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";

import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";

import { fieldLines, Http1Server, type PlainExchange } from "./index.ts";

const LIMITS = {
  headMs: 60_000,
  requestMs: 60_000,
  readMs: 60_000,
  keepAliveMs: 60_000,
  checkMs: 60_000,
};
const TYPE = { "content-type": "application/json" };

/** What a handler saw of a request, as the body of its answer. */
function seen(line: Record<string, string>, headers: unknown, body: Buffer): string {
  return JSON.stringify({ ...line, headers, body: body.toString("latin1") });
}

function byNode(onRequest: () => void): (i: IncomingMessage, s: ServerResponse) => void {
  return (request, response) => {
    onRequest();
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const { method = "", url = "", httpVersion: version, headers } = request;
      const body = seen({ method, url, version }, headers, Buffer.concat(parts));
      response.writeHead(200, { ...TYPE, "content-length": Buffer.byteLength(body) });
      response.end(body);
    });
  };
}

function byCodec(exchange: PlainExchange): void {
  const { method, target, fields } = exchange.head;
  const headers: Record<string, string> = {};
  for (let at = 0; at < fields.list.length; at += 2)
    headers[fields.list[at] ?? ""] = fields.list[at + 1] ?? "";
  const body = seen({ method, url: target, version: "1.1" }, headers, exchange.body);
  exchange.answer(200, fieldLines(TYPE), body);
}

function halfOpen(server: Server): Server {
  return Object.assign(server, { httpAllowHalfOpen: true });
}

let inNode = 0;
let inCodec = 0;
const plain = halfOpen(createServer(byNode(() => undefined)));
const other = halfOpen(createServer(byNode(() => (inNode += 1))));
const codec = new Http1Server({ ...LIMITS, bodyBytes: 64, other }, (exchange) => {
  inCodec += 1;
  byCodec(exchange);
});

const portOf = (server: Listener): number => (server.address() as AddressInfo).port;

beforeAll(async () => {
  for (const server of [plain, codec.listener])
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
});

afterAll(() => {
  plain.close();
  codec.listener.close();
  plain.closeAllConnections();
  codec.closeAllConnections();
});

/** What comes back for some bytes, sent in parts, and then nothing more. */
async function answers(server: Listener, parts: readonly Buffer[]): Promise<string> {
  const socket = connect({ port: portOf(server), host: "127.0.0.1", noDelay: true });
  const back: Buffer[] = [];
  const over = new Promise<void>((resolve) => {
    socket.on("data", (part: Buffer) => back.push(part));
    socket.on("error", () => undefined).on("close", () => resolve());
  });
  for (const part of parts) {
    socket.write(part);
    await turn();
  }
  socket.end();
  await over;
  return Buffer.concat(back).toString("latin1");
}

/** Answers apart from each other, without what depends on when the caller's end was noticed. */
function apart(text: string): readonly string[] {
  const timeless = text.replaceAll(/\r\n(?:Date|Connection|Keep-Alive): [^\r]*/g, "");
  return timeless.split(/(?=HTTP\/1\.1 )/).filter((each) => each !== "");
}

function split(bytes: Buffer, points: readonly number[]): readonly Buffer[] {
  const at = points.map((point) => point % (bytes.length + 1)).toSorted((a, b) => a - b);
  const bounds = [0, ...at, bytes.length];
  return bounds.slice(1).map((to, index) => bytes.subarray(bounds[index], to));
}

/** After such an answer a connection is at its end, whatever else was sent. */
function isLast(answer: string | undefined): boolean {
  return /^HTTP\/1\.1 4|"version":"1\.0"|"connection":"[^"]*close/i.test(answer ?? "");
}

/**
 * What the answers of the two servers have to be to each other: the same; but where a connection ends
 * with something malformed, Node may forget what it has not answered yet.
 */
function agree(ours: readonly string[], theirs: readonly string[]): boolean {
  if (isDeepStrictEqual(ours, theirs)) return true;
  const [short, long] = ours.length < theirs.length ? [ours, theirs] : [theirs, ours];
  return (
    isLast(long.at(-1)) &&
    short.at(-1)?.startsWith("HTTP/1.1 400 ") === true &&
    isDeepStrictEqual(long.slice(0, short.length - 1), short.slice(0, -1))
  );
}

async function expectTheSame(bytes: Buffer, points: readonly number[]): Promise<void> {
  const parts = split(bytes, points);
  const ours = apart(await answers(codec.listener, parts));
  const theirs = apart(await answers(plain, parts));
  expect(ours).toSatisfy(() => agree(ours, theirs), JSON.stringify({ ours, theirs }));
}

const CRLF = "\r\n";
const field = fc.oneof(
  fc
    .tuple(fc.stringMatching(/^[Xx]-[A-Za-z]{1,5}$/), fc.stringMatching(/^[\t -~\x80-\xff]{0,9}$/))
    .map((pair) => pair.join(":")),
  fc.constantFrom("Accept: */*", "x-request-id: a", "Connection: keep-alive"),
);
const ODD = [
  "Transfer-Encoding: chunked",
  "Transfer-Encoding : chunked",
  "transfer-encoding:\tchunked",
  "Transfer-Encoding: xchunked",
  "Transfer-Encoding: identity",
  "Content-Length: +3",
  "Content-Length: 3 ",
  "Content-Length: 3, 3",
  "Content-Length: -1",
  "Content-Length: 0x3",
  "Content-Length: 99999999999999999999",
  "Host: b",
  "Host : b",
  "X: a\r\n folded",
  "X: a\nb: c",
  "X: a\0b",
  "X: a\rb",
  "no colon",
  ": no name",
  "Connection: close, x-a",
  "Connection: upgrade",
  "Proxy-Connection: close",
  "Accept: a\r\nAccept: b",
  "",
];
function seldom<T>(each: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.oneof({ weight: 6, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: each });
}
const request = fc
  .record({
    method: fc.constantFrom("GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH"),
    target: fc.stringMatching(/^\/[!"$-~]{0,9}$/),
    fields: fc.array(field, { maxLength: 4 }),
    body: fc.option(fc.stringMatching(/^[ -~\x80-\xff]{0,80}$/)),
    odd: seldom(fc.constantFrom(...ODD)),
    line: seldom(
      fc.constantFrom(
        "GET / HTTP/1.0",
        "GET http://a/b HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET / HTTP/1.2",
        "get / HTTP/1.1",
        "PURGE / HTTP/1.1",
        "GET /",
        "GET / HTTP/1.1 ",
        "GET /#x HTTP/1.1",
      ),
    ),
  })
  .map(({ method, target, fields, body, odd, line }) => {
    const isChunked = body !== null && /^transfer-encoding:\s*chunked/i.test(odd ?? "");
    const length = body === null || isChunked ? [] : [`Content-Length: ${body.length}`];
    const lines = [...fields, "Host: a", ...length, ...(odd === null ? [] : [odd])];
    const first = line ?? `${method} ${target} HTTP/1.1`;
    const chunk = body === null || body === "" ? "" : body.length.toString(16) + CRLF + body + CRLF;
    const written = isChunked ? `${chunk}0${CRLF}${CRLF}` : (body ?? "");
    return `${[first, ...lines].join(CRLF)}${CRLF}${CRLF}${written}`;
  });
const mutation = fc.record({
  at: fc.nat(),
  cut: fc.nat(3),
  put: fc.constantFrom("", "\r", "\n", "\r\n", " ", "\t", "\0", ":", "0", "a", "\xff", "\x7f"),
});
const stream = fc
  .record({
    requests: fc.array(request, { minLength: 1, maxLength: 3 }),
    closes: fc.boolean(),
    mutations: fc.oneof(fc.constant([]), fc.array(mutation, { maxLength: 2 })),
  })
  .map(({ requests, mutations, closes }) => {
    const end = `GET /end HTTP/1.1${CRLF}Host: a${CRLF}Connection: Close${CRLF}${CRLF}`;
    let text = requests.join("") + (closes ? end : "");
    for (const { at, cut, put } of mutations) {
      const from = at % text.length;
      text = text.slice(0, from) + put + text.slice(from + cut);
    }
    return Buffer.from(text, "latin1");
  });

test("whatever comes, in whatever parts: Node's own server would have answered the same", async () => {
  await fc.assert(fc.asyncProperty(stream, fc.array(fc.nat(), { maxLength: 4 }), expectTheSame), {
    numRuns: Number(process.env["HTTP1_RUNS"] ?? 200),
  });
  // Both ways were walked.
  expect(inNode).toBeGreaterThan(20);
  expect(inCodec).toBeGreaterThan(20);
});
