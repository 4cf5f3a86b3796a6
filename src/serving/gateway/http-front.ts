import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

import { LastgoodError } from "../../core/errors/index.ts";
import { Http1Server } from "../http1/index.ts";
import {
  addressMatcher,
  protocolOfPath,
  type Address,
  type InferAddress,
  type ProtocolName,
  type ScoringProtocol,
  type StatusAddress,
} from "../protocol/index.ts";
import { acceptWhatWaits } from "./accept-what-waits.ts";
import { echoHeaders, errorHeaders } from "./answer.ts";
import type { EndpointBook } from "./endpoint-book.ts";
import type { HttpExchange } from "./http-exchange.ts";
import type { Inference } from "./inference.ts";
import { NodeExchange } from "./node-exchange.ts";
import { PassThrough } from "./pass-through.ts";
import { passedTo } from "./passed-path.ts";
import { PlainHttpExchange } from "./plain-http-exchange.ts";
import { statusFacts } from "./status-facts.ts";
import type { WorkerSettings } from "./thread-messages.ts";

/** A connection that sends no whole head within this is cut, ms. */
const HEADERS_TIMEOUT_MS = 10_000;
/** A connection that sends no whole request within this is cut, ms. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Longer than the usual 60 s of proxies, so that it is they who close idle connections, ms. */
const KEEP_ALIVE_MS = 75_000;
/** A caller that takes nothing of its answer for so long gives its place to others, ms. */
const READ_MS = 120_000;
const CHECK_MS = 5_000;
/** Longest body that the codec reads, bytes: the copies of longer ones cost more than it saves. */
const PLAIN_BODY_BYTES = 64 * 1024;
const IDLE_CHECK_MS = 20;
/** Between the end of accepting and the end of connections that are idle, ms. */
const PARTING_MS = 500;
const TEXT = { "content-type": "text/plain; charset=utf-8" };

/**
 * One worker's HTTP server: the codec for requests of the plain form, Node's own server for every
 * connection on which anything else comes.
 */
export class HttpFront {
  readonly #settings: WorkerSettings;
  readonly #book: EndpointBook;
  readonly #inference: Inference;
  readonly #passThrough: PassThrough;
  readonly #protocols: ReadonlyMap<ProtocolName, ScoringProtocol>;
  readonly #address: (method: string, pathname: string) => Address | null;
  readonly #server: Http1Server;
  readonly #closed = Promise.withResolvers<void>();

