import fc from "fast-check";
import { expect, test } from "vitest";

import { codeOf } from "../../../test/support/refusal.ts";
import { encodeFrame, FrameReader, MAX_FRAME_BYTES, type Frame } from "./frame.ts";

const frame = fc.record({
  id: fc.nat(),
  kind: fc.string(),
  body: fc.jsonValue(),
  payload: fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 3 }),
});
type Sent = typeof frame extends fc.Arbitrary<infer T> ? T : never;

function bytesOf(sent: readonly Sent[]): Buffer {
  return Buffer.concat(
    sent.flatMap(({ id, kind, body, payload }) => encodeFrame(id, kind, body, payload)),
  );
}

/** The bytes cut at these places, wherever they fall. */
function chunked(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b);
  return [...places, bytes.length].map((end, index) => bytes.subarray(places[index - 1] ?? 0, end));
}

function received(sent: Sent): Frame {
  return {
    v: 1,
    id: sent.id,
    kind: sent.kind,
    body: JSON.parse(JSON.stringify(sent.body)),
    payload: Buffer.concat(sent.payload),
  };
}

test("however a stream is cut, the same frames come out in order", () => {
  const cuts = fc.array(fc.nat({ max: 4_000 }), { maxLength: 12 });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 5 }), cuts, (sent, places) => {
      const reader = new FrameReader();
      const frames = chunked(bytesOf(sent), places).flatMap((chunk) => reader.push(chunk));
      expect(frames).toEqual(sent.map(received));
    }),
    { numRuns: 300 },
  );
});

test("byte by byte, each frame comes with its last byte and not before", () => {
  const bytes = bytesOf([{ id: 7, kind: "k", body: { a: 1 }, payload: [Uint8Array.of(1, 2, 3)] }]);
  const reader = new FrameReader();
  const counts = [...bytes].map((byte) => reader.push(Buffer.of(byte)).length);
  expect(counts.slice(0, -1).every((count) => count === 0)).toBe(true);
  expect(counts.at(-1)).toBe(1);
});

test("payloads begin where numbers in them can be read in place", () => {
  fc.assert(
    fc.property(fc.string(), fc.jsonValue(), (kind, body) => {
      const [head] = encodeFrame(1, kind, body, [Uint8Array.of(1)]);
      expect(head?.readUInt32BE(4)).toSatisfy((headerBytes: number) => headerBytes % 8 === 0);
    }),
  );
});

test("a truncated stream gives what was whole and waits for the rest", () => {
  fc.assert(
    fc.property(frame, frame, fc.nat(), (first, second, cut) => {
      const whole = bytesOf([first]);
      const rest = bytesOf([second]);
      const reader = new FrameReader();
      const some = Buffer.concat([whole, rest.subarray(0, cut % rest.length)]);
      expect(reader.push(some)).toEqual([received(first)]);
    }),
  );
});

test("garbage gives frames, nothing or link.invalid, never anything else", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 6 }), (chunks) => {
      const reader = new FrameReader();
      const code = codeOf(() => chunks.map((chunk) => reader.push(Buffer.from(chunk))));
      expect([null, "link.invalid"]).toContain(code);
    }),
    { numRuns: 500 },
  );
});

test("one flipped byte gives other frames, nothing yet or link.invalid", () => {
  fc.assert(
    fc.property(frame, fc.nat(), fc.integer({ min: 1, max: 255 }), (sent, place, flip) => {
      const bytes = bytesOf([sent]);
      const at = place % bytes.length;
      bytes[at] = (bytes[at] ?? 0) ^ flip;
      let frames: readonly Frame[] = [];
      const code = codeOf(() => {
        frames = new FrameReader().push(bytes);
      });
      expect([null, "link.invalid"]).toContain(code);
      expect(frames.length).toBeLessThanOrEqual(1);
    }),
    { numRuns: 500 },
  );
});

function raw(length: number, headerLength: number, header = ""): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeUInt32BE(length, 0);
  prefix.writeUInt32BE(headerLength, 4);
  return Buffer.concat([prefix, Buffer.from(header)]);
}

const wrong: readonly (readonly [string, Buffer])[] = [
  ["a length above the limit", raw(MAX_FRAME_BYTES + 1, 2)],
  ["the greatest length there is", raw(0xffff_ffff, 2)],
  ["a header longer than the frame", raw(2, 3)],
  ["an empty header", raw(0, 0)],
  ["a header that is no JSON", raw(3, 3, "{a}")],
  ["a header that is no object", raw(4, 4, "null")],
  ["a header of another version", raw(27, 27, '{"v":2,"id":1,"kind":"k"   }')],
  ["a header without an id", raw(18, 18, '{"v":1,"kind":"k"}')],
  ["a kind that is no text", raw(23, 23, '{"v":1,"id":1,"kind":1}')],
  ["HTTP", Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n")],
];
for (const [what, bytes] of wrong)
  test(`${what} is link.invalid as soon as it can be seen`, () => {
    expect(() => new FrameReader().push(bytes)).toThrowError(
      expect.objectContaining({ code: "link.invalid" }),
    );
  });

test("a frame that the other side would not accept is not sent", () => {
  // Nothing is copied: the same megabyte 257 times.
  const megabyte = new Uint8Array(1024 * 1024);
  expect(() =>
    encodeFrame(
      1,
      "k",
      null,
      Array.from({ length: 257 }, () => megabyte),
    ),
  ).toThrowError(expect.objectContaining({ code: "link.invalid" }));
});
