import { isUtf8 } from "node:buffer";

import {
  ELEMENT_BYTES,
  isMapSequence,
  type DType,
  type OutputValue,
  type TensorData,
} from "../../core/tensor/index.ts";
import { newElements, type WritableData } from "./elements.ts";
import { requestInvalid } from "./refuse.ts";

// Tensors are little-endian on the wire and native in memory: one and the same on every platform that
// the engine runs on, so bytes are copied as they are.

const LENGTH_BYTES = 4;

function texts(bytes: Buffer, count: number, where: string): string[] {
  const data: string[] = [];
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    if (bytes.length - at < LENGTH_BYTES) {
      throw requestInvalid(`${where} ends before the length of element ${index}`, {
        where,
        accepted: "a 4-byte length before the bytes of each element",
      });
    }
    const length = bytes.readUInt32LE(at);
    at += LENGTH_BYTES;
    if (bytes.length - at < length) {
      throw requestInvalid(
        `${where}: element ${index} says ${length} bytes, ${bytes.length - at} are left`,
        { where },
      );
    }
    data.push(elementOfBytes(bytes.subarray(at, at + length), where, index));
    at += length;
  }
  if (at !== bytes.length) {
    throw requestInvalid(`${where} has ${bytes.length - at} bytes after its last element`, {
      where,
    });
  }
  return data;
}

/**
 * The elements of a binary tensor: exactly `count` of them in exactly these bytes.
 * @throws `request.invalid` for another number of bytes, a BOOL that is neither 0 nor 1, or BYTES that
 * are not UTF-8 text.
 */
export function readBinary(
  {
    dtype,
    count,
    where,
  }: { readonly dtype: DType; readonly count: number; readonly where: string },
  bytes: Buffer,
): WritableData {
  if (dtype === "BYTES") return texts(bytes, count, where);
  const expected = count * ELEMENT_BYTES[dtype];
  if (bytes.length !== expected) {
    throw requestInvalid(`${where} has ${bytes.length} bytes of binary data`, {
      where,
      accepted: `${expected} bytes: ${count} elements of ${dtype}`,
    });
  }
  const data = newElements(dtype, count);
  if (!Array.isArray(data)) new Uint8Array(data.buffer).set(bytes);
  if (dtype === "BOOL" && bytes.some((byte) => byte > 1)) {
    throw requestInvalid(`${where} holds a byte above 1`, {
      where,
      accepted: "BOOL bytes 0 and 1",
    });
  }
  return data;
}

/** Elements as the protocol's raw bytes; BYTES with a 4-byte length before each. */
function binaryOf(data: TensorData): Buffer {
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.concat(
    data.flatMap((text) => {
      const bytes = Buffer.from(text, "utf8");
      const length = Buffer.allocUnsafe(LENGTH_BYTES);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}

/** The raw bytes of one output; a sequence of maps is its matrix of values. */
export function outputBinary(output: OutputValue): Buffer {
  return binaryOf(isMapSequence(output) ? output.values : output.data);
}

/** The text of an element of BYTES. @throws `request.invalid` for bytes that are not UTF-8, or NUL. */
export function elementOfBytes(bytes: Uint8Array, where: string, index: number): string {
  if (isUtf8(bytes) && !bytes.includes(0))
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
  const what = isUtf8(bytes) ? "holds a NUL" : "is not UTF-8 text";
  throw requestInvalid(`${where}: element ${index} ${what}`, {
    where,
    accepted: "BYTES that are UTF-8 text without NUL",
  });
}
