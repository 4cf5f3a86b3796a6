import fc from "fast-check";
import { expect, test } from "vitest";

import { AnswerInvalid } from "./upstream-failure.ts";
import { readAnswerHead } from "./upstream-head.ts";

function head(...lines: readonly string[]): string {
  return lines.map((line) => `${line}\r\n`).join("");
}

function framing(...lines: readonly string[]): unknown {
  return readAnswerHead(head("HTTP/1.1 200 OK", ...lines), false).framing;
}

function kept(hint: string): unknown {
  return readAnswerHead(head("HTTP/1.1 200 OK", `Keep-Alive: ${hint}`), false).keptMs;
}

test("a head says how its body ends", () => {
  expect(framing("Content-Length: 12")).toBe(12);
  expect(framing("content-length:\t0 ")).toBe(0);
  expect(framing("Transfer-Encoding: Chunked")).toBe("chunked");
  expect(framing()).toBe("close");
});

test.each([
  ["HTTP/1.1 204 No Content", false],
  ["HTTP/1.1 304 Not Modified", false],
  ["HTTP/1.1 103 Early Hints", false],
  ["HTTP/1.1 200 OK", true],
])("no body comes with %s, HEAD asked: %s", (line, isHead) => {
  const lines = [line, "content-length: 5"];
  expect(readAnswerHead(head(...lines), isHead)).toMatchObject({ framing: 0, isKept: true });
});

test.each([
  ["HTTP/1.1 200 OK", "", true],
  ["HTTP/1.1 200 OK", "keep-alive", true],
  ["HTTP/1.1 200 OK", "Close", false],
  ["HTTP/1.1 200 OK", "x, close", false],
  ["HTTP/1.0 200 OK", "", false],
  ["HTTP/1.0 200 OK", "Keep-Alive", true],
])("%s with connection %j is kept: %s", (line, connection, isKept) => {
  const lines = [line, "content-length: 1"];
  if (connection !== "") lines.push(`Connection: ${connection}`);
  expect(readAnswerHead(head(...lines), false).isKept).toBe(isKept);
});

test("a server says how long it keeps a connection", () => {
  expect(kept("timeout=5, max=100")).toBe(5_000);
  expect(kept("max=100, TIMEOUT = 7")).toBe(7_000);
  expect(kept("max=100")).toBeNull();
  expect(kept("timeout=soon")).toBeNull();
});

test.each([
  ["two lengths", "content-length: 1", "content-length: 1"],
  ["a list of lengths", "content-length: 1, 1"],
  ["a negative length", "content-length: -1"],
  ["a signed length", "content-length: +1"],
  ["a hexadecimal length", "content-length: 0x1"],
  ["an empty length", "content-length:"],
  ["a length past what is exact", "content-length: 99999999999999999999"],
  ["a length and chunks", "content-length: 1", "transfer-encoding: chunked"],
  ["chunks and a length", "transfer-encoding: chunked", "content-length: 1"],
  ["two codings", "transfer-encoding: chunked", "transfer-encoding: chunked"],
  ["a coding before chunks", "transfer-encoding: gzip, chunked"],
  ["another coding", "transfer-encoding: identity"],
  ["a coding like chunked", "transfer-encoding: \x0bchunked"],
  ["a folded line", "x-a: 1", " folded"],
  ["a space before the colon", "content-length : 1"],
  ["no colon", "content-length"],
  ["no name", ": 1"],
  ["a bare line feed", "x-a: 1\ncontent-length: 1"],
  ["a bare carriage return", "x-a: 1\rcontent-length: 1"],
  ["NUL", "x-a: \0"],
])("%s is refused", (_what, ...lines) => {
  expect(() => readAnswerHead(head("HTTP/1.1 200 OK", ...lines), false)).toThrow(AnswerInvalid);
});

test.each([
  "HTTP/1.1 20 OK",
  "HTTP/1.1 2000 OK",
  "HTTP/1.1 099 OK",
  "HTTP/1.1  200 OK",
  "HTTP/2 200",
  "HTTP/1.2 200 OK",
  "http/1.1 200 OK",
  " HTTP/1.1 200 OK",
  "HTTP/1.1 200 O\0K",
  "HTTP/1.1 200 O\nK",
  "",
])("%j is no status line", (line) => {
  expect(() => readAnswerHead(head(line), false)).toThrow(AnswerInvalid);
});

test("an old server's chunks are refused", () => {
  const lines = ["HTTP/1.0 200 OK", "transfer-encoding: chunked"];
  expect(() => readAnswerHead(head(...lines), false)).toThrow("HTTP/1.0");
});

function isReadOrRefused(text: string): boolean {
  try {
    return readAnswerHead(text, false).status > 99;
  } catch (error) {
    return error instanceof AnswerInvalid;
  }
}

test("whatever text comes, it is read or refused", () => {
  const anything = fc
    .uint8Array({ maxLength: 60 })
    .map((bytes) => Buffer.from(bytes).toString("latin1"));
  const near = fc
    .array(
      fc.oneof(
        anything,
        fc.constantFrom("\r\n", ":", " ", "content-length: 3", "HTTP/1.1 200 OK", "\r", "\n"),
      ),
    )
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.oneof(anything, near), (text) => {
      expect(isReadOrRefused(text)).toBe(true);
    }),
  );
});
