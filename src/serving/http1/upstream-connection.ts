import { isIP, type Socket } from "node:net";

import { MAX_HEAD_BYTES } from "./fields.ts";
import { PatientSocket } from "./patient-socket.ts";
import { ChunkedBody } from "./upstream-chunks.ts";
import { AnswerInvalid, AnswerLost, AnswerTimeout } from "./upstream-failure.ts";
import { readAnswerHead, type AnswerHead } from "./upstream-head.ts";

const CONNECT_TIMEOUT_MS = 5_000;
const PROBE_AFTER_MS = 60_000;
const READ_BYTES = 64 * 1024;
/** Heads of 1xx before the one that counts. */
const MAX_INTERIM = 32;
const OURS = [AnswerInvalid, AnswerLost, AnswerTimeout];
const HEAD_END = "\r\n\r\n";

/**
 * What all connections of a thread read into: what was read is told before anything else is read.
 * A buffer for each read, as streams have them, costs 2 to 3 µs per answer.
 */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

/** One request and its answer, as a connection sees them. */
export interface Exchange {
  readonly method: string;
  /** When it is given up, by `performance.now()`. */
  readonly deadlineAt: number;
  /** Whether the whole request has been written. */
  readonly isSent: boolean;
  /** Writes the request, or begins to. */
  send(connection: UpstreamConnection): void;
  onHead(head: AnswerHead): void;
  /** Bytes of the body, valid during the call; false: no more of them until `resume`. */
  onData(bytes: Buffer): boolean;
  /** All that was there to be read has been told, and more is to come. */
  onPart(): void;
  onEnd(): void;
  /** It has failed, at any time before its end. */
  onFail(error: Error): void;
  /** More can be written. */
  onDrain?(): void;
}

/** Whose connection it is. */
export interface ConnectionOwner {
  onConnected(connection: UpstreamConnection): void;
  /** The exchange has ended, and it can take another. */
  onFree(connection: UpstreamConnection, keptMs: number | null): void;
  /** It is gone; `error` says why where nobody's exchange has heard it. */
  onGone(connection: UpstreamConnection, error: Error): void;
  /** An exchange has a deadline where it had none. */
  onDeadline(at: number): void;
}

/** Where connections go. */
export interface Origin {
  readonly isSecure: boolean;
  readonly host: string;
  readonly port: number;
}

type Phase = "head" | "body" | "idle";

/** A connection to a server: one exchange at a time. */
export class UpstreamConnection {
  /** When it is closed if it is idle still, by `performance.now()`. */
  idleUntil = Infinity;
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  #exchange: Exchange | null = null;
  #phase: Phase = "idle";
  #isGone = false;
  /** Whether nothing is read now. */
  #isHalted = false;
  /** Of a head that is not whole yet. */
  #begun: Buffer | null = null;
  #interim = 0;
  #head: AnswerHead | null = null;
  /** Bytes of the body to come, where their number is known. */
  #left = 0;
  #chunks: ChunkedBody | null = null;

