import fc from "fast-check";
import { expect, test } from "vitest";

import { HeadReader, mayBecomeHead, readRequestHead } from "./request-head.ts";

function head(...lines: readonly string[]): string {
  return lines.map((line) => `${line}\r\n`).join("");
}

test("a plain request is read", () => {
  const read = readRequestHead(
    head("POST /v2/models/a/infer?x=1 HTTP/1.1", "Host: a:80", "Content-Length: 12", "X-A: b"),
  );
  expect(read).toEqual({
    method: "POST",
    target: "/v2/models/a/infer?x=1",
    fields: { list: ["host", "a:80", "content-length", "12", "x-a", "b"] },
    contentLength: 12,
    closes: false,
  });
});

test.each([
  ["keep-alive", false],
  ["Keep-Alive", false],
  ["close", true],
  ["Close", true],
])("connection: %s", (connection, closes) => {
  const read = readRequestHead(head("GET / HTTP/1.1", "Host: a", `Connection: ${connection}`));
  expect(read?.closes).toBe(closes);
  expect(read?.contentLength).toBe(0);
});

const HOST = "Host: a";
test.each([
  ["no Host", head("GET / HTTP/1.1")],
  ["an empty Host", head("GET / HTTP/1.1", "Host:")],
  ["two Hosts", head("GET / HTTP/1.1", HOST, HOST)],
  ["HTTP/1.0", head("GET / HTTP/1.0", HOST)],
  ["HTTP/2.0", head("PRI * HTTP/2.0", HOST)],
  ["a version in small letters", head("GET / http/1.1", HOST)],
  ["no version", head("GET /", HOST)],
  ["the absolute form", head("GET http://a/ HTTP/1.1", HOST)],
  ["the asterisk form", head("OPTIONS * HTTP/1.1", HOST)],
  ["CONNECT", head("CONNECT a:80 HTTP/1.1", HOST)],
  ["a method of its own", head("QUERY / HTTP/1.1", HOST)],
  ["a method in small letters", head("get / HTTP/1.1", HOST)],
  ["two spaces before the target", head("GET  / HTTP/1.1", HOST)],
  ["two spaces after the target", head("GET /  HTTP/1.1", HOST)],
  ["a tab in the line", head("GET\t/ HTTP/1.1", HOST)],
  ["a space at the end of the line", head("GET / HTTP/1.1 ", HOST)],
  ["a target beyond ASCII", head("GET /\xe4 HTTP/1.1", HOST)],
  ["NUL in the target", head("GET /\0 HTTP/1.1", HOST)],
  ["a fragment", head("GET /a#b HTTP/1.1", HOST)],
  ["an empty line first", head("", "GET / HTTP/1.1", HOST)],
  ["a bare LF after the line", `GET / HTTP/1.1\nHost: a\r\n`],
  ["a bare LF after a field", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n"],
  ["a folded line", head("GET / HTTP/1.1", HOST, "X: a", " b")],
  ["chunked", head("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked")],
  [
    "chunked and a length",
    head("POST / HTTP/1.1", HOST, "Content-Length: 1", "Transfer-Encoding: chunked"),
  ],
  ["identity", head("POST / HTTP/1.1", HOST, "Transfer-Encoding: identity")],
  ["a space before the colon", head("POST / HTTP/1.1", HOST, "Transfer-Encoding : chunked")],
  ["a length twice", head("POST / HTTP/1.1", HOST, "Content-Length: 1", "Content-Length: 1")],
  ["two lengths", head("POST / HTTP/1.1", HOST, "Content-Length: 1", "content-length: 2")],
  ["a list of lengths", head("POST / HTTP/1.1", HOST, "Content-Length: 1, 1")],
  ["a length with a sign", head("POST / HTTP/1.1", HOST, "Content-Length: +1")],
  ["a negative length", head("POST / HTTP/1.1", HOST, "Content-Length: -1")],
  ["a length in hex", head("POST / HTTP/1.1", HOST, "Content-Length: 0x1")],
  ["a length with a space", head("POST / HTTP/1.1", HOST, "Content-Length: 1 1")],
  ["an empty length", head("POST / HTTP/1.1", HOST, "Content-Length:")],
  [
    "a length beyond all bounds",
    head("POST / HTTP/1.1", HOST, "Content-Length: 99999999999999999"),
  ],
  ["an upgrade", head("GET / HTTP/1.1", HOST, "Upgrade: h2c")],
  ["an upgraded connection", head("GET / HTTP/1.1", HOST, "Connection: upgrade")],
  ["a list of options", head("GET / HTTP/1.1", HOST, "Connection: keep-alive, x-a")],
  ["proxy-connection", head("GET / HTTP/1.1", HOST, "Proxy-Connection: close")],
  ["an expectation", head("POST / HTTP/1.1", HOST, "Content-Length: 1", "Expect: 100-continue")],
  ["trailers announced", head("POST / HTTP/1.1", HOST, "Trailer: x")],
  ["a field twice", head("GET / HTTP/1.1", HOST, "Accept: a", "X: b", "ACCEPT: c")],
  ["nothing", ""],
])("%s is left to another parser", (_, text) => {
  expect(readRequestHead(text)).toBeNull();
});

const name = fc.stringMatching(/^[Xx]-[A-Za-z0-9]{1,6}$/);
const value = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,12}$/);
const plain = fc
  .record({
    method: fc.constantFrom("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
    target: fc.stringMatching(/^\/[!"$-~]{0,20}$/),
    length: fc.option(fc.nat(100_000)),
    fields: fc.uniqueArray(fc.tuple(name, value), {
      selector: ([each]) => each.toLowerCase(),
      maxLength: 6,
    }),
  })
  .map(({ method, target, length, fields }) => ({
    method,
    target,
    length,
    fields,
    text: head(
      `${method} ${target} HTTP/1.1`,
      ...fields.map((field) => field.join(": ")),
      "Host: a",
      ...(length === null ? [] : [`content-length: ${length}`]),
    ),
  }));

test("whatever is written in the plain form is read as it was meant", () => {
  fc.assert(
    fc.property(plain, ({ method, target, length, fields, text }) => {
      const read = readRequestHead(text);
      expect(read).toMatchObject({ method, target, contentLength: length ?? 0, closes: false });
      for (const [each, written] of fields)
        expect(read?.fields.get(each.toLowerCase())).toBe(
          written.replaceAll(/^[ \t]+|[ \t]+$/g, ""),
        );
    }),
  );
});

test("a connection's heads are read the same, whatever was read before", () => {
  const odd = head("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked");
  const long = head("GET / HTTP/1.1", HOST, `x: ${"y".repeat(2_000)}`);
  const texts = fc.uniqueArray(
    fc.oneof(
      plain.map(({ text }) => text),
      fc.constantFrom(odd, long),
    ),
    { minLength: 1, maxLength: 8 },
  );
  fc.assert(
    fc.property(texts, fc.array(fc.nat(), { maxLength: 40 }), fc.string(), (all, order, body) => {
      const reader = new HeadReader();
      for (const each of order) {
        const text = all[each % all.length] ?? "";
        const expected = readRequestHead(text);
        const whole = `${text}\r\n`;
        const known = reader.known(Buffer.from(whole + body, "latin1"));
        expect([null, { head: expected, end: whole.length }]).toContainEqual(known);
        // As it comes from a connection: equal, not the same.
        const again = Buffer.from(whole, "latin1").toString("latin1");
        expect(reader.read(again)).toEqual(expected);
      }
    }),
  );
});

test("a head that came before is known by its bytes, once all of it is there", () => {
  const reader = new HeadReader();
  const text = `${head("POST / HTTP/1.1", HOST, "Content-Length: 2")}\r\n`;
  const bytes = Buffer.from(`${text}{}`);
  expect(reader.known(bytes)).toBeNull();
  const first = reader.read(text);
  expect(reader.known(bytes)).toEqual({ head: first, end: text.length });
  expect(reader.known(bytes.subarray(0, text.length - 1))).toBeNull();
  expect(reader.known(Buffer.from(text.replace("POST", "PUT ")))).toBeNull();
});

test("every beginning of a plain head may become one", () => {
  fc.assert(
    fc.property(plain, ({ text }) => {
      for (let length = 0; length <= text.length; length += 1)
        if (!mayBecomeHead(text.slice(0, length))) throw new Error(text.slice(0, length));
    }),
  );
});

test.each([
  "\x16\x03\x01",
  "GET / HTTP/1.0\r\n",
  "PRI * HTTP/2.0\r\n",
  "GET / HTTP/1.1\n",
  "GET / HTTP/1.1\r\nHost: a\n",
  "GET / HTTP/1.1\r\nHost: a\0",
  "GET / HTTP/1.1\r\nHost : a",
  "GET / HTTP/1.1\r\n Host",
  "GET / HTTP/1.1\r\nHost: a\rb",
  "get /",
  "GET http://",
  "\r\n",
  "\n",
])("%j is not waited for", (text) => {
  expect(mayBecomeHead(text)).toBe(false);
});
