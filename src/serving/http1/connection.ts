import type { Socket } from "node:net";

import { MAX_HEAD_BYTES } from "./fields.ts";
import { PlainExchange, type Line } from "./plain-exchange.ts";
import { HeadReader, mayBecomeHead, type RequestHead } from "./request-head.ts";

const EMPTY = Buffer.alloc(0);
const END_OF_HEAD = Buffer.from("\r\n\r\n");
/** A head is looked at from its beginning with each part that comes: most that may be, all together, bytes. */
const MAX_JUDGED_BYTES = 64 * 1024;

/** What a connection needs of its server. */
export interface Host {
  /** Longest body of a request that is read here, bytes. */
  readonly bodyBytes: number;
  /** Connections end with their next answer. */
  readonly isDraining: boolean;
  /** The lines about a connection that stays, with their CRLF. */
  readonly keepAliveLines: string;
  /** Now, ms; never goes back. */
  now(): number;
  handle(exchange: PlainExchange): void;
  /** Gives the connection, with what it has sent, to the server that reads everything else. */
  handOver(socket: Socket, bytes: Buffer): void;
  /** It is no longer ours. */
  forget(connection: Connection): void;
}

/**
 * Where a connection is: nothing has come of it yet, between two requests, in a request's head, in its
 * body, at its answer; the last is over; another server has it.
 */
type Phase = "fresh" | "idle" | "head" | "body" | "answer" | "over" | "given";

/** What has waited too long is answered so, as Node answers it. */
const TIMED_OUT = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n";
const BROKEN_OFF = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

/** How long a phase may last, ms. */
export interface Patience {
  readonly headMs: number;
  readonly requestMs: number;
  readonly keepAliveMs: number;
}

/**
 * One connection's requests, one at a time. What has been sent beyond a request waits in the socket
 * until it is answered.
 */
export class Connection implements Line {
  readonly socket: Socket;
  readonly #host: Host;
  readonly #heads = new HeadReader();
  #phase: Phase = "fresh";
  /**
   * When the phase began, where time matters: of a request, its first byte. Null: it is idle, and the next
   * look at it is early enough to begin counting.
   */
  #since: number | null;
  /** What came of a head. */
  #held: Buffer | null = null;
  /** How much was looked at to judge it, bytes. */
  #judged = 0;
  #head: RequestHead | null = null;
  #body = EMPTY;
  #filled = 0;
  /** The caller has closed its half. */
  #hasEnded = false;
  /** The answer waits for its reader; nothing else is taken in until it has left. */
  #isUnread = false;
  readonly #onData = (chunk: Buffer): void => this.#take(chunk);
  readonly #onEnd = (): void => this.#end();
  readonly #onDrain = (): void => this.#drained();
  readonly #onClose = (): void => this.#close();
  /** Set by the server while an answer waits for its reader. */
  readonly #onTimeout = (): void => void this.socket.destroy();

