import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Server as Listener } from "node:net";
import { setImmediate as turnOfTheLoop, setTimeout as pause } from "node:timers/promises";

import { LastgoodError } from "../../core/errors/index.ts";
import {
  addressMatcher,
  protocolOfPath,
  type Address,
  type ModelFacts,
  type ProtocolName,
  type ScoringProtocol,
  type StatusAddress,
  type StatusFacts,
  type VersionFacts,
} from "../protocol/index.ts";
import { echoHeaders, writeAnswer } from "./answer.ts";
import type { EndpointBook } from "./endpoint-book.ts";
import { Inference } from "./inference.ts";
import type { RoutedEndpoint, RoutedRevision } from "./routed-endpoint.ts";
import type { WorkerSettings } from "./thread-messages.ts";

/** A connection that sends no whole head within this is cut, ms. */
const HEADERS_TIMEOUT_MS = 10_000;
/** A connection that sends no whole request within this is cut, ms. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Longer than the usual 60 s of proxies, so that it is they who close idle connections, ms. */
const KEEP_ALIVE_MS = 75_000;
const CHECK_MS = 5_000;
const IDLE_CHECK_MS = 20;
/** Between the end of accepting and the end of connections that are idle, ms. */
const PARTING_MS = 2_000;
const TEXT = { "content-type": "text/plain; charset=utf-8" };

/** One worker's HTTP server. */
export class HttpFront {
  readonly #settings: WorkerSettings;
  readonly #book: EndpointBook;
  readonly #inference: Inference;
  readonly #protocols: ReadonlyMap<ProtocolName, ScoringProtocol>;
  readonly #address: (method: string, pathname: string) => Address | null;
  readonly #server: Server;
  readonly #closed = Promise.withResolvers<void>();
  #draining = false;

  constructor(settings: WorkerSettings, book: EndpointBook, protocols: readonly ScoringProtocol[]) {
    this.#settings = settings;
    this.#book = book;
    this.#inference = new Inference(book, settings.probeToken);
    this.#protocols = new Map(protocols.map((protocol) => [protocol.name, protocol]));
    this.#address = addressMatcher(protocols);
    this.#server = createServer(
      {
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: CHECK_MS,
        noDelay: true,
      },
      (request, response) => {
        try {
          this.#handle(request, response);
        } catch (error) {
          // A defect of ours costs one request, not the worker.
          this.#refuse(request, response, { error: LastgoodError.from(error), protocol: "oip" });
        }
      },
    );
    // A caller that has closed its half of the connection still gets its answer; Node has the switch
    // (since 0.5) but no option for it.
    Object.assign(this.#server, { httpAllowHalfOpen: true });
  }

  /** Resolves when connections are accepted. */
  listen(): Promise<void> {
    const { host, port, reusePort } = this.#settings;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port, reusePort, backlog: 1024 }, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
  }

  /**
   * Accepts no connections from now on. Those that the system has taken in for us are accepted
   * first, or closing the listener would reset them.
   */
  async stopListening(): Promise<void> {
    await turnOfTheLoop();
    await turnOfTheLoop();
    // The listener alone: HTTP's own close would reset connections whose request is on its way.
    Listener.prototype.close.call(this.#server, () => this.#closed.resolve());
  }

  /**
   * Finishes what is in flight and cuts what is left after `timeoutMs`; `stopListening` comes first.
   * Callers that are busy learn from their next answer that the connection ends with it.
   */
  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true;
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

  #handle(request: IncomingMessage, response: ServerResponse): void {
    if (this.#draining) response.shouldKeepAlive = false;
    const url = request.url ?? "/";
    const query = url.indexOf("?");
    const pathname = query === -1 ? url : url.slice(0, query);
    const address = this.#address(request.method ?? "GET", pathname);
    if (address === null) {
      const error = new LastgoodError("route.not-found", `nothing is served at ${pathname}`);
      this.#refuse(request, response, { error, protocol: protocolOfPath(pathname) });
    } else if (address.kind === "infer") {
      const protocol = this.#protocol(address.protocol);
      this.#inference.handle(request, response, { protocol, address });
    } else {
      request.resume();
      this.#status(request, response, address);
    }
  }

  #status(
    request: IncomingMessage,
    response: ServerResponse,
    address: Exclude<Address, { kind: "infer" }>,
  ): void {
    switch (address.kind) {
      case "healthz":
        writeAnswer(response, { status: 200, headers: TEXT, body: "ok\n" });
        return;
      case "readyz": {
        const ready = this.#book.isReadyForAll();
        const body = ready ? "ready\n" : "not ready\n";
        writeAnswer(response, { status: ready ? 200 : 503, headers: TEXT, body });
        return;
      }
      case "unsupported": {
        const { protocol, why, hint } = address;
        const error = new LastgoodError("protocol.unsupported", why, { hint });
        this.#refuse(request, response, { error, protocol });
        return;
      }
      case "method-not-allowed":
        writeAnswer(
          response,
          { status: 405, headers: TEXT, body: `accepted here: ${address.allow}\n` },
          { allow: address.allow },
        );
        return;
      case "live":
      case "ready":
      case "server":
      case "models":
      case "version":
      case "model":
      case "model-ready":
        this.#protocolStatus(request, response, address);
    }
  }

