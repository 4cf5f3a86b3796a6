import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";

import { expect, test, vi } from "vitest";

import { http1Stage, type Caller } from "../../../test/support/http1-stage.ts";
import type { Http1Server, PlainExchange } from "./index.ts";

const LAST = "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

function byNode(request: IncomingMessage, response: ServerResponse): void {
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("end", () => response.end(`<node ${request.url} ${Buffer.concat(parts).toString()}>`));
}

function byCodec(exchange: PlainExchange): void {
  exchange.answer(200, "", `<codec ${exchange.head.target} ${exchange.body.toString()}>`);
}

function bodies(text: string): readonly string[] {
  return text.match(/<[^>]*>/g) ?? [];
}

const CHUNKED =
  "POST /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";

test("what is not plain is answered by Node, from that request on, and in its order", async () => {
  const waiting: PlainExchange[] = [];
  const stage = await http1Stage((exchange) => void waiting.push(exchange), { other: byNode });
  const bytes = `GET /first HTTP/1.1\r\nHost: x\r\n\r\n${CHUNKED}${LAST}`;
  for (let at = 1; at < bytes.length; at += 1) {
    waiting.length = 0;
    const caller = await stage.call();
    caller.socket.write(bytes.slice(0, at));
    await turn();
    caller.socket.write(bytes.slice(at));
    await vi.waitFor(() => expect(waiting).toHaveLength(1), { interval: 1 });
    byCodec(waiting[0] as PlainExchange);
    expect(bodies(await caller.all())).toEqual([
      "<codec /first >",
      "<node /chunked abc>",
      "<node /last >",
    ]);
    expect(waiting).toHaveLength(1);
  }
});

test("a caller of Node's who has closed its half still gets its answer", async () => {
  const stage = await http1Stage(byCodec, { other: byNode });
  const caller = await stage.call();
  caller.socket.end(`GET /first HTTP/1.1\r\nHost: x\r\n\r\n${CHUNKED}`);
  expect(bodies(await caller.all())).toEqual(["<codec /first >", "<node /chunked abc>"]);
});

test("a body longer than the codec reads is Node's", async () => {
  const stage = await http1Stage(byCodec, { other: byNode, bodyBytes: 4 });
  for (const [length, by] of [
    [4, "codec"],
    [5, "node"],
  ] as const) {
    const caller = await stage.call();
    const body = "x".repeat(length);
    caller.socket.write(
      `PUT /b HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n${body}${LAST}`,
    );
    expect(bodies(await caller.all())[0]).toBe(`<${by} /b ${body}>`);
  }
});

test("a head that comes in very many parts is not read again with each of them: it is Node's", async () => {
  const stage = await http1Stage(byCodec, { other: byNode });
  for (const [bytes, by] of [
    [200, "codec"],
    [1_000, "node"],
  ] as const) {
    const caller = await stage.call();
    const head = `GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: ${"x".repeat(bytes)}`;
    for (const byte of `${head}\r\n\r\n`) {
      caller.socket.write(byte);
      await turn();
    }
    expect(bodies(await caller.all())).toEqual([`<${by} /slow >`]);
  }
});

