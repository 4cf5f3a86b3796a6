import { LastgoodError } from "../../core/errors/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import { HttpPool, HttpTimeout, type HttpAnswer, type HttpRequest } from "./http-pool.ts";
import { readAnswer, readMetadata, writeRequest, type RemoteMetadata } from "./oip-wire.ts";

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

/** A model at a remote server. */
export class OipRemote {
  readonly #address: OipAddress;
  readonly #pool: HttpPool;
  readonly #path: string;

  constructor(address: OipAddress) {
    const url = parseUrl(address.url);
    this.#address = address;
    this.#path = `${url.pathname.replace(/\/+$/, "")}/v2/models/${encodeURIComponent(address.model)}`;
    this.#pool = new HttpPool(url.origin);
  }

  /** @throws `runtime.unavailable`, `runtime.timeout` or `runtime.failed` when it is not ready. */
  async ready(timeoutMs: number): Promise<void> {
    await this.#request({ path: `${this.#path}/ready`, body: null }, timeoutMs);
  }

  /** @throws as `ready` does. */
  async metadata(timeoutMs: number): Promise<RemoteMetadata> {
    const { text } = await this.#request({ path: this.#path, body: null }, timeoutMs);
    return readMetadata(text);
  }

  /**
   * @throws `runtime.failed` for an answer of 4xx (with `rejected: true` in its details) or 5xx, or
   * one that is not understood; `runtime.unavailable` without a connection; `runtime.timeout`.
   */
  async infer(inputs: readonly Tensor[], timeoutMs: number): Promise<RemoteAnswer> {
    const request = { path: `${this.#path}/infer`, body: writeRequest(inputs) };
    const { text, ms } = await this.#requestTwice(request, timeoutMs);
    return { outputs: readAnswer(text), ms };
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  /** Sent once more where that is allowed and a lost connection left it open what became of it. */
  async #requestTwice(request: HttpRequest, timeoutMs: number): Promise<HttpAnswer> {
    try {
      return await this.#request(request, timeoutMs);
    } catch (error) {
      if (!this.#address.retries || LastgoodError.from(error).code !== "runtime.unavailable")
        throw error;
      return this.#request(request, timeoutMs);
    }
  }

  async #request(request: HttpRequest, timeoutMs: number): Promise<HttpAnswer> {
    const answer = await this.#exchange(request, timeoutMs);
    const { status, text } = answer;
    if (status >= 200 && status < 300) return answer;
    const rejected = status >= 400 && status < 500;
    throw new LastgoodError(
      "runtime.failed",
      `${this.#name} answered ${status}: ${textOfError(text)}`,
      { details: { status, ...(rejected ? { rejected } : {}) } },
    );
  }

  async #exchange(request: HttpRequest, timeoutMs: number): Promise<HttpAnswer> {
    try {
      return await this.#pool.exchange(request, timeoutMs);
    } catch (cause) {
      if (cause instanceof HttpTimeout)
        throw new LastgoodError(
          "runtime.timeout",
          `${this.#name} did not answer within ${Math.ceil(timeoutMs)} ms`,
          { cause },
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