  #protocolStatus(
    request: IncomingMessage,
    response: ServerResponse,
    address: StatusAddress,
  ): void {
    const protocol = this.#protocol(address.protocol);
    try {
      writeAnswer(response, protocol.status(address, this.#facts(address)), echoHeaders(request));
    } catch (error) {
      const refused = LastgoodError.from(error);
      this.#refuse(request, response, { error: refused, protocol: address.protocol });
    }
  }

  #facts(address: StatusAddress): StatusFacts {
    const book = this.#book;
    return {
      ready: book.isReadyForAll(),
      build: this.#settings.build,
      endpoints: book.table.names(),
      model: "endpoint" in address ? this.#model(address.endpoint, address.version) : null,
    };
  }

  #model(name: string | null, version: string | null): ModelFacts {
    const routed = this.#book.find(name);
    const { endpoint } = routed.compiled;
    const loaded = [...routed.revisions()].filter((each) => this.#book.isReady(each.key));
    const named =
      version === null
        ? null
        : routed.compiled
            .ofVersion(version)
            .flatMap((one) => loaded.filter((each) => each.revision === one))[0];
    if (named === undefined) {
      throw new LastgoodError(
        "route.not-found",
        `version "${version}" is not loaded at ${endpoint}`,
      );
    }
    const shown = named ?? routed.pick(null);
    return {
      endpoint,
      versions: [...new Set(loaded.map((each) => each.label))],
      loaded: this.#versions(routed),
      shown: shown === null ? null : this.#version(shown),
      platform: shown?.revision.runtime.kind ?? "none",
      ready: named !== null || (shown !== null && this.#book.isEndpointReady(routed)),
      contract: shown?.revision.contract ?? { inputs: [], outputs: [] },
    };
  }

  #version({ key, label, revision }: RoutedRevision): VersionFacts {
    return { label, sequence: revision.version.sequence, ready: this.#book.isReady(key) };
  }

  /** Two revisions may have one version: it is ready where either is. */
  #versions(routed: RoutedEndpoint): readonly VersionFacts[] {
    const versions = new Map<number, VersionFacts>();
    for (const each of routed.revisions()) {
      const facts = this.#version(each);
      if (facts.ready || !versions.has(facts.sequence)) versions.set(facts.sequence, facts);
    }
    return [...versions.values()].toSorted((a, b) => a.sequence - b.sequence);
  }

  #refuse(
    request: IncomingMessage,
    response: ServerResponse,
    refusal: { readonly error: LastgoodError; readonly protocol: ProtocolName },
  ): void {
    request.resume();
    const answer = this.#protocol(refusal.protocol).encodeError(refusal.error);
    writeAnswer(response, answer, echoHeaders(request));
  }

  #protocol(name: ProtocolName): ScoringProtocol {
    const protocol = this.#protocols.get(name);
    if (protocol === undefined) throw new Error(`no room speaks ${name}`);
    return protocol;
  }
}
