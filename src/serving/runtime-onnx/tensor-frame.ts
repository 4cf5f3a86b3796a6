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
export interface FrameTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Length in the payload without the padding behind it. */
  readonly bytes: number;
}

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

/** Elements of a part, and of text its bytes. */
type Numbers = Exclude<TensorData, readonly string[]>;

function numbersOf(data: TensorData): Numbers {
  return isText(data) ? encodeText(data) : data;
}

interface Encoded {
  readonly entry: FrameTensor;
  readonly parts: readonly Numbers[];
}

/** All of it in one piece. */
function whole(encoded: readonly Encoded[], total: number): Uint8Array {
  const payload = new Uint8Array(total);
  let at = 0;
  for (const { entry, parts } of encoded) {
    const { dtype, bytes } = entry;
    let to: Numbers = payload;
    let from = at;
    if (dtype !== "BYTES") {
      to = numericView(dtype, payload.subarray(at, at + bytes));
      from = 0;
    }
    for (const part of parts) {
      // Element by element: to look at a part's memory moves a small one out of the heap for it.
      (to as Uint8Array).set(part as Uint8Array, from);
      from += part.length;
    }
    at += bytes + paddingAfter(bytes);
  }
  return payload;
}

function chunksOf({ entry, parts }: Encoded): readonly Uint8Array[] {
  const chunks = parts.map((part) => new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  const padding = paddingAfter(entry.bytes);
  return padding === 0 ? chunks : [...chunks, PADDING.subarray(0, padding)];
}

/**
 * Tensors as header entries and payload chunks: elements little-endian as they lie in memory (every
 * platform of the engine is), each tensor padded to 8 bytes; BYTES as u32 length and UTF-8 text.
 */
export function encodeTensors(tensors: readonly TensorParts[]): {
  readonly tensors: readonly FrameTensor[];
  readonly payload: readonly Uint8Array[];
} {
  let total = 0;
  const encoded = tensors.map(({ name, dtype, shape, parts: given }): Encoded => {
    const parts = given.map(numbersOf);
    let bytes = 0;
    for (const part of parts) bytes += part.byteLength;
    total += bytes + paddingAfter(bytes);
    return { entry: { name, dtype, shape, bytes }, parts };
  });
  const payload = total <= COPY_BELOW_BYTES ? [whole(encoded, total)] : encoded.flatMap(chunksOf);
  return { tensors: encoded.map(({ entry }) => entry), payload };
}

function invalid(name: string, what: string): LastgoodError {
  return new LastgoodError("link.invalid", `tensor ${name} of a frame ${what}`);
}

/** What came of one tensor; what else was said of it is not looked at here. */
export type ReadTensor = FrameTensor & { readonly keys?: unknown };

const KNOWN_DTYPES: ReadonlySet<unknown> = new Set(DTYPES);

function isLength(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/**
 * Reads what the header of a frame says of its tensors. By hand: for frames of few rows a schema takes
 * as long as the version itself.
 * @throws `link.invalid` where it is anything else.
 */
export function readFrameTensors(value: unknown): readonly ReadTensor[] {
  if (!Array.isArray(value))
    throw new LastgoodError("link.invalid", "a frame does not list its tensors");
  for (const each of value as readonly unknown[]) {
    const { name, dtype, shape, bytes } = (each ?? {}) as Partial<Record<string, unknown>>;
    if (typeof name !== "string" || !KNOWN_DTYPES.has(dtype) || !isLength(bytes))
      throw invalid(String(name), "is described by nothing that is known here");
    if (!Array.isArray(shape) || !shape.every(isLength))
      throw invalid(name, "has no shape that is known here");
  }
  return value as readonly ReadTensor[];
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
function numericView(dtype: NumericDType, bytes: Uint8Array): Numbers {
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
