import { createHash } from "node:crypto";

/** Smallest slot: what nearly every route fits in, bytes. */
export const MIN_SLOT_BYTES = 1024 * 1024;

const MAGIC = Buffer.from("LGROUTE1");
const HEADER_BYTES = MAGIC.length + 8 + 4 + 32;

/** What one slot holds. */
export interface Slot {
  /** Rises by one with each write; the higher one of two valid slots is the newer. */
  readonly sequence: number;
  readonly payload: Buffer;
}

function checksum(sequence: Buffer, payload: Buffer): Buffer {
  return createHash("sha256").update(sequence).update(payload).digest();
}

/** Bytes a payload takes in a slot, header included. */
export function slotLength(payload: Buffer): number {
  return HEADER_BYTES + payload.length;
}

/** Header and payload: magic, u64 sequence, u32 length, sha256 over sequence and payload. */
export function encodeSlot({ sequence, payload }: Slot): Buffer {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(sequence));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(payload.length);
  return Buffer.concat([MAGIC, number, length, checksum(number, payload), payload]);
}

/** The slot at the start of `bytes`, or null when it was never written or is torn. */
export function decodeSlot(bytes: Buffer): Slot | null {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return null;
  const number = bytes.subarray(MAGIC.length, MAGIC.length + 8);
  const length = bytes.readUInt32BE(MAGIC.length + 8);
  if (length > bytes.length - HEADER_BYTES) return null;
  const payload = bytes.subarray(HEADER_BYTES, HEADER_BYTES + length);
  const written = bytes.subarray(MAGIC.length + 12, HEADER_BYTES);
  if (!checksum(number, payload).equals(written)) return null;
  return { sequence: Number(number.readBigUInt64BE()), payload };
}

/** The newest valid slot of a file of two halves, and which half it is. */
export function newestSlot(file: Buffer): { readonly slot: Slot; readonly half: 0 | 1 } | null {
  const size = Math.floor(file.length / 2);
  const first = decodeSlot(file.subarray(0, size));
  const second = decodeSlot(file.subarray(size));
  if (first !== null && (second === null || first.sequence > second.sequence))
    return { slot: first, half: 0 };
  return second === null ? null : { slot: second, half: 1 };
}
