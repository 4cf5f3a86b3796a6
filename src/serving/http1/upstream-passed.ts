import type { IncomingHttpHeaders } from "node:http";
import { Readable } from "node:stream";

import { linesOf, type AnswerFields } from "./answer-head.ts";
import { contentLengthOf, type Fields } from "./fields.ts";
import type { Exchange, UpstreamConnection } from "./upstream-connection.ts";
import type { AnswerHead } from "./upstream-head.ts";
import { startOf } from "./upstream-start.ts";
import { Upload } from "./upstream-upload.ts";
import type { Settle } from "./upstream-whole.ts";

/** Longest body that is put together before it is passed on: a stream costs more than the rest. */
const MAX_WHOLE_BYTES = 64 * 1024;
/** Longest body that is copied behind its head to be written with it, bytes. */
const MAX_JOINED_BYTES = 16 * 1024;
const EMPTY = Buffer.alloc(0);

/** A request that is passed on. */
export interface PassedRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Lower-case names; none of them of the connection alone, and no `host`. */
  readonly headers: AnswerFields;
  readonly body: Buffer | Readable | null;
  /** Longest wait for the beginning of the answer, and between two parts of it, ms. */
  readonly timeoutMs: number;
  /** Hears of each part of the answer that is not its last. */
  readonly onPart?: (status: number) => void;
}

/** An answer that has begun, or is there. */
export interface BegunAnswer {
  readonly status: number;
  /** `content-length` is that of a whole body, whatever way it came. */
  readonly headers: IncomingHttpHeaders;
  /** Whole where it is short; a stream has to be read or destroyed. */
  readonly body: Buffer | Readable;
  /** From when the request was sent to when the answer began, ms. */
  readonly ms: number;
}

/** The body of an answer as it comes. Destroying it gives its connection up. */
class AnswerBody extends Readable {
  readonly #onRead: () => void;
  readonly #onLeft: () => void;

  constructor(onRead: () => void, onLeft: () => void) {
    super();
    this.#onRead = onRead;
    this.#onLeft = onLeft;
    // One that is let go of before its end says so as an error, and there may be nobody to hear it.
    this.on("error", () => undefined);
  }

  override _read(): void {
    this.#onRead();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#onLeft();
    done(error);
  }
}

/** The exchange of a request that is passed on. */
export class PassedExchange implements Exchange {
  readonly method: string;
  deadlineAt: number;
  readonly #request: PassedRequest;
  readonly #start: string;
  /** Of a body that comes as a stream; null where it is not known. */
  readonly #length: number | null;
  readonly #settle: Settle<BegunAnswer>;
  #connection: UpstreamConnection | null = null;
  #upload: Upload | null = null;
  #leftAt = 0;
  #ms = 0;
  #head: AnswerHead | null = null;
  /** Of a body that may still be passed on whole. */
  #parts: Buffer[] = [];
  #bytes = 0;
  #body: AnswerBody | null = null;
  #isPaused = false;

  constructor(
    request: PassedRequest,
    options: { readonly host: string; readonly settle: Settle<BegunAnswer> },
  ) {
    this.method = request.method;
    this.deadlineAt = performance.now() + request.timeoutMs;
    this.#request = request;
    this.#length = lengthOf(request);
    this.#start = headOf(request, this.#length, options.host);
    this.#settle = options.settle;
  }

  get isSent(): boolean {
    return this.#upload === null || this.#upload.isDone;
  }

