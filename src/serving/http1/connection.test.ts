import { setImmediate as turn } from "node:timers/promises";

import { expect, test, vi } from "vitest";

import { http1Stage } from "../../../test/support/http1-stage.ts";
import type { PlainExchange } from "./index.ts";

const GET = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const POST = "POST /b HTTP/1.1\r\nhost: x\r\nContent-Length: 5\r\n\r\nhe\r\no";
const LAST = "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/** What was asked, as the body of its answer. */
function echo(exchange: PlainExchange): void {
  const { method, target } = exchange.head;
  exchange.answer(200, "", `<${method} ${target} ${exchange.body.toString("latin1")}>`);
}

function bodies(text: string): readonly string[] {
  return text.match(/<[^>]*>/g) ?? [];
}

const EXPECTED = ["<GET /a >", "<POST /b he\r\no>", "<GET /last >"];

test("a stream of requests is the same wherever it is split", async () => {
  const stage = await http1Stage(echo);
  const bytes = GET + POST + LAST;
  for (let at = 0; at <= bytes.length; at += 1) {
    const caller = await stage.call();
    caller.socket.write(bytes.slice(0, at));
    await turn();
    caller.socket.write(bytes.slice(at));
    expect(bodies(await caller.all())).toEqual(EXPECTED);
  }
});

test("and where every byte comes by itself", async () => {
  const stage = await http1Stage(echo);
  const caller = await stage.call();
  for (const byte of Buffer.from(GET + POST + LAST)) {
    caller.socket.write(Buffer.of(byte));
    await turn();
  }
  expect(bodies(await caller.all())).toEqual(EXPECTED);
});

test("answers say what becomes of the connection, and when they were given", async () => {
  const stage = await http1Stage((exchange) => exchange.answer(201, "a: b\r\n", "c"));
  const caller = await stage.call();
  caller.socket.write(GET + LAST);
  const date = String.raw`Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n`;
  const head = String.raw`HTTP/1.1 201 Created\r\na: b\r\ncontent-length: 1\r\n${date}`;
  expect(await caller.all()).toMatch(
    new RegExp(
      String.raw`^${head}Connection: keep-alive\r\nKeep-Alive: timeout=60\r\n\r\nc${head}Connection: close\r\n\r\nc$`,
    ),
  );
});

test("requests are answered one at a time, in their order", async () => {
  const waiting: PlainExchange[] = [];
  const stage = await http1Stage((exchange) => void waiting.push(exchange));
  const caller = await stage.call();
  caller.socket.write(GET + POST + LAST);
  for (const [index, target] of ["/a", "/b", "/last"].entries()) {
    await vi.waitFor(() => expect(waiting).toHaveLength(index + 1));
    await turn();
    await turn();
    expect(waiting.map(({ head }) => head.target)[index]).toBe(target);
    expect(waiting).toHaveLength(index + 1);
    echo(waiting[index] as PlainExchange);
  }
  expect(bodies(await caller.all())).toEqual(EXPECTED);
});

test("a caller who sends on and on while its answer is awaited is not read", async () => {
  const waiting: PlainExchange[] = [];
  const stage = await http1Stage((exchange) => void waiting.push(exchange));
  const read = (): number => stage.server.sockets[0]?.bytesRead ?? 0;
  const caller = await stage.call();
  caller.socket.write(GET);
  await vi.waitFor(() => expect(waiting).toHaveLength(1));
  const all = 32 * 1024 * 1024;
  caller.socket.write(Buffer.alloc(all, GET));
  await vi.waitFor(() => expect(read()).toBeGreaterThan(GET.length));
  for (let turns = 0; turns < 50; turns += 1) await turn();
  expect(read()).toBeLessThan(1024 * 1024);
  expect(waiting).toHaveLength(1);
});

test("answers that are not read are not piled up", async () => {
  let asked = 0;
  const body = "<" + "x".repeat(4 * 1024 * 1024) + ">";
  const stage = await http1Stage((exchange) => {
    asked += 1;
    exchange.answer(200, "", body);
  });
  const caller = await stage.call();
  caller.socket.pause();
  caller.socket.write(GET.repeat(7) + LAST);
  await vi.waitFor(() => expect(asked).toBeGreaterThan(0));
  for (let turns = 0; turns < 50; turns += 1) await turn();
  // What the system takes in for its caller is no concern of ours.
  expect(asked).toBeLessThan(6);
  caller.socket.resume();
  await caller.closed;
  expect(asked).toBe(8);
  expect(bodies(caller.text).map((each) => each.length)).toEqual(Array(8).fill(body.length));
});

