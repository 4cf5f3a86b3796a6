import type { IncomingMessage, ServerResponse } from "node:http";

import { LastgoodError } from "../../core/errors/index.ts";
import type { ProtocolAnswer } from "../protocol/index.ts";
import { decompress, readBody } from "./body.ts";
import type { Exchange } from "./exchange.ts";

/** The rest of an oversized body is read this long, ms. */
const DISCARD_MS = 2_000;

/** A request over HTTP. */
export class HttpExchange implements Exchange {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
  }

  header(name: string): string | null {
    const value = this.#request.headers[name];
    return typeof value === "string" ? value : null;
  }

  get isGone(): boolean {
    return this.#response.destroyed;
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
    // Text, not a Buffer: node:http then sends head and body in one write. ASCII goes out as it lies in
    // memory, and a header that is not ASCII as it came in.
    response.end(body, length === body.length ? "latin1" : "utf8");
  }

  /**
   * Reads the whole body, without its content encoding, of at most `limit` bytes. Calls back once, and
   * never for a request that its caller broke off.
   */
  read(limit: number, then: (error: LastgoodError | null, body: Buffer) => void): void {
    readBody(this.#request, limit, (error, body) => {
      const encoding = this.#request.headers["content-encoding"];
      if (error !== null || encoding === undefined || encoding === "identity") then(error, body);
      else {
        decompress(body, encoding, limit).then(
          (plain) => then(null, plain),
          (cause: unknown) => then(LastgoodError.from(cause), body),
        );
      }
    });
  }

  /** Lets what is not read of the body pass. */
  discard(): void {
    this.#request.resume();
  }

  /**
   * The same for a body that is too large, for a while: closing at once would reset the connection
   * under a caller who still sends, and take the answer away.
   */
  discardForAWhile(): void {
    const request = this.#request;
    request.resume();
    setTimeout(() => {
      if (!request.complete) request.destroy();
    }, DISCARD_MS).unref();
  }
}
