import { PassThrough, Readable } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";

import { expect, test, vi } from "vitest";

import { http1Stage } from "../../../test/support/http1-stage.ts";
import type { PlainExchange } from "./index.ts";

/** What comes back for one request, without the date. */
async function answered(
  handle: (exchange: PlainExchange) => unknown,
  method = "GET",
): Promise<readonly [head: string, body: string]> {
  const stage = await http1Stage((exchange) => void handle(exchange));
  const caller = await stage.call();
  caller.socket.write(`${method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  const text = await caller.all();
  const end = text.indexOf("\r\n\r\n");
  const head = text.slice(0, end).replace(/\r\nDate: [^\r]*GMT/, "");
  return [head, text.slice(end + 4)];
}

const CLOSE = "\r\nConnection: close";

test.each([
  ["text", "abc", "abc"],
  ["text beyond ASCII", "grün", Buffer.from("grün").toString("latin1")],
  ["bytes", Buffer.of(0, 255, 128), "\0\xff\x80"],
  ["many bytes", Buffer.alloc(100_000, 200), "\xc8".repeat(100_000)],
  ["nothing", "", ""],
  ["no bytes", Buffer.alloc(0), ""],
])(
  "a body of %s leaves as it is, behind a head that says how long it is",
  async (_, body, sent) => {
    const length = Buffer.byteLength(body);
    const expected = `HTTP/1.1 200 OK\r\nx-id: mïne\r\ncontent-length: ${length}${CLOSE}`;
    expect(await answered((each) => each.answer(200, "x-id: mïne\r\n", body))).toEqual([
      expected,
      sent,
    ]);
    expect(await answered((each) => each.answer(200, "x-id: mïne\r\n", body), "HEAD")).toEqual([
      expected,
      "",
    ]);
  },
);

test("a whole answer of somebody else's is framed by us", async () => {
  const headers = { "content-type": "a/b", "set-cookie": ["a", "b"], "content-length": "999" };
  const lines = "content-type: a/b\r\nset-cookie: a\r\nset-cookie: b";
  expect(await answered((each) => each.pass(418, headers, Buffer.from("tea")))).toEqual([
    `HTTP/1.1 418 I'm a Teapot\r\n${lines}\r\ncontent-length: 3${CLOSE}`,
    "tea",
  ]);
  expect(await answered((each) => each.pass(200, headers, Buffer.alloc(0)), "HEAD")).toEqual([
    `HTTP/1.1 200 OK\r\n${lines}\r\ncontent-length: 999${CLOSE}`,
    "",
  ]);
});

test("its date is kept", async () => {
  const date = "Sat, 01 Jan 2000 00:00:00 GMT";
  const stage = await http1Stage((each) => void each.pass(200, { date }, Buffer.from("a")));
  const caller = await stage.call();
  caller.socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const text = await caller.all();
  expect(text.match(/^date: .*$/gim)).toEqual([`date: ${date}`]);
});

const parts = (): Readable => Readable.from([Buffer.from("ab"), Buffer.from("c".repeat(17))]);

test("a stream of unknown length is chunked, one of known length is not", async () => {
  expect(await answered((each) => each.pass(200, { a: "b" }, parts()))).toEqual([
    `HTTP/1.1 200 OK\r\na: b\r\ntransfer-encoding: chunked${CLOSE}`,
    `2\r\nab\r\n11\r\n${"c".repeat(17)}\r\n0\r\n\r\n`,
  ]);
  const known = { "content-length": "19" };
  expect(await answered((each) => each.pass(200, known, parts()))).toEqual([
    `HTTP/1.1 200 OK\r\ncontent-length: 19${CLOSE}`,
    `ab${"c".repeat(17)}`,
  ]);
});

