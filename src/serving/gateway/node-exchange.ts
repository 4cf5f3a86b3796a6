import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { pipeline, type Readable } from "node:stream";

import type { LastgoodError } from "../../core/errors/index.ts";
import type { ProtocolAnswer } from "../protocol/index.ts";
import { decoded, readBody } from "./body.ts";
import type { HttpExchange, PassedAnswer } from "./http-exchange.ts";

/** The rest of an oversized body is read this long, ms. */
const DISCARD_MS = 2_000;

const ORIGIN = /^https?:\/\/[^/?]*/i;

/** The path and query of a target, also of one in the absolute form (RFC 9112, section 3.2.2). */
function originForm(target: string): string {
  if (target.startsWith("/")) return target;
  const path = target.replace(ORIGIN, "");
  return path.startsWith("/") || path === target ? path : `/${path}`;
}

/** A request that Node's own server has read. */
export class NodeExchange implements HttpExchange {
  readonly method: string;
  readonly target: string;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.method = request.method ?? "GET";
    this.target = originForm(request.url ?? "/");
    this.#request = request;
    this.#response = response;
  }

  get headers(): IncomingHttpHeaders {
    return this.#request.headers;
  }

  get remoteAddress(): string | undefined {
    return this.#request.socket.remoteAddress;
  }

  get isGone(): boolean {
    return this.#response.destroyed;
  }

  get hasBegun(): boolean {
    return this.#response.headersSent;
  }

  header(name: string): string | null {
    const value = this.#request.headers[name];
    return typeof value === "string" ? value : null;
  }

  write(answer: ProtocolAnswer, headers: Readonly<Record<string, string>> = {}): void {
    const response = this.#response;
    if (response.destroyed || response.headersSent) return;
    const { body } = answer;
    const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
    response.writeHead(answer.status, {
      ...answer.headers,
      ...headers,
      "content-length": String(length),
    });
    // Text, not a Buffer: node:http then sends head and body in one write, and in one encoding. ASCII goes
    // out as it lies in memory, and a header that is not ASCII as it came in.
    if (length === body.length) response.end(body, "latin1");
    else response.end(Buffer.from(body));
  }

  read(limit: number, then: (error: LastgoodError | null, body: Buffer) => void): void {
    const { "content-encoding": encoding } = this.#request.headers;
    readBody(this.#request, limit, (error, body) => {
      if (error === null) decoded(body, encoding ?? null, limit, then);
      else then(error, body);
    });
  }

  take(
    limit: number,
    then: (error: LastgoodError | null, body: Buffer | Readable | null) => void,
  ): void {
    const { "content-length": told, "transfer-encoding": coding } = this.#request.headers;
    const length = Number(told ?? Number.NaN);
    if (length <= limit && length > 0) readBody(this.#request, limit, then);
    else then(null, length > 0 || coding !== undefined ? this.#request : null);
  }

  pass({ status, headers, body }: PassedAnswer): Promise<void> {
    const response = this.#response;
    if (response.destroyed) {
      if (!Buffer.isBuffer(body)) body.destroy();
      return Promise.resolve();
    }
    response.writeHead(status, headers);
    if (Buffer.isBuffer(body)) {
      // As text it leaves in one write with its head.
      response.end(body.toString("latin1"), "latin1");
      this.#leaveRest();
      return Promise.resolve();
    }
    response.flushHeaders();
    return new Promise((resolve) => {
      pipeline(body, response, () => {
        this.#leaveRest();
        resolve();
      });
    });
  }

  /** Many callers read no answer before all is sent, and nobody else reads it any more. */
  #leaveRest(): void {
    if (!this.#request.complete) this.discardForAWhile();
  }

  discard(): void {
    this.#request.resume();
  }

  discardForAWhile(): void {
    const request = this.#request;
    request.resume();
    setTimeout(() => {
      if (!request.complete) request.destroy();
    }, DISCARD_MS).unref();
  }
}
