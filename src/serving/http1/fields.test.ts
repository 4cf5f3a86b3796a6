import fc from "fast-check";
import { expect, test } from "vitest";

import {
  contentLengthOf,
  isFieldValue,
  isToken,
  MAX_FIELDS,
  readFields,
  type Fields,
} from "./fields.ts";

function listOf(text: string): readonly string[] | null {
  return readFields(text, 0)?.list ?? null;
}

test("names come in lower case, values without the white space around them, in their order", () => {
  const text =
    "Host: a\r\nX-Request-Id:b\r\nempty:\r\nx_y.z!#$%&'*+-^`|~: \t c\t d \t\r\nhost: e\r\n";
  const fields = readFields(`GET / HTTP/1.1\r\n${text}`, 16) as Fields;
  const read = "host,a,x-request-id,b,empty,,x_y.z!#$%&'*+-^`|~,c\t d,host,e";
  expect(fields.list.join(",")).toBe(read);
  expect(fields.get("host")).toBe("a");
  expect(fields.count("host")).toBe(2);
  expect(fields.get("empty")).toBe("");
  expect(fields.get("no")).toBeNull();
  expect(fields.count("no")).toBe(0);
});

test("a head may have no fields", () => {
  expect(listOf("")).toEqual([]);
});

test("a value may have any character beyond ASCII that is one byte", () => {
  expect(listOf("a: \x80ï\xff\r\n")).toEqual(["a", "\x80ï\xff"]);
});

test.each([
  ["a field without a colon", "a\r\n"],
  ["no name", ": b\r\n"],
  ["white space before the colon", "transfer-encoding : chunked\r\n"],
  ["white space before the name", " a: b\r\n"],
  ["a folded line", "a: b\r\n c\r\n"],
  ["a folded line by tab", "a: b\r\n\tc\r\n"],
  ["a lone LF", "a: b\nc: d\r\n"],
  ["a lone CR", "a: b\rc: d\r\n"],
  ["CR CR LF", "a: b\r\r\n"],
  ["NUL in a value", "a: b\0\r\n"],
  ["NUL in a name", "a\0: b\r\n"],
  ["DEL in a value", "a: b\x7f\r\n"],
  ["an escape in a value", "a: \x1b\r\n"],
  ["a name beyond ASCII", "ä: b\r\n"],
  ["a separator in a name", "a(b): c\r\n"],
  ["no CRLF at the end", "a: b"],
  ["a CR at the end", "a: b\r"],
  ["an empty line", "a: b\r\n\r\n"],
  ["a character that is no byte", "a: \u0100\r\n"],
  ["a name that is no byte", "a\u0161: b\r\n"],
])("%s is refused", (_, text) => {
  expect(readFields(text, 0)).toBeNull();
});

test("more lines than the limit are refused", () => {
  expect(listOf("a: b\r\n".repeat(MAX_FIELDS))).toHaveLength(2 * MAX_FIELDS);
  expect(listOf("a: b\r\n".repeat(MAX_FIELDS + 1))).toBeNull();
});

const withoutBlanks = (text: string): string => text.replaceAll(/^[ \t]+|[ \t]+$/g, "");
const token = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/);
const value = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]*$/);

test("what is written as fields is read as the same fields", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(token, value), { maxLength: 20 }), (pairs) => {
      const text = pairs.map((pair) => `${pair.join(":")}\r\n`).join("");
      expect(listOf(text)).toEqual(
        pairs.flatMap(([name, raw]) => [name.toLowerCase(), withoutBlanks(raw)]),
      );
    }),
  );
});

test("what is read has the strict form, whatever the bytes", () => {
  const bytes = fc.string({
    unit: fc.constantFrom(..."aB:\r\n \t\0-(é\x7f".split(""), "\r\n", ": "),
    maxLength: 30,
  });
  const strict = /^(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/;
  fc.assert(
    fc.property(bytes, (text) => {
      expect(readFields(text, 0) !== null).toBe(strict.test(text));
    }),
    { numRuns: 2_000 },
  );
});

test("tokens and values are told from what would end a line", () => {
  expect(["GET", "x-y", "!", "", "a b", "a:", "ä", "a\r"].map(isToken)).toEqual(
    [true, true, true, false, false, false, false, false], //
  );
  expect(["", "a b\té", "a\r\nb: c", "a\n", "\0", "\x7f", "\u0100", "€"].map(isFieldValue)).toEqual(
    [true, true, false, false, false, false, false, false], //
  );
});

test("a content length is digits and nothing else", () => {
  expect(["0", "007", "123456789012345"].map(contentLengthOf)).toEqual([0, 7, 123_456_789_012_345]);
  for (const bad of [
    "",
    "+1",
    "-1",
    " 1",
    "1 ",
    "1,1",
    "0x1",
    "1e3",
    "1.0",
    "١",
    "1234567890123456",
  ])
    expect(contentLengthOf(bad)).toBeNull();
});
