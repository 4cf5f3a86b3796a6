import { Pool, type Dispatcher } from "undici";

import { LastgoodError } from "../../core/errors/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import type { UpstreamAddress } from "../runtime/index.ts";
import { dialectOf, type Dialect } from "./dialect.ts";
import { readMetadata, type RemoteMetadata } from "./oip-wire.ts";

const CONNECTIONS = 128;
const CONNECT_TIMEOUT_MS = 5_000;
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;
/** Of an error's text, what is worth showing. */
const ERROR_CHARACTERS = 500;

/** Outputs and how long the model took for them. */
export interface RemoteAnswer {
  readonly outputs: Tensor[];
  /** From when it was sent to when the answer was there, ms. */
  readonly ms: number;
}

interface Exchanged {
  readonly text: string;
  readonly ms: number;
}

/** Tells when a request leaves: until then it waits here for a connection. */
function noting(
  handler: Dispatcher.DispatchHandler,
  onLeave: () => void,
): Dispatcher.DispatchHandler {
  return {
    onRequestStart: (controller, context) => {
      onLeave();
      handler.onRequestStart?.(controller, context);
    },
    onResponseStart: (...told) => handler.onResponseStart?.(...told),
    onResponseData: (...told) => handler.onResponseData?.(...told),
    onResponseEnd: (...told) => handler.onResponseEnd?.(...told),
    onResponseError: (...told) => handler.onResponseError?.(...told),
  };
}

/** The only schemes the server fetches. */
function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url !== null && (url.protocol === "http:" || url.protocol === "https:")) return url;
  throw new LastgoodError("config.invalid", `"${text}" is not a URL the server fetches`, {
    hint: "accepted are http:// and https:// URLs",
  });
}

function textOfError(body: string): string {
  try {
    const { error } = JSON.parse(body) as { readonly error?: unknown };
    if (typeof error === "string") return error.slice(0, ERROR_CHARACTERS);
  } catch {
    // Not the protocol's form: shown as it came.
  }
  return body.slice(0, ERROR_CHARACTERS);
}

const TIMEOUTS = new Set(["UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT", "UND_ERR_ABORTED"]);

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** How a server is reached. */
export interface UpstreamOptions {
  /** Idle connections are closed after this long, ms: before a server that closes them too. */
  readonly keepAliveMs?: number;
  /** What to look at when it cannot be reached. */
  readonly hint?: string;
}

/** A model at a server that is asked over HTTP. */
export class Upstream {
  readonly #address: UpstreamAddress;
  readonly #dialect: Dialect;
  readonly #hint: string;
  readonly #pool: Pool;
  /** What comes before every path; empty where the URL has none. */
  readonly #base: string;
  #closed: Promise<void> | null = null;

  constructor(address: UpstreamAddress, options: UpstreamOptions = {}) {
    const url = parseUrl(address.url);
    this.#address = address;
    this.#dialect = dialectOf(address);
    this.#hint = options.hint ?? "check the remote's url in the server's configuration";
    this.#base = url.pathname.replace(/\/+$/, "");
    this.#pool = new Pool(url.origin, {
      connections: CONNECTIONS,
      connect: { timeout: CONNECT_TIMEOUT_MS },
      maxResponseSize: MAX_ANSWER_BYTES,
      ...(options.keepAliveMs === undefined ? {} : { keepAliveTimeout: options.keepAliveMs }),
    });
  }

  /** @throws `runtime.unavailable`, `runtime.timeout` or `runtime.failed` when it is not ready. */
  async ready(timeoutMs: number): Promise<void> {
    await this.#request({ method: "GET", path: this.#base + this.#dialect.readyPath }, timeoutMs);
  }

  /**
   * What the server says of its model; null where its protocol has no such thing.
   * @throws as `ready` does.
   */
  async metadata(timeoutMs: number): Promise<RemoteMetadata | null> {
    const { metadataPath } = this.#dialect;
    if (metadataPath === null) return null;
    const path = this.#base + metadataPath;
    const { text } = await this.#request({ method: "GET", path }, timeoutMs);
    return readMetadata(text);
  }

  /**
   * @throws `runtime.failed` for an answer of 4xx (with `rejected: true` in its details) or 5xx, or
   * one that is not understood; `runtime.unavailable` without a connection (`sent` in its details
   * says whether the request had left); `runtime.timeout`.
   */
  async infer(inputs: readonly Tensor[], timeoutMs: number): Promise<RemoteAnswer> {
    const request = {
      method: "POST",
      path: this.#base + this.#dialect.inferPath,
      headers: { "content-type": "application/json" },
      body: this.#dialect.write(inputs),
    } as const;
    const { text, ms } = await this.#requestTwice(request, timeoutMs);
    return { outputs: this.#dialect.read(text), ms };
  }

  /** Ends its connections once their requests are answered. */
  close(): Promise<void> {
    this.#closed ??= this.#pool.close();
    return this.#closed;
  }

  /** Sent once more where that is allowed and a lost connection left it open what became of it. */
  async #requestTwice(options: Dispatcher.RequestOptions, timeoutMs: number): Promise<Exchanged> {
    try {
      return await this.#request(options, timeoutMs);
    } catch (error) {
      if (!this.#address.retries || LastgoodError.from(error).code !== "runtime.unavailable")
        throw error;
      return this.#request(options, timeoutMs);
    }
  }

  async #request(options: Dispatcher.RequestOptions, timeoutMs: number): Promise<Exchanged> {
    const { statusCode, text, ms } = await this.#exchange(options, timeoutMs);
    if (statusCode >= 200 && statusCode < 300) return { text, ms };
    const rejected = statusCode >= 400 && statusCode < 500;
    throw new LastgoodError(
      "runtime.failed",
      `${this.#name} answered ${statusCode}: ${textOfError(text)}`,
      { details: { status: statusCode, ...(rejected ? { rejected } : {}) } },
    );
  }

  async #exchange(
    options: Dispatcher.RequestOptions,
    timeoutMs: number,
  ): Promise<Exchanged & { readonly statusCode: number }> {
    // What is left of a request's time has fractions, which a timer refuses.
    const limit = AbortSignal.timeout(Math.max(0, Math.ceil(timeoutMs)));
    let leftAt = performance.now();
    let sent = false;
    const pool = this.#pool.compose(
      (dispatch) => (request, handler) =>
        dispatch(
          request,
          noting(handler, () => {
            leftAt = performance.now();
            sent = true;
          }),
        ),
    );
    try {
      const { statusCode, body } = await pool.request({ ...options, signal: limit });
      const text = await body.text();
      return { statusCode, text, ms: performance.now() - leftAt };
    } catch (cause) {
      if (limit.aborted || TIMEOUTS.has(codeOf(cause)))
        throw new LastgoodError(
          "runtime.timeout",
          `${this.#name} did not answer within ${Math.ceil(timeoutMs)} ms`,
          {
            cause,
          },
        );
      throw new LastgoodError(
        "runtime.unavailable",
        `${this.#name} cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause, hint: this.#hint, details: { sent } },
      );
    }
  }

  get #name(): string {
    return `model ${this.#address.model} at ${this.#address.url}`;
  }
}