const HEAD = "POST / HTTP/1.1\r\nHost: x\r\n";
test.each([
  [
    "a length and chunks",
    `${HEAD}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    "chunks and a length",
    `${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`,
  ],
  ["two lengths", `${HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
  ["a length twice", `${HEAD}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`],
  ["a list of lengths", `${HEAD}Content-Length: 1, 1\r\n\r\na`],
  ["a length with a plus", `${HEAD}Content-Length: +1\r\n\r\na`],
  ["a length with spaces", `${HEAD}Content-Length: 1 1\r\n\r\na`],
  ["a negative length", `${HEAD}Content-Length: -1\r\n\r\na`],
  ["a length in hex", `${HEAD}Content-Length: 0x1\r\n\r\na`],
  ["a bare LF", "POST / HTTP/1.1\nHost: x\n\n"],
  ["a bare LF among the fields", `${HEAD}X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ["a bare CR", `${HEAD}X: a\rTransfer-Encoding: chunked\r\n\r\n`],
  ["a folded line", `${HEAD}X: a\r\n Transfer-Encoding: chunked\r\n\r\n`],
  ["NUL in a name", `${HEAD}Transfer-Encoding\0: chunked\r\n\r\n`],
  ["NUL in a value", `${HEAD}Transfer-Encoding: \0chunked\r\n\r\n`],
  ["a space before the colon", `${HEAD}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
  ["a vertical tab", `${HEAD}Transfer-Encoding: \vchunked\r\n\r\n`],
  ["chunked and more", `${HEAD}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
  ["identity", `${HEAD}Transfer-Encoding: identity\r\n\r\n`],
  ["the absolute form", "GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n"],
  ["two Hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"],
  ["no Host", "GET / HTTP/1.1\r\n\r\n"],
  ["HTTP/1.0", "GET / HTTP/1.0\r\n\r\n"],
  ["an expectation", `${HEAD}Content-Length: 1\r\nExpect: 100-continue\r\n\r\na`],
  ["an upgrade", "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["TLS", "\x16\x03\x01\x02\0\x01\0"],
  ["a head without end", `GET / HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(20_000)}`],
  ["a head that is too long", `GET / HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(17_000)}\r\n\r\n`],
  ["an empty line first", "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"],
])("%s reaches Node and never the codec", async (_, bytes) => {
  const asked: PlainExchange[] = [];
  const { server, call } = await http1Stage((exchange) => void asked.push(exchange), {
    other: byNode,
  });
  const given = vi.spyOn(server, "handOver");
  const caller = await call();
  caller.socket.end(Buffer.from(bytes, "latin1"));
  const text = await caller.all();
  expect(text).toMatch(/^HTTP\/1\.1 (?:[24]|100)/);
  expect(given).toHaveBeenCalledTimes(1);
  expect(asked).toEqual([]);
});

const SHORT = { headMs: 30, requestMs: 60, keepAliveMs: 30, checkMs: 5 };
const TIMED_OUT = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n";

test.each([
  ["nothing", ""],
  ["half a head", "GET / HTTP/1.1\r\nHo"],
  ["half a body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"],
  ["half a head of Node's", "GET / HTTP/1.0\r\nHo"],
  ["half a body of Node's", CHUNKED.slice(0, -12)],
])("a caller who sends %s and no more is told so and cut", async (_, bytes) => {
  const { call } = await http1Stage(byCodec, { ...SHORT, other: byNode });
  const caller = await call();
  caller.socket.write(bytes);
  expect(await caller.all()).toBe(TIMED_OUT);
});

test("a head that comes in drops is not waited for any longer", async () => {
  const { call } = await http1Stage(byCodec, { ...SHORT, headMs: 250, requestMs: 60_000 });
  const caller = await call();
  caller.socket.write("GET / HTTP/1.1\r\nHost: x\r\nX: ");
  const drops = setInterval(() => caller.socket.write("x"), 5);
  caller.closed.then(
    () => clearInterval(drops),
    () => undefined,
  );
  expect(await caller.all()).toBe(TIMED_OUT);
});

test("a connection that is not used any more is closed, one whose answer is awaited is not", async () => {
  const waiting: PlainExchange[] = [];
  const { call } = await http1Stage((exchange) => void waiting.push(exchange), SHORT);
  const [used, idle] = [await call(), await call()];
  for (const caller of [used, idle]) caller.socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await vi.waitFor(() => expect(waiting).toHaveLength(2));
  byCodec(waiting[1] as PlainExchange);
  expect(bodies(await idle.all())).toHaveLength(1);
  // It has waited as long as the other.
  expect(used.socket.destroyed).toBe(false);
  byCodec(waiting[0] as PlainExchange);
  expect(bodies(await used.all())).toHaveLength(1);
});

test("the listener has closed when every connection has, also Node's", async () => {
  const { server, call } = await http1Stage(byCodec, { other: byNode });
  const [plain, chunked] = [await call(), await call()];
  plain.socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  chunked.socket.write(CHUNKED);
  await Promise.all([plain.until(">"), chunked.until(">")]);
  let isClosed = false;
  const closed = new Promise<void>((resolve) => void server.listener.close(() => resolve()));
  void closed.then(() => (isClosed = true));
  await turn();
  expect(isClosed).toBe(false);
  server.drain();
  server.closeIdleConnections();
  await closed;
  await Promise.all([plain.closed, chunked.closed]);
});

const ASKS = {
  "the codec": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
  Node: "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
};

/** The server's side of the only connection. */
async function accepted(server: Http1Server): Promise<Socket> {
  await vi.waitFor(() => expect(server.sockets).toHaveLength(1), { interval: 1 });
  return server.sockets[0] as Socket;
}

/** Asks until an answer of `body` waits for its reader; resolves with how many were asked for. */
async function askUntilUnread(caller: Caller, asked: string, socket: Socket): Promise<number> {
  caller.socket.pause();
  let count = 0;
  do {
    count += 1;
    const before = socket.bytesWritten;
    caller.socket.write(asked);
    await vi.waitFor(() => expect(socket.bytesWritten).toBeGreaterThan(before), { interval: 1 });
  } while (socket.writableLength === 0);
  return count;
}

test.each(["the codec", "Node"] as const)(
  "a connection of %s on which an answer has not left is not idle",
  async (by) => {
    const body = `<${"x".repeat(40_000)}>`;
    const settings = {
      keepAliveMs: 300,
      checkMs: 5,
      other: (_: IncomingMessage, response: ServerResponse) => void response.end(body),
    };
    const { server, call } = await http1Stage((each) => each.answer(200, "", body), settings);
    const caller = await call();
    const count = await askUntilUnread(caller, ASKS[by], await accepted(server));
    server.closeIdleConnections();
    await sleep(600);
    caller.socket.resume().end();
    expect(bodies(await caller.all())).toHaveLength(count);
  },
);

const LONG = "x".repeat(48 * 1024 * 1024);

/** A server of long answers, and what becomes of the connection of the one who asked for one. */
async function longAnswer(
  ask: string,
  readMs: number,
): Promise<{ readonly caller: Caller; readonly isCut: () => boolean }> {
  const stage = await http1Stage((exchange) => exchange.answer(200, "", LONG), {
    other: (request, response) => {
      request.resume();
      response.end(LONG);
    },
    readMs,
    checkMs: 20,
  });
  let isCut = false;
  const caller = await stage.call();
  (await accepted(stage.server)).on("close", () => (isCut = true));
  caller.socket.write(ask);
  await caller.until("xxx");
  caller.socket.pause();
  return { caller, isCut: () => isCut };
}

test.each(["the codec", "Node"] as const)(
  "a caller of %s's that takes nothing of its answer is cut off",
  async (by) => {
    const { isCut } = await longAnswer(ASKS[by], 100);
    await vi.waitFor(() => expect(isCut()).toBe(true), 20_000);
  },
);

test.each(["the codec", "Node"] as const)(
  "a caller of %s's that takes a little now and then is not",
  async (by) => {
    const { caller, isCut } = await longAnswer(ASKS[by], 1_000);
    // The system tells of room in its buffers once a third of them is free: a megabyte or so.
    for (let pauses = 0; pauses < 16; pauses += 1) {
      const taken = caller.socket.bytesRead;
      caller.socket.resume();
      while (caller.socket.bytesRead < taken + 1_500_000) await turn();
      caller.socket.pause();
      await sleep(80);
    }
    expect(isCut()).toBe(false);
    caller.socket.resume();
    while (caller.socket.bytesRead < LONG.length) await turn();
  },
);