  constructor(
    settings: WorkerSettings,
    book: EndpointBook,
    {
      inference,
      protocols,
    }: { readonly inference: Inference; readonly protocols: readonly ScoringProtocol[] },
  ) {
    this.#settings = settings;
    this.#book = book;
    this.#inference = inference;
    this.#passThrough = new PassThrough(book, settings.probeToken);
    this.#protocols = new Map(protocols.map((protocol) => [protocol.name, protocol]));
    this.#address = addressMatcher(protocols);
    const other = createServer(
      {
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: CHECK_MS,
      },
      (request, response) => {
        // One at a time: a response that waits behind another one may never hear of its connection's end.
        if (response.socket === null)
          response.once("socket", ({ destroyed }) => {
            if (!destroyed) this.#takeFromNode(request, response);
          });
        else this.#takeFromNode(request, response);
      },
    );
    // A caller that has closed its half of the connection still gets its answer; Node has the switch
    // (since 0.5) but no option for it.
    Object.assign(other, { httpAllowHalfOpen: true });
    this.#server = new Http1Server(
      {
        headMs: HEADERS_TIMEOUT_MS,
        requestMs: REQUEST_TIMEOUT_MS,
        keepAliveMs: KEEP_ALIVE_MS,
        readMs: READ_MS,
        checkMs: CHECK_MS,
        bodyBytes: PLAIN_BODY_BYTES,
        other,
      },
      (exchange) => this.#take(new PlainHttpExchange(exchange)),
    );
  }

  /** Resolves when connections are accepted. */
  listen(): Promise<void> {
    const { host, port, reusePort } = this.#settings;
    const { listener } = this.#server;
    return new Promise((resolve, reject) => {
      listener.once("error", reject);
      listener.listen({ host, port, reusePort, backlog: 1024 }, () => {
        listener.off("error", reject);
        resolve();
      });
    });
  }

  /**
   * Accepts no connections from now on. Those that the system has taken in for us are accepted
   * first, or closing the listener would reset them.
   */
  async stopListening(): Promise<void> {
    const { listener } = this.#server;
    await acceptWhatWaits(listener);
    // The listener alone: connections whose request is on its way stay.
    listener.close(() => this.#closed.resolve());
  }

  /**
   * Finishes what is in flight and cuts what is left after `timeoutMs`; `stopListening` comes first.
   * Callers that are busy learn from their next answer that the connection ends with it.
   */
  async drain(timeoutMs: number): Promise<void> {
    this.#server.drain();
    const closed = this.#closed.promise;
    await Promise.race([closed, pause(Math.min(PARTING_MS, timeoutMs), undefined, { ref: false })]);
    // After the turn that reads: a request that waited while this thread was busy is not idle.
    const idle = setInterval(
      () => setImmediate(() => this.#server.closeIdleConnections()),
      IDLE_CHECK_MS,
    );
    const cut = setTimeout(() => this.#server.closeAllConnections(), timeoutMs);
    await closed;
    clearInterval(idle);
    clearTimeout(cut);
  }

  #takeFromNode(request: IncomingMessage, response: ServerResponse): void {
    if (this.#server.isDraining) response.shouldKeepAlive = false;
    const exchange = new NodeExchange(request, response);
    const coding = request.headers["transfer-encoding"];
    if (coding === undefined || coding.toLowerCase() === "chunked") this.#take(exchange);
    else {
      // Node undoes chunks alone, and who reads the body would not know (RFC 9112, section 6.1).
      const why = `the transfer coding ${JSON.stringify(coding)} is not undone`;
      const error = new LastgoodError("protocol.unsupported", why, {
        hint: "send it in chunks alone",
      });
      this.#refuse(exchange, { error, protocol: "oip" });
    }
  }

  #take(exchange: HttpExchange): void {
    try {
      const to = passedTo(this.#book, exchange.target);
      if (to === null) this.#handle(exchange);
      else this.#passThrough.handle({ exchange, to });
    } catch (error) {
      // A defect of ours costs one request, not the worker.
      this.#refuse(exchange, { error: LastgoodError.from(error), protocol: "oip" });
    }
  }

  #handle(exchange: HttpExchange): void {
    const { target } = exchange;
    const query = target.indexOf("?");
    const pathname = query === -1 ? target : target.slice(0, query);
    const address = this.#address(exchange.method, pathname);
    if (address === null) {
      const error = new LastgoodError("route.not-found", `nothing is served at ${pathname}`);
      this.#refuse(exchange, { error, protocol: protocolOfPath(pathname) });
    } else if (address.kind === "infer") this.#infer(exchange, address);
    else {
      exchange.discard();
      this.#status(exchange, address);
    }
  }

  #infer(exchange: HttpExchange, address: InferAddress): void {
    const protocol = this.#protocol(address.protocol);
    const refuse = (error: LastgoodError): void => {
      exchange.write(protocol.encodeError(error), {
        ...echoHeaders(exchange),
        ...errorHeaders(error),
      });
      if (error.code === "body.too-large") exchange.discardForAWhile();
    };
    let limit: number;
    try {
      limit = this.#inference.bodyLimit(address);
    } catch (error) {
      refuse(LastgoodError.from(error));
      return;
    }
    exchange.read(limit, (error, body) => {
      if (error === null) this.#inference.answer({ exchange, protocol, address, body });
      else refuse(error);
    });
  }

  #status(exchange: HttpExchange, address: Exclude<Address, { kind: "infer" }>): void {
    switch (address.kind) {
      case "healthz":
        exchange.write({ status: 200, headers: TEXT, body: "ok\n" });
        return;
      case "readyz": {
        const ready = this.#book.isReadyForAll();
        const body = ready ? "ready\n" : "not ready\n";
        exchange.write({ status: ready ? 200 : 503, headers: TEXT, body });
        return;
      }
      case "unsupported": {
        const { protocol, why, hint } = address;
        const error = new LastgoodError("protocol.unsupported", why, { hint });
        this.#refuse(exchange, { error, protocol });
        return;
      }
      case "method-not-allowed": {
        const { allow, protocol } = address;
        const error = new LastgoodError(
          "method.not-allowed",
          `${exchange.method} is not taken here; accepted: ${allow}`,
        );
        const answer =
          protocol === null
            ? { status: 405, headers: TEXT, body: `${error.message}\n` }
            : this.#protocol(protocol).encodeError(error);
        exchange.write(answer, { ...echoHeaders(exchange), allow });
        return;
      }
      case "live":
      case "ready":
      case "server":
      case "models":
      case "version":
      case "model":
      case "model-ready":
        this.#protocolStatus(exchange, address);
    }
  }

  #protocolStatus(exchange: HttpExchange, address: StatusAddress): void {
    const protocol = this.#protocol(address.protocol);
    try {
      const facts = statusFacts(this.#book, this.#settings.build, address);
      exchange.write(protocol.status(address, facts), echoHeaders(exchange));
    } catch (error) {
      const refused = LastgoodError.from(error);
      this.#refuse(exchange, { error: refused, protocol: address.protocol });
    }
  }

  #refuse(
    exchange: HttpExchange,
    refusal: { readonly error: LastgoodError; readonly protocol: ProtocolName },
  ): void {
    exchange.discard();
    const answer = this.#protocol(refusal.protocol).encodeError(refusal.error);
    exchange.write(answer, echoHeaders(exchange));
  }

  #protocol(name: ProtocolName): ScoringProtocol {
    const protocol = this.#protocols.get(name);
    if (protocol === undefined) throw new Error(`no room speaks ${name}`);
    return protocol;
  }
}
