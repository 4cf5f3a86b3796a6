import { expect, test } from "vitest";

import { dateLine, fieldLines, statusLine } from "./answer-head.ts";

test("a status line has the usual words", () => {
  expect(statusLine(200)).toBe("HTTP/1.1 200 OK\r\n");
  expect(statusLine(429)).toBe("HTTP/1.1 429 Too Many Requests\r\n");
  expect(statusLine(799)).toBe("HTTP/1.1 799 unknown\r\n");
  for (const status of [0, 101, 199, 1000, 200.5, Number.NaN])
    expect(() => statusLine(status)).toThrow(RangeError);
});

test("each field is a line, a list several", () => {
  expect(fieldLines({ "content-type": "a/b", "set-cookie": ["a", "b"], "X-Id": "mïne" })).toBe(
    "content-type: a/b\r\nset-cookie: a\r\nset-cookie: b\r\nX-Id: mïne\r\n",
  );
});

test("a line is that of its own value, whatever the last one was", () => {
  for (const value of ["a", "b", "b", "a", "", "a"])
    expect(fieldLines({ "x-same": value })).toBe(`x-same: ${value}\r\n`);
});

test.each(["a\r\nset-cookie: b", "a\nb", "a\rb", "a\0", "a\x7f", "€"])(
  "the value %j splits no answer",
  (value) => {
    expect(() => fieldLines({ "x-request-id": value })).toThrow(TypeError);
    expect(() => fieldLines({ "x-request-id": ["a", value] })).toThrow(TypeError);
  },
);

test.each(["a b", "a:", "a\r\n", "", "ä"])("%j is no name", (name) => {
  expect(() => fieldLines({ [name]: "a" })).toThrow(TypeError);
});

test("the date is now, in the form of HTTP", () => {
  const before = Math.floor(Date.now() / 1000) * 1000;
  const match = /^Date: (\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT)\r\n$/.exec(dateLine());
  const at = Date.parse(match?.[1] ?? "");
  expect(at).toBeGreaterThanOrEqual(before);
  expect(at).toBeLessThanOrEqual(Date.now());
});