  constructor(socket: Socket, host: Host) {
    this.socket = socket;
    this.#host = host;
    this.#since = host.now();
    // The connection ends by `close`; whoever answers sees that it is gone.
    socket.on("error", ignore);
    socket.on("close", this.#onClose).on("end", this.#onEnd).on("drain", this.#onDrain);
    socket.on("data", this.#onData).on("timeout", this.#onTimeout);
  }

  get isEnding(): boolean {
    return this.#hasEnded || this.#host.isDraining;
  }

  lastLines(closes: boolean): string {
    return closes ? "Connection: close\r\n\r\n" : this.#host.keepAliveLines;
  }

  answered(closes: boolean): void {
    const { socket } = this;
    if (closes || this.#hasEnded) {
      this.#phase = "over";
      socket.destroySoon();
    } else if (socket.writableNeedDrain) this.#isUnread = true;
    else this.#next();
  }

  /** Takes what came; false where another server has the connection. */
  take(bytes: Buffer): boolean {
    if (this.#phase === "given") return false;
    this.#take(bytes);
    return true;
  }

  /** Ends the connection where its answers have left and nothing has come of another request. */
  closeIfIdle(): void {
    const { readableLength, writableLength } = this.socket;
    if (this.#phase === "idle" && readableLength === 0 && writableLength === 0)
      this.socket.destroy();
  }

  /** Ends the connection where its phase has lasted too long. */
  check(now: number, { headMs, requestMs, keepAliveMs }: Patience): void {
    // It is idle from when its answer has left.
    if (this.#since === null || (this.#phase === "idle" && this.socket.writableLength > 0))
      this.#since = now;
    const ms = now - this.#since;
    if (this.#phase === "idle") {
      if (ms > keepAliveMs) this.socket.destroy();
    } else if (this.#phase === "body" ? ms > requestMs : ms > headMs && this.#isInHead)
      this.#refuse(TIMED_OUT);
  }

  get #isInHead(): boolean {
    return this.#phase === "fresh" || this.#phase === "head";
  }

  #take(chunk: Buffer): void {
    if (this.#phase === "answer") {
      this.socket.pause();
      this.socket.unshift(chunk);
    } else if (this.#phase === "body") this.#fill(chunk);
    else if (this.#phase !== "over") this.#read(this.#held === null ? chunk : this.#join(chunk));
  }

  #join(chunk: Buffer): Buffer {
    const bytes = Buffer.concat([this.#held ?? EMPTY, chunk]);
    this.#held = null;
    return bytes;
  }

  /** Reads requests from the first byte of one on. */
  #read(bytes: Buffer): void {
    let rest = bytes;
    // Answers that are written at once leave room for the next request.
    while (rest.length > 0 && this.#phase !== "over") {
      if (this.#phase === "answer") {
        this.#take(rest);
        return;
      }
      rest = this.#readOne(rest);
    }
  }

  /** Reads one request, and gives what is left behind it. */
  #readOne(bytes: Buffer): Buffer {
    const known = this.#heads.known(bytes);
    if (known !== null) return this.#readBody(bytes, known.head, known.end);
    const end = bytes.indexOf(END_OF_HEAD);
    if (end === -1) {
      if (this.#mayHold(bytes)) this.#hold(bytes);
      else this.#handOver(bytes);
      return EMPTY;
    }
    const from = end + END_OF_HEAD.length;
    const head = from > MAX_HEAD_BYTES ? null : this.#heads.read(bytes.toString("latin1", 0, from));
    if (head === null) {
      this.#handOver(bytes);
      return EMPTY;
    }
    return this.#readBody(bytes, head, from);
  }

  /** Reads a request's body from `from` on, and gives what is left behind it. */
  #readBody(bytes: Buffer, head: RequestHead, from: number): Buffer {
    if (head.contentLength > this.#host.bodyBytes) {
      this.#handOver(bytes);
      return EMPTY;
    }
    const to = from + head.contentLength;
    if (bytes.length >= to) {
      this.#handle(head, from === to ? EMPTY : bytes.subarray(from, to));
      return bytes.length === to ? EMPTY : bytes.subarray(to);
    }
    this.#begin("body");
    this.#head = head;
    this.#body = Buffer.allocUnsafeSlow(head.contentLength);
    this.#filled = bytes.copy(this.#body, 0, from);
    return EMPTY;
  }

  #mayHold(bytes: Buffer): boolean {
    this.#judged = bytes.length + (this.#phase === "head" ? this.#judged : 0);
    if (bytes.length >= MAX_HEAD_BYTES || this.#judged > MAX_JUDGED_BYTES) return false;
    return mayBecomeHead(bytes.toString("latin1"));
  }

  /** A request's time is counted from its first byte. */
  #begin(phase: "head" | "body"): void {
    if (this.#phase !== "head") this.#since = this.#host.now();
    this.#phase = phase;
  }

  #hold(bytes: Buffer): void {
    this.#begin("head");
    this.#held = bytes;
  }

  #fill(chunk: Buffer): void {
    const taken = chunk.copy(this.#body, this.#filled);
    this.#filled += taken;
    const head = this.#head;
    if (head === null || this.#filled < head.contentLength) return;
    const body = this.#body;
    this.#head = null;
    this.#body = EMPTY;
    this.#handle(head, body);
    if (taken < chunk.length) this.#read(chunk.subarray(taken));
  }

  #handle(head: RequestHead, body: Buffer): void {
    this.#phase = "answer";
    this.#host.handle(new PlainExchange(head, body, this));
  }

  /** The answer is on its way and the next request may come. */
  #next(): void {
    this.#phase = "idle";
    this.#since = null;
    if (this.socket.isPaused()) this.socket.resume();
  }

  #drained(): void {
    if (!this.#isUnread) return;
    this.#isUnread = false;
    this.answered(false);
  }

  #end(): void {
    this.#hasEnded = true;
    if (this.#phase === "fresh" || this.#phase === "idle") this.socket.destroySoon();
    else if (this.#phase === "head" || this.#phase === "body") this.#refuse(BROKEN_OFF);
  }

  #refuse(answer: string): void {
    this.#phase = "over";
    this.socket.write(answer, "latin1");
    this.socket.destroy();
  }

  #handOver(bytes: Buffer): void {
    const { socket } = this;
    this.#phase = "given";
    socket.off("data", this.#onData).off("end", this.#onEnd).off("drain", this.#onDrain);
    socket.off("close", this.#onClose).off("timeout", this.#onTimeout).off("error", ignore);
    this.#host.forget(this);
    this.#host.handOver(socket, bytes);
  }

  #close(): void {
    this.#phase = "over";
    this.#held = null;
    this.#body = EMPTY;
    this.#host.forget(this);
  }
}

function ignore(): void {
  // `close` follows.
}