test("a caller who has closed its half still gets its answer, and the connection ends with it", async () => {
  const waiting: PlainExchange[] = [];
  const stage = await http1Stage((exchange) => void waiting.push(exchange));
  for (const [index, bytes] of [GET, GET + POST].entries()) {
    waiting.length = 0;
    const caller = await stage.call();
    caller.socket.end(bytes);
    for (let answered = 0; answered <= index; answered += 1) {
      await vi.waitFor(() => expect(waiting).toHaveLength(answered + 1));
      await turn();
      echo(waiting[answered] as PlainExchange);
    }
    const text = await caller.all();
    expect(bodies(text)).toEqual(EXPECTED.slice(0, index + 1));
    expect(text.match(/Connection: close/g)).toHaveLength(1);
  }
});

test("a caller who closes its half before a request gets the connection closed", async () => {
  const stage = await http1Stage(echo);
  const fresh = await stage.call();
  fresh.socket.end();
  expect(await fresh.all()).toBe("");
  const idle = await stage.call();
  idle.socket.write(GET);
  await idle.until(">");
  idle.socket.end();
  expect(bodies(await idle.all())).toEqual(["<GET /a >"]);
});

test.each([
  ["in its head", GET.slice(0, 20)],
  ["in its body", POST.slice(0, -1)],
])("a request that breaks off %s is a bad one", async (_, bytes) => {
  const stage = await http1Stage(echo);
  const caller = await stage.call();
  caller.socket.end(bytes);
  expect(await caller.all()).toBe("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
});

test("who has gone is known, and nothing is written for them", async () => {
  const waiting: PlainExchange[] = [];
  const stage = await http1Stage((exchange) => void waiting.push(exchange));
  const caller = await stage.call();
  caller.socket.write(GET);
  await vi.waitFor(() => expect(waiting).toHaveLength(1));
  const [exchange] = waiting as [PlainExchange];
  expect(exchange.isGone).toBe(false);
  caller.socket.resetAndDestroy();
  await vi.waitFor(() => expect(exchange.isGone).toBe(true));
  exchange.answer(200, "", "late");
  expect(exchange.hasBegun).toBe(false);
});

test("a request has one answer", async () => {
  const stage = await http1Stage((exchange) => {
    exchange.answer(200, "", "<first>");
    exchange.answer(500, "", "<second>");
  });
  const caller = await stage.call();
  caller.socket.write(LAST);
  expect(bodies(await caller.all())).toEqual(["<first>"]);
});

test("a body that is kept stays what it was", async () => {
  const kept: Buffer[] = [];
  const stage = await http1Stage((exchange) => {
    kept.push(exchange.body);
    echo(exchange);
  });
  const sent = Array.from({ length: 50 }, (_, index) => String(index).repeat(200));
  const caller = await stage.call();
  for (const body of sent) {
    caller.socket.write(`POST /b HTTP/1.1\r\nhost: x\r\nContent-Length: ${body.length}\r\n\r\n`);
    if (body.length % 400 === 0) await turn();
    caller.socket.write(body);
  }
  caller.socket.write(LAST);
  await caller.closed;
  expect(kept.map(String)).toEqual([...sent, ""]);
});

test("draining: the next answer ends the connection, what is idle is closed, what has begun is not", async () => {
  const waiting: PlainExchange[] = [];
  const { server, call } = await http1Stage((exchange) => void waiting.push(exchange));
  const [idle, begun, busy] = [await call(), await call(), await call()];
  idle.socket.write(GET);
  await vi.waitFor(() => expect(waiting).toHaveLength(1));
  echo(waiting[0] as PlainExchange);
  await idle.until(">");
  busy.socket.write(GET);
  await vi.waitFor(() => expect(waiting).toHaveLength(2));
  begun.socket.write(POST.slice(0, 3));
  await turn();
  server.drain();
  server.closeIdleConnections();
  await idle.closed;
  begun.socket.write(POST.slice(3));
  await vi.waitFor(() => expect(waiting).toHaveLength(3));
  for (const each of waiting.slice(1)) echo(each);
  for (const caller of [busy, begun]) {
    const text = await caller.all();
    expect(bodies(text)).toHaveLength(1);
    expect(text).toContain("Connection: close\r\n");
  }
});

test("what is left can be ended at once", async () => {
  const { server, call } = await http1Stage(() => undefined);
  const callers = [await call(), await call()];
  callers[0]?.socket.write(GET);
  callers[1]?.socket.write("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (let turns = 0; turns < 20; turns += 1) await turn();
  const closed = new Promise<void>((resolve) => void server.listener.close(() => resolve()));
  server.closeAllConnections();
  await Promise.all(callers.map((caller) => caller.closed));
  await expect(closed).resolves.toBeUndefined();
});