  send(connection: UpstreamConnection): void {
    const { body } = this.#request;
    this.#connection = connection;
    this.#leftAt = performance.now();
    if (body === null) connection.write(this.#start);
    else if (!Buffer.isBuffer(body)) this.#upload = this.#uploadOf(connection, body);
    else if (body.length <= MAX_JOINED_BYTES)
      connection.write(this.#start + body.toString("latin1"));
    else
      connection.together(() => {
        connection.write(this.#start);
        connection.write(body);
      });
  }

  #uploadOf(connection: UpstreamConnection, source: Readable): Upload {
    connection.write(this.#start);
    return new Upload(source, this.#length, {
      write: (part) => connection.write(part),
      onWait: (whom) => {
        if (this.#head === null) this.#expect(whom === "server");
      },
      onFail: (why) => connection.fail(new Error(why)),
    });
  }

  onDrain(): void {
    this.#upload?.goOn();
  }

  onHead(head: AnswerHead): void {
    this.#ms = performance.now() - this.#leftAt;
    this.#head = head;
    const { framing } = head;
    if (framing === "close" || (framing !== "chunked" && framing > MAX_WHOLE_BYTES)) this.#stream();
  }

  onData(bytes: Buffer): boolean {
    const kept = Buffer.from(bytes);
    if (this.#body === null) {
      this.#parts.push(kept);
      this.#bytes += kept.length;
      return true;
    }
    const mayGoOn = this.#body.push(kept);
    if (!mayGoOn) this.#isPaused = true;
    return mayGoOn;
  }

  onPart(): void {
    if (this.#body === null && this.#head?.framing === "chunked") this.#stream();
    if (this.#head !== null) this.#request.onPart?.(this.#head.status);
    // While its reader takes nothing, the server is not waited for.
    this.#expect(!this.#isPaused);
  }

  onEnd(): void {
    this.#upload?.leave();
    const head = this.#head;
    this.#connection = null;
    if (this.#body !== null) this.#body.push(null);
    else if (head !== null) this.#answer(head, this.#whole());
  }

  onFail(error: Error): void {
    this.#upload?.leave();
    this.#connection = null;
    if (this.#body === null) this.#settle.reject(error);
    else this.#body.destroy(error);
  }

  #expect(isExpected: boolean): void {
    this.deadlineAt = isExpected ? performance.now() + this.#request.timeoutMs : Infinity;
    if (isExpected) this.#connection?.expectBy(this.deadlineAt);
  }

  #whole(): Buffer {
    const [only = EMPTY] = this.#parts;
    return this.#parts.length < 2 ? only : Buffer.concat(this.#parts, this.#bytes);
  }

  #stream(): void {
    const head = this.#head;
    if (head === null) return;
    const body = new AnswerBody(
      () => this.#resume(),
      () => this.#connection?.fail(new Error("its reader has left")),
    );
    this.#body = body;
    for (const part of this.#parts) body.push(part);
    this.#answer(head, body);
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#expect(true);
    this.#connection?.resume();
  }

  #answer({ status, fields, framing }: AnswerHead, body: Buffer | Readable): void {
    const headers = headersOf(fields);
    if (framing === "chunked" && Buffer.isBuffer(body))
      headers["content-length"] = String(body.length);
    this.#settle.resolve({ status, headers, body, ms: this.#ms });
  }
}

/** Fields by their names; those of one name are one list, as RFC 9110, section 5.3, has it. */
function headersOf({ list }: Fields): IncomingHttpHeaders {
  const headers: IncomingHttpHeaders = {};
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at] ?? "";
    const value = list[at + 1] ?? "";
    if (name === "set-cookie") (headers["set-cookie"] ??= []).push(value);
    else
      headers[name] = Object.hasOwn(headers, name) ? `${String(headers[name])}, ${value}` : value;
  }
  return headers;
}

const DIGITS = /^\d+$/;

/**
 * How long a body is that comes as a stream; null where its chunks say so, as they do where its caller
 * said more than a number holds.
 * @throws TypeError for what is no length.
 */
function lengthOf({ headers, body }: PassedRequest): number | null {
  const said = headers["content-length"];
  if (said === undefined || body === null || Buffer.isBuffer(body)) return null;
  const length = typeof said === "string" ? contentLengthOf(said) : null;
  if (length === null && !(typeof said === "string" && DIGITS.test(said)))
    throw new TypeError("the length of a request is not one");
  return length;
}

/** Methods whose requests mean something by their body: one without says so. */
const WITH_BODY = new Set(["POST", "PUT", "PATCH"]);

/**
 * The request's first line and header lines with the empty line behind them, one character for each byte.
 * Its framing is ours: no header may say another one, or become another request.
 */
function headOf(request: PassedRequest, length: number | null, host: string): string {
  const { method, path, headers, body } = request;
  let lines = startOf(method, path, host);
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (value !== undefined && name !== "content-length" && name !== "transfer-encoding")
      lines += linesOf(name, value);
  }
  if (body === null)
    return WITH_BODY.has(method) ? `${lines}content-length: 0\r\n\r\n` : `${lines}\r\n`;
  const bytes = Buffer.isBuffer(body) ? body.length : length;
  if (bytes === null) return `${lines}transfer-encoding: chunked\r\n\r\n`;
  return `${lines}content-length: ${bytes}\r\n\r\n`;
}
