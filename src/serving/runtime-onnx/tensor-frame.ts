import { z } from "zod";

import { LastgoodError } from "../../core/errors/index.ts";
import {
  DTYPES,
  ELEMENT_BYTES,
  elementCount,
  type DType,
  type Tensor,
  type TensorData,
} from "../../core/tensor/index.ts";

/** What the header of a frame says of one tensor; its bytes follow in the payload, in order. */
export const frameTensorSchema = z.object({
  name: z.string(),
  dtype: z.enum(DTYPES),
  shape: z.array(z.number().int().nonnegative()),
  /** Length in the payload without the padding behind it. */
  bytes: z.number().int().nonnegative(),
});

/** What the header of a frame says of one tensor. */
export type FrameTensor = z.infer<typeof frameTensorSchema>;

/** A tensor whose elements lie in several pieces, one after the other. */
export interface TensorParts {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly parts: readonly TensorData[];
}

/** Every tensor's bytes begin at a multiple of this, so that they can be read in place. */
const ALIGNMENT = 8;
/** Payloads up to this size are copied into one chunk: many small writes cost more than the copy. */
const COPY_BELOW_BYTES = 64 * 1024;
const PADDING = new Uint8Array(ALIGNMENT);

function paddingAfter(bytes: number): number {
  return (ALIGNMENT - (bytes % ALIGNMENT)) % ALIGNMENT;
}

function isText(data: TensorData): data is readonly string[] {
  return Array.isArray(data);
}

function encodeText(strings: readonly string[]): Buffer {
  const lengths = strings.map((text) => Buffer.byteLength(text));
  const bytes = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + 4 + length, 0));
  let at = 0;
  strings.forEach((text, index) => {
    at = bytes.writeUInt32LE(lengths[index] ?? 0, at);
    at += bytes.write(text, at);
  });
  return bytes;
}

function partBytes(part: TensorData): Uint8Array {
  if (isText(part)) return encodeText(part);
  return new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
}

/**
 * Tensors as header entries and payload chunks: elements little-endian as they lie in memory (every
 * platform of the engine is), each tensor padded to 8 bytes; BYTES as u32 length and UTF-8 text.
 */
export function encodeTensors(tensors: readonly TensorParts[]): {
  readonly tensors: FrameTensor[];
  readonly payload: Uint8Array[];
} {
  const chunks: Uint8Array[] = [];
  let total = 0;
  const entries = tensors.map(({ name, dtype, shape, parts }): FrameTensor => {
    let bytes = 0;
    for (const part of parts) {
      const chunk = partBytes(part);
      chunks.push(chunk);
      bytes += chunk.byteLength;
    }
    const padding = paddingAfter(bytes);
    if (padding > 0) chunks.push(PADDING.subarray(0, padding));
    total += bytes + padding;
    return { name, dtype, shape: [...shape], bytes };
  });
  const payload = total <= COPY_BELOW_BYTES && chunks.length > 1 ? [Buffer.concat(chunks)] : chunks;
  return { tensors: entries, payload };
}

function invalid(name: string, what: string): LastgoodError {
  return new LastgoodError("link.invalid", `tensor ${name} of a frame ${what}`);
}

function decodeText(entry: FrameTensor, bytes: Buffer): string[] {
  const strings: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) throw invalid(entry.name, "ends inside a length");
    const end = at + 4 + bytes.readUInt32LE(at);
    if (end > bytes.length) throw invalid(entry.name, "ends inside a string");
    strings.push(bytes.toString("utf8", at + 4, end));
    at = end;
  }
  if (strings.length !== elementCount(entry.shape))
    throw invalid(
      entry.name,
      `has ${strings.length} strings for shape [${entry.shape.join(", ")}]`,
    );
  return strings;
}

type NumericDType = Exclude<DType, "BYTES">;

/** Elements of the payload, in place where they are aligned, else copied. */
function numericView(dtype: NumericDType, bytes: Uint8Array): TensorData {
  const aligned = bytes.byteOffset % ELEMENT_BYTES[dtype] === 0 ? bytes : new Uint8Array(bytes);
  const { buffer, byteOffset } = aligned;
  const length = aligned.byteLength / ELEMENT_BYTES[dtype];
  switch (dtype) {
    case "BOOL":
    case "UINT8":
      return new Uint8Array(buffer, byteOffset, length);
    case "UINT16":
    case "FP16":
      return new Uint16Array(buffer, byteOffset, length);
    case "UINT32":
      return new Uint32Array(buffer, byteOffset, length);
    case "UINT64":
      return new BigUint64Array(buffer, byteOffset, length);
    case "INT8":
      return new Int8Array(buffer, byteOffset, length);
    case "INT16":
      return new Int16Array(buffer, byteOffset, length);
    case "INT32":
      return new Int32Array(buffer, byteOffset, length);
    case "INT64":
      return new BigInt64Array(buffer, byteOffset, length);
    case "FP32":
      return new Float32Array(buffer, byteOffset, length);
    case "FP64":
      return new Float64Array(buffer, byteOffset, length);
  }
}

/**
 * The tensors that `entries` describe.
 * @throws `link.invalid` when lengths, shapes and payload do not agree.
 */
export function decodeTensors(entries: readonly FrameTensor[], payload: Buffer): Tensor[] {
  let at = 0;
  const tensors = entries.map((entry): Tensor => {
    const end = at + entry.bytes;
    if (end > payload.length) throw invalid(entry.name, "ends behind the payload");
    const bytes = payload.subarray(at, end);
    at = end + paddingAfter(entry.bytes);
    const { name, dtype, shape } = entry;
    if (dtype === "BYTES") return { name, dtype, shape, data: decodeText(entry, bytes) };
    if (elementCount(shape) * ELEMENT_BYTES[dtype] !== entry.bytes)
      throw invalid(name, `has ${entry.bytes} bytes for ${dtype} [${shape.join(", ")}]`);
    return { name, dtype, shape, data: numericView(dtype, bytes) };
  });
  if (at !== payload.length)
    throw new LastgoodError(
      "link.invalid",
      `a frame's payload has ${payload.length} bytes, not ${at}`,
    );
  return tensors;
}
