import { createServer, type RequestListener } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";

import { onTestFinished } from "vitest";

import {
  Http1Server,
  type Http1Options,
  type PlainExchange,
} from "../../src/serving/http1/index.ts";

const MINUTE_MS = 60_000;

/** A server on the codec, with Node's own behind it; both end with the test. */
export interface Http1Stage {
  readonly server: Http1Server;
  /** A caller that is connected. */
  readonly call: () => Promise<Caller>;
}

/** One connection of a caller's, and what came back over it. */
export class Caller {
  readonly socket: Socket;
  /** Resolves once the connection has ended. */
  readonly closed: Promise<void>;
  readonly #parts: Buffer[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => void socket.once("close", () => resolve()));
    socket.on("error", () => undefined);
    socket.on("data", (part: Buffer) => this.#parts.push(part));
  }

  /** All that came back, one character per byte. */
  get text(): string {
    return Buffer.concat(this.#parts).toString("latin1");
  }

  /** Everything that comes back until the other side closes the connection. */
  async all(): Promise<string> {
    await this.closed;
    return this.text;
  }

  /** Resolves once a text has come back. */
  async until(text: string): Promise<void> {
    while (!this.text.includes(text)) {
      const more = new Promise<void>((resolve) => void this.socket.once("data", () => resolve()));
      await Promise.race([
        more,
        this.closed.then(() => {
          if (!this.text.includes(text)) throw new Error(`closed after ${this.text}`);
        }),
      ]);
    }
  }
}

/** Starts a server that gives plain requests to `handle` and others to `other`. */
export async function http1Stage(
  handle: (exchange: PlainExchange) => void,
  settings: Partial<Omit<Http1Options, "other">> & { readonly other?: RequestListener } = {},
): Promise<Http1Stage> {
  const { other: listener, ...rest } = settings;
  const headersTimeout = rest.headMs ?? MINUTE_MS;
  const requestTimeout = rest.requestMs ?? MINUTE_MS;
  const connectionsCheckingInterval = rest.checkMs ?? MINUTE_MS;
  const timeouts = { headersTimeout, requestTimeout, connectionsCheckingInterval };
  const other = Object.assign(createServer(timeouts, listener), { httpAllowHalfOpen: true });
  const server = new Http1Server(
    {
      headMs: MINUTE_MS,
      requestMs: MINUTE_MS,
      keepAliveMs: MINUTE_MS,
      readMs: 2 * MINUTE_MS,
      checkMs: MINUTE_MS,
      bodyBytes: 64 * 1024,
      ...rest,
      other,
    },
    handle,
  );
  await new Promise<void>((resolve) => void server.listener.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.listener.close();
    server.closeAllConnections();
  });
  const { port } = server.listener.address() as AddressInfo;
  return {
    server,
    call: async () => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
      onTestFinished(() => void socket.destroy());
      await new Promise<void>((resolve) => void socket.once("connect", resolve));
      // A caller that has heard the end says its own.
      socket.once("end", () => socket.end());
      return new Caller(socket);
    },
  };
}
