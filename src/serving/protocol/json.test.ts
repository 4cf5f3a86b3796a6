import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { parseJson, utf8Text } from "./json.ts";

const exact = { exactIntegers: true, pythonNumbers: false };
const python = { exactIntegers: false, pythonNumbers: true };

test("integers of 16 digits and more are exact, shorter ones stay numbers", () => {
  expect(parseJson("[9007199254740993, -9223372036854775808, 1, 1.5, 1e20]", exact)).toEqual([
    9_007_199_254_740_993n,
    -(2n ** 63n),
    1,
    1.5,
    1e20,
  ]);
  expect(parseJson('["9007199254740993"]', exact)).toEqual(["9007199254740993"]);
});

test("floats of many digits stay numbers, with and without a long integer beside them", () => {
  expect(
    parseJson("[0.9432185292243958, -1.5e0000000000000000001, 12345678.123456789012]", exact),
  ).toEqual([0.9432185292243958, -15, 12_345_678.123_456_789]);
  expect(parseJson("[0.9432185292243958,9007199254740993]", exact)).toEqual([
    0.9432185292243958,
    9_007_199_254_740_993n,
  ]);
});

test("a number of a million digits costs nothing and stays a number", () => {
  expect(parseJson(`[${"9".repeat(1_000_000)}]`, exact)).toEqual([Infinity]);
});

test("Python's NaN and Infinity are read where they are asked for, and left alone in strings", () => {
  expect(parseJson('[NaN, -Infinity, Infinity, "NaN \\" Infinity"]', python)).toEqual([
    null,
    -Infinity,
    Infinity,
    'NaN " Infinity',
  ]);
  expect(() => parseJson("[NaN]", exact)).toThrow(LastgoodError);
});

test("what is not JSON is the caller's mistake, however it is broken", () => {
  const deep = 200_000;
  const texts = ["", "{", "NaN1", `${"[".repeat(deep)}NaN`, `"${"a".repeat(1_000_000)}NaN`, "[1,]"];
  texts.push(`NaN"${'\\"'.repeat(500_000)}`, `NaN"${'\\"'.repeat(500_000)}\\`);
  for (const text of texts) {
    for (const reading of [exact, python]) {
      expect(() => parseJson(text, reading)).toThrow(/^the body is not JSON|nested too deeply/);
    }
  }
});

test("nesting too deep for exact integers is refused, never a crash", () => {
  const deep = 200_000;
  const text = `${"[".repeat(deep)}9007199254740993${"]".repeat(deep)}`;
  let thrown: unknown = null;
  try {
    parseJson(text, exact);
  } catch (error) {
    thrown = error;
  }
  expect(thrown === null || thrown instanceof LastgoodError).toBe(true);
});

test("a body that is not UTF-8 is refused", () => {
  expect(() => utf8Text(Buffer.of(0xff, 0xfe))).toThrow("the body is not UTF-8 text");
  expect(utf8Text(Buffer.from("ü"))).toBe("ü");
});