test.each([
  ["GET", 204, ""],
  ["GET", 304, "\r\ncontent-length: 5"],
  ["HEAD", 200, "\r\ncontent-length: 5"],
])("%s with %i has no body", async (method, status, length) => {
  const body = Readable.from([Buffer.from("abcde")]);
  const [head, rest] = await answered(
    (each) => each.pass(status, { "content-length": "5" }, body),
    method,
  );
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} [A-Za-z ]+${length}${CLOSE}$`));
  expect(rest).toBe("");
});

test("after a stream the connection goes on", async () => {
  const stage = await http1Stage(
    (each) => void each.pass(200, {}, Readable.from([Buffer.from(each.head.target)])),
  );
  const caller = await stage.call();
  const request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
  caller.socket.write(request + request);
  caller.socket.end(request);
  expect((await caller.all()).match(/2\r\n\/a\r\n0\r\n\r\n/g)).toHaveLength(3);
});

test("a caller who closes its half during a stream gets all of it, and the connection ends", async () => {
  const body = new PassThrough();
  const stage = await http1Stage((each) => void each.pass(200, {}, body));
  const caller = await stage.call();
  caller.socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await caller.until("keep-alive");
  caller.socket.end();
  for (let turns = 0; turns < 20; turns += 1) await turn();
  body.end("abc");
  expect(await caller.all()).toContain("3\r\nabc\r\n0\r\n\r\n");
});

const GONE = new PassThrough().destroy();

test.each([
  ["breaks off", {}, "2\r\nab\r\n", () => brokenOff()],
  [
    "is shorter than it says",
    { "content-length": "9" },
    "abc",
    () => Readable.from([Buffer.from("abc")]),
  ],
  [
    "is longer than it says",
    { "content-length": "2" },
    "",
    () => Readable.from([Buffer.from("abc")]),
  ],
  ["breaks off before it is over", { "content-length": "3" }, "ab", () => brokenOff()],
  ["broke off before it was passed on", {}, "", () => GONE],
])("the caller of a stream that %s sees that it is not whole", async (_, fields, sent, open) => {
  const stage = await http1Stage((each) => void each.pass(200, fields, open()));
  const caller = await stage.call();
  // Another request must not get what is left of this one.
  const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  caller.socket.write(request + request);
  const text = await caller.all();
  expect(text.slice(text.indexOf("\r\n\r\n") + 4)).toBe(sent);
});

function brokenOff(): Readable {
  const body = new PassThrough();
  body.write("ab");
  setImmediate(() => body.destroy(new Error("gone")));
  return body;
}

test("a stream is read no faster than its caller reads, and ends with it", async () => {
  let made = 0;
  const body = new Readable({
    read() {
      made += 1;
      this.push(Buffer.alloc(64 * 1024));
    },
  });
  let isOver = false;
  const stage = await http1Stage((each) => {
    void each.pass(200, {}, body).then(() => (isOver = true));
  });
  const caller = await stage.call();
  caller.socket.pause();
  caller.socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  let before = -1;
  await vi.waitFor(() => {
    const isStill = made > 0 && made === before;
    before = made;
    expect(isStill).toBe(true);
  });
  expect(made).toBeLessThan(500);
  expect(isOver).toBe(false);
  caller.socket.destroy();
  await vi.waitFor(() => expect(isOver).toBe(true));
  expect(body.destroyed).toBe(true);
});

test("what cannot be sent is refused before anything is, and another answer takes its place", async () => {
  const [head] = await answered(async (each) => {
    const body = Buffer.alloc(0);
    await expect(each.pass(200, { a: "b\r\nc: d" }, body)).rejects.toThrow(TypeError);
    await expect(each.pass(101, {}, body)).rejects.toThrow(RangeError);
    expect(() => each.answer(99, "", "")).toThrow(RangeError);
    expect(each.hasBegun).toBe(false);
    each.answer(502, "", "");
  });
  expect(head).toMatch(/^HTTP\/1.1 502 /);
});

test("who asks for an answer that has begun gets nothing more, and the stream is let go", async () => {
  const body = new PassThrough();
  await answered(async (each) => {
    each.answer(200, "", "a");
    await each.pass(200, {}, body);
    await turn();
  });
  await vi.waitFor(() => expect(body.destroyed).toBe(true));
});
