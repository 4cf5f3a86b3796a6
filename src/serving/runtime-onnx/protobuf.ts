import { LastgoodError } from "../../core/errors/index.ts";

/** @returns an `artifact.invalid` for bytes that are no ONNX model. */
export function notOnnx(why: string): LastgoodError {
  return new LastgoodError("artifact.invalid", `the file is not a whole ONNX model: ${why}`, {
    hint: "register the .onnx file as the converter wrote it",
  });
}

const VARINT = 0;
const EIGHT_BYTES = 1;
const DELIMITED = 2;
const FOUR_BYTES = 5;
/** More digits of 7 bits than this no longer fit a number exactly. */
const EXACT_DIGITS = 7;
const MAX_DIGITS = 10;

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * One field of a protobuf message, read where it lies: a tree ensemble holds millions of them, so
 * nothing is cut out before it is asked for.
 */
export interface WireField {
  readonly number: number;
  readonly type: number;
  readonly bytes: Uint8Array;
  /** Where the field's tag, its content and what follows it begin. */
  readonly start: number;
  readonly content: number;
  readonly end: number;
}

/** Index behind the varint at `start`. */
function skipVarint(bytes: Uint8Array, start: number): number {
  for (let digits = 0; digits < MAX_DIGITS; digits += 1) {
    const byte = bytes[start + digits];
    if (byte === undefined) throw notOnnx("it ends inside a number");
    if (byte < 0x80) return start + digits + 1;
  }
  throw notOnnx("a number is too long");
}

/** Value of the varint in `bytes[start, end)`, for tags and lengths. */
function smallVarint(bytes: Uint8Array, start: number, end: number): number {
  if (end - start > EXACT_DIGITS) throw notOnnx("a length is longer than any file");
  let value = 0;
  for (let index = end - 1; index >= start; index -= 1)
    value = value * 0x80 + ((bytes[index] ?? 0) & 0x7f);
  return value;
}

function readField(bytes: Uint8Array, start: number): WireField {
  const afterTag = skipVarint(bytes, start);
  const tag = smallVarint(bytes, start, afterTag);
  const number = Math.floor(tag / 8);
  const type = tag % 8;
  if (number < 1 || number > 0x1fff_ffff) throw notOnnx(`field number ${number} is not possible`);
  let content = afterTag;
  let end = afterTag;
  if (type === VARINT) end = skipVarint(bytes, afterTag);
  else if (type === EIGHT_BYTES) end = afterTag + 8;
  else if (type === FOUR_BYTES) end = afterTag + 4;
  else if (type === DELIMITED) {
    content = skipVarint(bytes, afterTag);
    end = content + smallVarint(bytes, afterTag, content);
  } else throw notOnnx(`field type ${type} is not known`);
  if (end > bytes.length) throw notOnnx("it ends inside a field");
  return { number, type, bytes, start, content, end };
}

/**
 * The fields of a protobuf message in order, without copying
 * (https://protobuf.dev/programming-guides/encoding).
 * @throws `artifact.invalid` for bytes that are no message.
 */
export function* readFields(bytes: Uint8Array): Generator<WireField> {
  for (let at = 0; at < bytes.length;) {
    const field = readField(bytes, at);
    yield field;
    at = field.end;
  }
}

/** The field whole, with its tag. */
export function rawOf(field: WireField): Uint8Array {
  return field.bytes.subarray(field.start, field.end);
}

/** The content of a message, string or bytes field. @throws `artifact.invalid` for another type. */
export function messageOf(field: WireField): Uint8Array {
  if (field.type !== DELIMITED) throw notOnnx(`field ${field.number} is not what ONNX has there`);
  return field.bytes.subarray(field.content, field.end);
}

/** The text of a string field. @throws `artifact.invalid` when it is not UTF-8. */
export function textOf(field: WireField): string {
  const content = messageOf(field);
  try {
    return decoder.decode(content);
  } catch {
    throw notOnnx("a name is not UTF-8 text");
  }
}

/** The numbers of a repeated varint field, packed or not, read as signed 64-bit integers. */
export function integersOf(field: WireField): bigint[] {
  if (field.type !== VARINT && field.type !== DELIMITED)
    throw notOnnx(`field ${field.number} is not what ONNX has there`);
  const values: bigint[] = [];
  for (let at = field.content; at < field.end;) {
    const end = skipVarint(field.bytes, at);
    if (end > field.end) throw notOnnx("it ends inside a number");
    let value = 0n;
    for (let index = end - 1; index >= at; index -= 1)
      value = (value << 7n) | BigInt((field.bytes[index] ?? 0) & 0x7f);
    values.push(BigInt.asIntN(64, value));
    at = end;
  }
  return values;
}

function encodeVarint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

/** The chunks of a length-delimited field. */
export function encodeField(number: number, content: readonly Uint8Array[]): Uint8Array[] {
  const length = content.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  return [encodeVarint(number * 8 + DELIMITED), encodeVarint(length), ...content];
}
