import { LastgoodError } from "../../core/errors/index.ts";

/** One message on a Unix socket between our own processes. */
export interface Frame {
  /** Version of the framing. */
  readonly v: 1;
  /** Pairs a reply with its request; unique per sender and connection. */
  readonly id: number;
  readonly kind: string;
  readonly body: unknown;
  /** Raw bytes behind the header, where the kind has any. */
  readonly payload: Buffer;
}

/** Longest frame either side accepts, bytes. */
export const MAX_FRAME_BYTES = 256 * 1024 * 1024;

const PREFIX_BYTES = 8;
const BLANK = 0x20;
/** Payloads begin at a multiple of this, so that numbers in them can be read in place. */
const PAYLOAD_ALIGNMENT = 8;
/** Payloads up to this size are copied behind their header: one write costs less than two. */
const COPY_BELOW_BYTES = 64 * 1024;
const EMPTY = Buffer.alloc(0);

/**
 * Bytes of a frame: u32 length of all that follows the first 8 bytes, u32 length of the JSON header
 * (both big-endian), the header `{v, id, kind, body}` with blanks up to a multiple of 8, then the
 * payload chunks.
 * @throws `link.invalid` for a frame that the other side would not accept.
 */
export function encodeFrame(
  id: number,
  kind: string,
  body: unknown,
  payload: readonly Uint8Array[] = [],
): Buffer[] {
  const json = JSON.stringify({ v: 1, id, kind, body });
  const jsonBytes = Buffer.byteLength(json);
  const headerBytes = jsonBytes + (-jsonBytes & (PAYLOAD_ALIGNMENT - 1));
  let payloadBytes = 0;
  for (const chunk of payload) payloadBytes += chunk.byteLength;
  const bytes = headerBytes + payloadBytes;
  if (bytes > MAX_FRAME_BYTES)
    throw new LastgoodError("link.invalid", `a frame of ${bytes} bytes is not accepted`);
  const isWhole = payloadBytes <= COPY_BELOW_BYTES;
  const first = Buffer.allocUnsafe(PREFIX_BYTES + (isWhole ? bytes : headerBytes));
  first.writeUInt32BE(bytes, 0);
  first.writeUInt32BE(headerBytes, 4);
  first.write(json, PREFIX_BYTES);
  // Blanks behind it are still JSON.
  let at = PREFIX_BYTES + headerBytes;
  first.fill(BLANK, PREFIX_BYTES + jsonBytes, at);
  if (!isWhole)
    return [
      first,
      ...payload.map((chunk) => Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)),
    ];
  for (const chunk of payload) {
    first.set(chunk, at);
    at += chunk.byteLength;
  }
  return [first];
}

function parseHeader(bytes: Buffer): Omit<Frame, "payload"> {
  let header: unknown;
  try {
    header = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new LastgoodError("link.invalid", "a frame's header is not JSON", { cause });
  }
  if (typeof header !== "object" || header === null)
    throw new LastgoodError("link.invalid", "a frame's header is not an object");
  const { v, id, kind, body } = header as Record<string, unknown>;
  if (v !== 1 || typeof id !== "number" || typeof kind !== "string")
    throw new LastgoodError("link.invalid", `a frame of version ${String(v)} was not understood`);
  return { v, id, kind, body };
}

/** Cuts a byte stream into frames. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #bytes = 0;

  /**
   * The frames that `chunk` completes, in order.
   * @throws `link.invalid` for a length above the limit or a header that is not ours; the stream
   * cannot be read further then.
   */
  push(chunk: Buffer): Frame[] {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    const frames: Frame[] = [];
    for (let frame = this.#next(); frame !== null; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): Frame | null {
    if (this.#bytes < PREFIX_BYTES) return null;
    const first = this.#chunks[0];
    const prefix = first !== undefined && first.length >= PREFIX_BYTES ? first : this.#join();
    const length = prefix.readUInt32BE(0);
    const headerLength = prefix.readUInt32BE(4);
    if (length > MAX_FRAME_BYTES || headerLength > length)
      throw new LastgoodError("link.invalid", `a frame of ${length} bytes is not accepted`);
    if (this.#bytes < PREFIX_BYTES + length) return null;
    const all = this.#join();
    const end = PREFIX_BYTES + length;
    const rest = all.subarray(end);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#bytes = rest.length;
    const headerEnd = PREFIX_BYTES + headerLength;
    const payload = end === headerEnd ? EMPTY : all.subarray(headerEnd, end);
    return { ...parseHeader(all.subarray(PREFIX_BYTES, headerEnd)), payload };
  }

  #join(): Buffer {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? EMPTY;
  }
}
