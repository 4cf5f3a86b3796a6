import fc from "fast-check";
import { expect, test } from "vitest";

import { ChunkedBody } from "./upstream-chunks.ts";
import { AnswerInvalid } from "./upstream-failure.ts";

interface ReadBody {
  readonly body: string;
  /** Bytes behind the end, or -1 where there was no end. */
  readonly behind: number;
}

/** Reads `text` in parts that end where `cuts` say. */
function readIn(text: string, cuts: readonly number[]): ReadBody {
  const reader = new ChunkedBody();
  const bytes = Buffer.from(text, "latin1");
  const kept: Buffer[] = [];
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    const part = bytes.subarray(from, cut);
    const end = reader.read(part, 0, (taken) => kept.push(Buffer.from(taken)));
    if (end >= 0)
      return { body: Buffer.concat(kept).toString("latin1"), behind: bytes.length - from - end };
    from = cut;
  }
  return { body: Buffer.concat(kept).toString("latin1"), behind: -1 };
}

const WHOLE = '4;a=b;c="d"\r\nabcd\r\nA;x="\\"";y\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nrest';

test("chunks, extensions and trailers are taken off, wherever the parts end", () => {
  for (let one = 0; one <= WHOLE.length; one += 1)
    for (let other = one; other <= WHOLE.length; other += 1) {
      const { body, behind } = readIn(WHOLE, [one, other]);
      expect(body).toBe("abcd0123456789");
      // What is left of the part that the body ended in; the next ones are not given to it.
      expect(behind).toBeGreaterThanOrEqual(0);
      expect(behind).toBeLessThanOrEqual(4);
    }
  expect(readIn(WHOLE, []).behind).toBe(4);
});

test("any body comes through in any chunks and parts", () => {
  const chunk = fc.uint8Array({ minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(fc.array(chunk), fc.array(fc.nat(400)), (chunks, places) => {
      const bodies = chunks.map((each) => Buffer.from(each).toString("latin1"));
      const text = bodies.map((each) => `${each.length.toString(16)}\r\n${each}\r\n`).join("");
      const cuts = places
        .map((place) => Math.min(place, text.length))
        .toSorted((one, other) => one - other);
      expect(readIn(`${text}0\r\n\r\n`, cuts)).toEqual({ body: bodies.join(""), behind: 0 });
    }),
  );
});

test.each([
  ["no size", "\r\nabc"],
  ["a size that is no number", "xyz\r\n"],
  ["a size with a sign", "+4\r\nabcd\r\n0\r\n\r\n"],
  ["a size with a prefix", "0x4\r\nabcd\r\n0\r\n\r\n"],
  ["a space behind the size", "4 \r\nabcd\r\n0\r\n\r\n"],
  ["a space in an extension", "4;x =y\r\nabcd\r\n0\r\n\r\n"],
  ["a quote without end", '4;x="y\r\nabcd\r\n0\r\n\r\n'],
  ["a space before an extension", "4 ;x\r\nabcd\r\n0\r\n\r\n"],
  ["a space before the size", " 4\r\nabcd\r\n0\r\n\r\n"],
  ["a size past what is exact", `${"f".repeat(14)}\r\n`],
  ["a bare line feed behind the size", "4\nabcd\r\n0\r\n\r\n"],
  ["a bare carriage return in an extension", "4;a\rb\r\nabcd\r\n0\r\n\r\n"],
  ["more than the size", "4\r\nabcde\r\n0\r\n\r\n"],
  ["a bare line feed behind a chunk", "4\r\nabcd\n0\r\n\r\n"],
  ["a trailer without a colon", "0\r\nx\r\n\r\n"],
  ["a folded trailer", "0\r\nx: 1\r\n y\r\n\r\n"],
  ["a line without end", "4".repeat(5_000)],
  ["trailers without end", `0\r\n${`x: ${"y".repeat(1_000)}\r\n`.repeat(20)}`],
])("%s is refused", (_what, text) => {
  expect(() => readIn(text, [])).toThrow(AnswerInvalid);
  const everywhere = Array.from({ length: text.length }, (_, at) => at);
  expect(() => readIn(text, everywhere)).toThrow(AnswerInvalid);
});
