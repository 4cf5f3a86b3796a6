import { Pool, type Dispatcher } from "undici";

import { LastgoodError } from "../../core/errors/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import { readAnswer, readMetadata, writeRequest, type RemoteMetadata } from "./oip-wire.ts";

const CONNECTIONS = 128;
const CONNECT_TIMEOUT_MS = 5_000;
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;
/** Of an error's text, what is worth showing. */
const ERROR_CHARACTERS = 500;

/** Where a model lies at a server that speaks the Open Inference Protocol v2. */
export interface OipAddress {
  readonly url: string;
  readonly model: string;
  /** Whether a request may be sent twice. */
  readonly retries: boolean;
}

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

/** A model at a remote server. */
export class OipRemote {
  readonly #address: OipAddress;
  readonly #pool: Pool;
  readonly #path: string;

  constructor(address: OipAddress) {
    const url = parseUrl(address.url);
    this.#address = address;
    this.#path = `${url.pathname.replace(/\/+$/, "")}/v2/models/${encodeURIComponent(address.model)}`;
    this.#pool = new Pool(url.origin, {
      connections: CONNECTIONS,
      connect: { timeout: CONNECT_TIMEOUT_MS },
      maxResponseSize: MAX_ANSWER_BYTES,
    });
  }

  /** @throws `runtime.unavailable`, `runtime.timeout` or `runtime.failed` when it is not ready. */
  async ready(timeoutMs: number): Promise<void> {
    await this.#request({ method: "GET", path: `${this.#path}/ready` }, timeoutMs);
  }

  /** @throws as `ready` does. */
  async metadata(timeoutMs: number): Promise<RemoteMetadata> {
    const { text } = await this.#request({ method: "GET", path: this.#path }, timeoutMs);
    return readMetadata(text);
  }

  /**
   * @throws `runtime.failed` for an answer of 4xx (with `rejected: true` in its details) or 5xx, or
   * one that is not understood; `runtime.unavailable` without a connection; `runtime.timeout`.
   */
  async infer(inputs: readonly Tensor[], timeoutMs: number): Promise<RemoteAnswer> {
    const request = {
      method: "POST",
      path: `${this.#path}/infer`,
      headers: { "content-type": "application/json" },
      body: writeRequest(inputs),
    } as const;
    const { text, ms } = await this.#requestTwice(request, timeoutMs);
    return { outputs: readAnswer(text), ms };
  }

  close(): Promise<void> {
    return this.#pool.close();
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
    const pool = this.#pool.compose(
      (dispatch) => (request, handler) =>
        dispatch(
          request,
          noting(handler, () => (leftAt = performance.now())),
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
        { cause, hint: "check the remote's url in the server's configuration" },
      );
    }
  }

  get #name(): string {
    return `model ${this.#address.model} at ${this.#address.url}`;
  }
}
