import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";

import type { LastgoodError } from "../../core/errors/index.ts";
import { fieldLines, type PlainExchange } from "../http1/index.ts";
import type { ProtocolAnswer } from "../protocol/index.ts";
import { decoded, tooLarge } from "./body.ts";
import type { HttpExchange, PassedAnswer } from "./http-exchange.ts";

const EMPTY = Buffer.alloc(0);
const NOTHING = {};

/** A request of the plain form, which the codec has read whole. */
export class PlainHttpExchange implements HttpExchange {
  readonly #exchange: PlainExchange;

  constructor(exchange: PlainExchange) {
    this.#exchange = exchange;
  }

  get method(): string {
    return this.#exchange.head.method;
  }

  get target(): string {
    return this.#exchange.head.target;
  }

  get headers(): IncomingHttpHeaders {
    const { list } = this.#exchange.head.fields;
    const headers: IncomingHttpHeaders = {};
    for (let at = 0; at < list.length; at += 2) headers[list[at] ?? ""] = list[at + 1];
    return headers;
  }

  get remoteAddress(): string | undefined {
    return this.#exchange.remoteAddress;
  }

  get isGone(): boolean {
    return this.#exchange.isGone;
  }

  get hasBegun(): boolean {
    return this.#exchange.hasBegun;
  }

  header(name: string): string | null {
    return this.#exchange.head.fields.get(name);
  }

  write(answer: ProtocolAnswer, headers: Readonly<Record<string, string>> = NOTHING): void {
    const lines = fieldLines(answer.headers) + fieldLines(headers);
    this.#exchange.answer(answer.status, lines, answer.body);
  }

  read(limit: number, then: (error: LastgoodError | null, body: Buffer) => void): void {
    const { body } = this.#exchange;
    if (body.length > limit) then(tooLarge(limit), EMPTY);
    else decoded(body, this.header("content-encoding"), limit, then);
  }

  take(
    limit: number,
    then: (error: LastgoodError | null, body: Buffer | Readable | null) => void,
  ): void {
    const { body } = this.#exchange;
    if (body.length > limit) then(tooLarge(limit), EMPTY);
    else then(null, body.length === 0 ? null : body);
  }

  pass({ status, headers, body }: PassedAnswer): Promise<void> {
    return this.#exchange.pass(status, headers, body);
  }

  discard(): void {
    // It has been read.
  }

  discardForAWhile(): void {
    // It has been read.
  }
}
