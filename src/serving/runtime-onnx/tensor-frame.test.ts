import fc from "fast-check";
import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import {
  allocate,
  DTYPES,
  elementCount,
  type DType,
  type Tensor,
} from "../../core/tensor/index.ts";
import { encodeFrame, FrameReader } from "../../link/peer/index.ts";
import {
  decodeTensors,
  encodeTensors,
  readFrameTensors,
  type FrameTensor,
} from "./tensor-frame.ts";

function dataOf(dtype: DType, length: number, bytes: Uint8Array, texts: readonly string[]) {
  if (dtype === "BYTES")
    return Array.from({ length }, (_, index) => texts[index % texts.length] ?? "");
  const data = allocate(dtype, length);
  const raw = new Uint8Array(data.buffer);
  raw.forEach((_, index) => (raw[index] = bytes[index % bytes.length] ?? 0));
  return data;
}

const tensor = fc
  .record({
    name: fc.string(),
    dtype: fc.constantFrom(...DTYPES),
    shape: fc.array(fc.nat(4), { maxLength: 3 }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 64 }),
    texts: fc.array(fc.string({ unit: "grapheme" }), { minLength: 1, maxLength: 5 }),
  })
  .map(({ name, dtype, shape, bytes, texts }): Tensor => ({
    name,
    dtype,
    shape,
    data: dataOf(dtype, elementCount(shape), bytes, texts),
  }));

/** Bits, because NaN differs from itself. */
function bits({ name, dtype, shape, data }: Tensor) {
  const elements = ArrayBuffer.isView(data)
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex")
    : data;
  return { name, dtype, shape, elements };
}

function throughASocket(tensors: readonly Tensor[], cut: number): Tensor[] {
  const encoded = encodeTensors(tensors.map((each) => ({ ...each, parts: [each.data] })));
  const stream = Buffer.concat(encodeFrame(7, "run", encoded.tensors, encoded.payload));
  const reader = new FrameReader();
  const at = Math.min(cut, stream.length);
  const frames = [stream.subarray(0, at), stream.subarray(at)].flatMap((part) => reader.push(part));
  const [frame] = frames;
  return frame === undefined ? [] : decodeTensors(frame.body as FrameTensor[], frame.payload);
}

test("tensors of every element type come through a cut byte stream bit by bit", () => {
  fc.assert(
    fc.property(fc.array(tensor, { minLength: 1, maxLength: 4 }), fc.nat(200), (tensors, cut) => {
      expect(throughASocket(tensors, cut).map(bits)).toEqual(tensors.map(bits));
    }),
  );
});

test("a payload above the copying limit goes out piece by piece and comes in whole", () => {
  const parts = [new Float64Array(9_000).fill(1.5), new Float64Array(1).fill(2.5)];
  const { tensors, payload } = encodeTensors([{ name: "x", dtype: "FP64", shape: [9_001], parts }]);
  expect(payload).toHaveLength(2);
  const [decoded] = decodeTensors(tensors, Buffer.concat(payload));
  expect(decoded?.data.length).toBe(9_001);
  expect([decoded?.data[8_999], decoded?.data[9_000]]).toEqual([1.5, 2.5]);
});

test("numbers at an odd place of a buffer are copied, not misread", () => {
  const bytes = Buffer.concat([Buffer.of(0), Buffer.from(Float32Array.of(1, 2).buffer)]).subarray(
    1,
  );
  const [decoded] = decodeTensors([{ name: "x", dtype: "FP32", shape: [2], bytes: 8 }], bytes);
  expect([...(decoded?.data ?? [])]).toEqual([1, 2]);
});

function decodedLengths(entries: readonly FrameTensor[], payload: Buffer): unknown {
  try {
    return decodeTensors(entries, payload).map((each) => each.data.length);
  } catch (error) {
    return LastgoodError.from(error).code;
  }
}

test("lengths that do not fit are refused, whatever they are", () => {
  const entry = fc.record({
    name: fc.string(),
    dtype: fc.constantFrom(...DTYPES),
    shape: fc.array(fc.nat(2 ** 40), { maxLength: 4 }),
    bytes: fc.nat(100),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 3 }), fc.uint8Array(), (entries, payload) => {
      const lengths = decodedLengths(entries, Buffer.from(payload));
      expect(lengths).toSatisfy(
        (found: unknown) =>
          found === "link.invalid" ||
          JSON.stringify(found) === JSON.stringify(entries.map(({ shape }) => elementCount(shape))),
      );
    }),
  );
});

const ENTRY: FrameTensor = { name: "x", dtype: "FP32", shape: [1, 2], bytes: 8 };

test.for<readonly [string, unknown]>([
  ["nothing", undefined],
  ["no list", { 0: ENTRY }],
  ["null", [null]],
  ["a text", ["x"]],
  ["no name", [{ ...ENTRY, name: 1 }]],
  ["another type", [{ ...ENTRY, dtype: "toString" }]],
  ["no shape", [{ ...ENTRY, shape: "12" }]],
  ["a negative axis", [{ ...ENTRY, shape: [-1] }]],
  ["half an axis", [{ ...ENTRY, shape: [0.5] }]],
  ["an axis of text", [{ ...ENTRY, shape: ["1"] }]],
  ["no length", [{ ...ENTRY, bytes: null }]],
  ["a negative length", [ENTRY, { ...ENTRY, bytes: -8 }]],
])("a frame's header with %s is refused", ([, entries]) => {
  expect(() => readFrameTensors(entries)).toThrow(
    expect.objectContaining({ code: "link.invalid" }),
  );
  expect(readFrameTensors([ENTRY, ENTRY])).toEqual([ENTRY, ENTRY]);
});
