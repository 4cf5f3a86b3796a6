import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";

import type { LastgoodError } from "../../core/errors/index.ts";
import type { Exchange } from "./exchange.ts";

/** Headers of a message. */
export type MessageHeaders = Record<string, string | string[]>;

/** A request over HTTP, whichever server took it in. */
export interface HttpExchange extends Exchange {
  readonly method: string;
  /** Path and query as the caller wrote them. */
  readonly target: string;
  /** All fields, by their lower-case names. */
  readonly headers: IncomingHttpHeaders;
  /** The caller's address, or undefined where it is gone. */
  readonly remoteAddress: string | undefined;
  /** An answer has begun: there can be no other. */
  readonly hasBegun: boolean;
  /**
   * Reads the whole body, without its content encoding, of at most `limit` bytes. Calls back once, and
   * never for a request that its caller broke off.
   */
  read(limit: number, then: (error: LastgoodError | null, body: Buffer) => void): void;
  /**
   * The body as it was sent: whole where it says that it has at most `limit` bytes, else as it comes;
   * null where there is none. Calls back as `read` does.
   */
  take(
    limit: number,
    then: (error: LastgoodError | null, body: Buffer | Readable | null) => void,
  ): void;
  /**
   * Writes an answer of somebody else's, as it comes. Resolves once it is written or the caller is gone;
   * a body that breaks off ends the connection, so that the caller sees it.
   */
  pass(answer: PassedAnswer): Promise<void>;
  /** Lets what is not read of the body pass. */
  discard(): void;
  /**
   * The same for a body that is too large, for a while: closing at once would reset the connection
   * under a caller who still sends, and take the answer away.
   */
  discardForAWhile(): void;
}

/** An answer that somebody else gave. */
export interface PassedAnswer {
  readonly status: number;
  /** Lower-case names, none of them of the connection alone. */
  readonly headers: MessageHeaders;
  readonly body: Buffer | Readable;
}
