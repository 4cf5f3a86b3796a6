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
  const json = Buffer.from(JSON.stringify({ v: 1, id, kind, body }));
  // Blanks behind it are still JSON.
  const blanks = Buffer.alloc(-json.length & (PAYLOAD_ALIGNMENT - 1), " ");
  const headerBytes = json.length + blanks.length;
  const payloadBytes = payload.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  const bytes = headerBytes + payloadBytes;
  if (bytes > MAX_FRAME_BYTES)
    throw new LastgoodError("link.invalid", `a frame of ${bytes} bytes is not accepted`);
  const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
  prefix.writeUInt32BE(bytes, 0);
  prefix.writeUInt32BE(headerBytes, 4);
  const head = [prefix, json, blanks];
  if (payloadBytes <= COPY_BELOW_BYTES) return [Buffer.concat([...head, ...payload])];
  return [
    Buffer.concat(head),
    ...payload.map((chunk) => Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)),
  ];
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
