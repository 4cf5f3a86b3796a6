import type { Socket } from "node:net";
import type { Readable } from "node:stream";

import { framed, hasNoBody, writeBody } from "./answer-body.ts";
import { dateLine, fieldLines, statusLine, type AnswerFields } from "./answer-head.ts";
import type { RequestHead } from "./request-head.ts";

/** Bodies up to this size are copied behind their head, bytes: a second write costs more. */
const JOINED_BYTES = 32 * 1024;

/** What an exchange needs of its connection. */
export interface Line {
  readonly socket: Socket;
  /** No further request is read from it: the caller has closed its half, or connections are wanted back. */
  readonly isEnding: boolean;
  /** The lines that say what becomes of the connection, and the empty line. */
  lastLines(closes: boolean): string;
  /** The answer has been written; `closes` is what it said. */
  answered(closes: boolean): void;
}

/** A request of the plain form, whole, and the way its answer leaves. */
export class PlainExchange {
  readonly head: RequestHead;
  /** All of it, not decoded. It may be kept: nothing else is written to its memory. */
  readonly body: Buffer;
  readonly #line: Line;
  #hasBegun = false;

  constructor(head: RequestHead, body: Buffer, line: Line) {
    this.head = head;
    this.body = body;
    this.#line = line;
  }

  /** The caller's address; undefined once it is gone. */
  get remoteAddress(): string | undefined {
    return this.#line.socket.remoteAddress;
  }

  /** The connection is gone, and the caller with it. */
  get isGone(): boolean {
    return this.#line.socket.destroyed;
  }

  /** An answer has begun: there can be no other. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /**
   * Writes a whole answer. `lines` are its fields without those of framing and connection
   * (`fieldLines`); text is sent as UTF-8. Does nothing once an answer has begun or the caller is gone.
   * @throws RangeError as `statusLine` does, before anything is written.
   */
  answer(status: number, lines: string, body: string | Buffer): void {
    const { socket } = this.#line;
    if (this.#hasBegun || socket.destroyed) return;
    const closes = this.#closes;
    const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
    const framing = status === 204 ? "" : `content-length: ${length}\r\n`;
    const head = `${statusLine(status)}${lines}${framing}${dateLine()}${this.#line.lastLines(closes)}`;
    this.#hasBegun = true;
    if (length === 0 || this.head.method === "HEAD" || hasNoBody(status))
      socket.write(head, "latin1");
    // ASCII goes out as it lies in memory, behind the head's one byte per character.
    else if (length === body.length && typeof body === "string")
      socket.write(head + body, "latin1");
    else writeBytes(head, typeof body === "string" ? Buffer.from(body) : body, socket);
    this.#line.answered(closes);
  }

  /**
   * Writes an answer whose fields come from elsewhere, under lower-case names: its framing is ours, its
   * `date` is kept. Resolves when it has been written to its end or the caller is gone. A body that
   * breaks off ends the connection. Does nothing once an answer has begun.
   * @throws TypeError and RangeError as `fieldLines` and `statusLine` do, before anything is written.
   */
  async pass(status: number, fields: AnswerFields, body: Readable | Buffer): Promise<void> {
    const { socket } = this.#line;
    if (this.#hasBegun || socket.destroyed) {
      if (!Buffer.isBuffer(body)) body.destroy();
      return;
    }
    const closes = this.#closes;
    const { method } = this.head;
    const { framing, fields: told } = framed({ method, status, fields, body });
    const date = Object.hasOwn(fields, "date") ? "" : dateLine();
    const head = `${statusLine(status)}${fieldLines(told)}${date}${this.#line.lastLines(closes)}`;
    this.#hasBegun = true;
    if (Buffer.isBuffer(body)) {
      if (framing === "none" || body.length === 0) socket.write(head, "latin1");
      else writeBytes(head, body, socket);
      this.#line.answered(closes);
      return;
    }
    socket.write(head, "latin1");
    await new Promise<void>((resolve) => {
      writeBody(body, socket, framing, (isWhole) => {
        if (isWhole) this.#line.answered(closes);
        else socket.destroy();
        resolve();
      });
    });
  }

  get #closes(): boolean {
    return this.head.closes || this.#line.isEnding;
  }
}

function writeBytes(head: string, body: Buffer, socket: Socket): void {
  if (body.length <= JOINED_BYTES) {
    const bytes = Buffer.allocUnsafe(head.length + body.length);
    bytes.write(head, "latin1");
    body.copy(bytes, head.length);
    socket.write(bytes);
    return;
  }
  socket.cork();
  socket.write(head, "latin1");
  socket.write(body);
  socket.uncork();
}