  constructor(origin: Origin, owner: ConnectionOwner) {
    this.#owner = owner;
    this.#socket = dial(origin, (bytes) => this.#receive(bytes));
    this.#socket.setTimeout(CONNECT_TIMEOUT_MS);
    this.#socket
      .once(origin.isSecure ? "secureConnect" : "connect", () => {
        this.#socket.setTimeout(0);
        owner.onConnected(this);
      })
      .once("timeout", () => this.fail(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`)))
      .once("end", () => this.#ended())
      .on("error", (error) => this.fail(error))
      .once("close", () => this.fail(new Error("the connection was closed")))
      .on("drain", () => this.#exchange?.onDrain?.());
  }

  /** The one it is used for now. */
  get exchange(): Exchange | null {
    return this.#exchange;
  }

  /** Begins an exchange on a connection that has none. */
  run(exchange: Exchange): void {
    this.#exchange = exchange;
    this.#phase = "head";
    this.#interim = 0;
    exchange.send(this);
  }

  /** Writes a part of the request; false: more only after `onDrain`. */
  write(part: string | Buffer, encoding: BufferEncoding = "latin1"): boolean {
    return typeof part === "string" ? this.#socket.write(part, encoding) : this.#socket.write(part);
  }

  /** Writes what `parts` writes together. */
  together(parts: () => void): void {
    this.#socket.cork();
    parts();
    this.#socket.uncork();
  }

  /** Reads on after `onData` was answered with false. */
  resume(): void {
    this.#isHalted = false;
    this.#socket.resume();
  }

  /** Says that its exchange has a deadline now. */
  expectBy(at: number): void {
    this.#owner.onDeadline(at);
  }

  /** Ends it, and the exchange that it is used for. */
  fail(error: Error): void {
    if (this.#isGone) return;
    const stage = this.#phase === "body" ? "answering" : "sent";
    const exchange = this.#leave();
    this.#owner.onGone(this, error);
    if (exchange === null) return;
    const isOurs = OURS.some((kind) => error instanceof kind);
    exchange.onFail(isOurs ? error : new AnswerLost(stage, error.message, error));
  }

  #leave(): Exchange | null {
    const exchange = this.#exchange;
    this.#isGone = true;
    this.#exchange = null;
    this.#socket.destroy();
    return exchange;
  }

  /** The server has ended its side. */
  #ended(): void {
    if (this.#head?.framing === "close") this.#finish(true);
    else this.fail(new Error("the server closed the connection"));
  }

  #receive(bytes: Buffer): boolean {
    try {
      return this.#read(bytes);
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
      return true;
    }
  }

  /** Tells what came; false where it is to be read no further for now. */
  #read(bytes: Buffer): boolean {
    const exchange = this.#exchange;
    // What nobody asked for: the next answer would be taken for another one's.
    if (exchange === null) {
      this.fail(new Error("the server sent what nobody asked for"));
      return true;
    }
    let part = bytes;
    let at = 0;
    if (this.#phase === "head") {
      part = this.#begun === null ? bytes : Buffer.concat([this.#begun, bytes]);
      at = this.#readHead(part, exchange);
      if (at < 0) return true;
    }
    return this.#readBody(part, at, exchange);
  }

  /** The place behind the head, or -1 while it is not whole. */
  #readHead(part: Buffer, exchange: Exchange): number {
    let at = 0;
    for (;;) {
      const end = part.indexOf(HEAD_END, at, "latin1");
      if ((end < 0 ? part.length : end) - at > MAX_HEAD_BYTES)
        throw new AnswerInvalid(`its head is longer than ${MAX_HEAD_BYTES} bytes`);
      if (end < 0) {
        this.#begun = Buffer.from(part.subarray(at));
        return -1;
      }
      const head = readAnswerHead(part.toString("latin1", at, end + 2), exchange.method === "HEAD");
      at = end + HEAD_END.length;
      if (head.status >= 200) {
        this.#begin(head, exchange);
        return at;
      }
      this.#interim += 1;
      if (head.status === 101) throw new AnswerInvalid("it changes to a protocol nobody asked for");
      if (this.#interim > MAX_INTERIM) throw new AnswerInvalid("it never comes to its status");
    }
  }

  #begin(head: AnswerHead, exchange: Exchange): void {
    const { framing } = head;
    this.#begun = null;
    this.#head = head;
    this.#phase = "body";
    this.#left = typeof framing === "number" ? framing : Infinity;
    this.#chunks = framing === "chunked" ? new ChunkedBody() : null;
    exchange.onHead(head);
  }

  #readBody(part: Buffer, at: number, exchange: Exchange): boolean {
    let mayGoOn = true;
    let end = -1;
    if (this.#chunks !== null)
      end = this.#chunks.read(part, at, (bytes) => {
        mayGoOn = exchange.onData(bytes) && mayGoOn;
      });
    else {
      const until = Math.min(part.length, at + this.#left);
      this.#left -= until - at;
      if (until > at) mayGoOn = exchange.onData(part.subarray(at, until));
      if (this.#left === 0) end = until;
    }
    if (this.#exchange !== exchange) return true;
    if (end < 0) exchange.onPart();
    else {
      this.#finish(end < part.length);
      return true;
    }
    if (!mayGoOn) this.#isHalted = true;
    return mayGoOn;
  }

  /** The answer is whole; `isOver` where the connection cannot be used after it. */
  #finish(isOver: boolean): void {
    const exchange = this.#exchange;
    const head = this.#head;
    if (exchange === null || head === null) return;
    this.#head = null;
    this.#chunks = null;
    this.#phase = "idle";
    if (isOver || !head.isKept || !exchange.isSent) {
      this.#leave();
      exchange.onEnd();
      this.#owner.onGone(this, new Error("the answer ended its connection"));
      return;
    }
    this.#exchange = null;
    if (this.#isHalted) this.resume();
    exchange.onEnd();
    this.#owner.onFree(this, head.keptMs);
  }
}

function dial({ isSecure, host, port }: Origin, read: (bytes: Buffer) => boolean): Socket {
  const options = {
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: PROBE_AFTER_MS,
    onread: {
      buffer: readBuffer,
      callback: (length: number) => read(readBuffer.subarray(0, length)),
    },
  };
  if (!isSecure) return new PatientSocket(options).connect(options);
  const name = isIP(host) === 0 ? { servername: host } : {};
  // Loaded by the first who needs it: it takes longer than all of this.
  const { connect: connectTls } = process.getBuiltinModule("node:tls");
  return connectTls({ ...options, ...name, ALPNProtocols: ["http/1.1"] });
}
