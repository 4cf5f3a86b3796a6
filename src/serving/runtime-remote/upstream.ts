import { LastgoodError } from "../../core/errors/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import {
  AnswerInvalid,
  AnswerLost,
  AnswerTimeout,
  UpstreamPool,
  type Question,
  type WholeAnswer,
} from "../http1/index.ts";
import type { InferResult, UpstreamAddress } from "../runtime/index.ts";
import { dialectOf, type Dialect } from "./dialect.ts";
import { readMetadata, type RemoteMetadata } from "./oip-wire.ts";

/** Of an error's text, what is worth showing. */
const ERROR_CHARACTERS = 500;

const CONNECTIONS = 128;

/** Outputs and how long the model took for them. */
export interface RemoteAnswer {
  readonly outputs: Tensor[];
  /** What it wrote, where that is an answer of MLflow's scoring protocol. */
  readonly scoring?: string;
  /** From when it was sent to when the answer was there, ms. */
  readonly ms: number;
}

/** What a client of one server makes of an answer: nobody shared its frame. */
export function resultOf(inputs: readonly Tensor[], { ms, ...answer }: RemoteAnswer): InferResult {
  return { ...answer, modelMs: ms, batch: 1, frame: { rows: inputs[0]?.shape[0] ?? 1 } };
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
  readonly #pool: UpstreamPool;
  readonly #inferPath: string;
  /** What comes before every path; empty where the URL has none. */
  readonly #base: string;
  #closed: Promise<void> | null = null;

  constructor(address: UpstreamAddress, options: UpstreamOptions = {}) {
    const url = parseUrl(address.url);
    this.#address = address;
    this.#dialect = dialectOf(address);
    this.#hint = options.hint ?? "check the remote's url in the server's configuration";
    this.#base = url.pathname.replace(/\/+$/, "");
    this.#inferPath = this.#base + this.#dialect.inferPath;
    this.#pool = new UpstreamPool(url, { connections: CONNECTIONS, ...options });
  }

  /** @throws `runtime.unavailable`, `runtime.timeout` or `runtime.failed` when it is not ready. */
  async ready(timeoutMs: number): Promise<void> {
    await this.#request({ path: this.#base + this.#dialect.readyPath, body: null }, timeoutMs);
  }

  /**
   * What the server says of its model; null where its protocol has no such thing.
   * @throws as `ready` does.
   */
  async metadata(timeoutMs: number): Promise<RemoteMetadata | null> {
    const { metadataPath } = this.#dialect;
    if (metadataPath === null) return null;
    const path = this.#base + metadataPath;
    const { text } = await this.#request({ path, body: null }, timeoutMs);
    return readMetadata(text);
  }

  /**
   * @throws `runtime.failed` for an answer of 4xx (with `rejected: true` in its details) or 5xx, or
   * one that is not understood; `runtime.unavailable` without a connection (`sent` in its details
   * says whether the request had left); `runtime.timeout`.
   */
  async infer(inputs: readonly Tensor[], timeoutMs: number): Promise<RemoteAnswer> {
    const question = { path: this.#inferPath, body: this.#dialect.write(inputs) };
    const { text, ms } = await this.#requestTwice(question, timeoutMs);
    const answer = { outputs: this.#dialect.read(text), ms };
    return this.#address.protocol === "mlflow" ? { ...answer, scoring: text } : answer;
  }

  /** Ends its connections once their requests are answered. */
  close(): Promise<void> {
    this.#closed ??= this.#pool.close();
    return this.#closed;
  }

  /**
   * Sent once more, in what is left of its time, where that is allowed and a lost connection left it
   * open what became of it.
   */
  #requestTwice(question: Question, timeoutMs: number): Promise<WholeAnswer> {
    const answer = this.#request(question, timeoutMs);
    if (!this.#address.retries) return answer;
    const until = performance.now() + timeoutMs;
    return answer.catch((error: unknown) => {
      const leftMs = until - performance.now();
      if (LastgoodError.from(error).code !== "runtime.unavailable" || leftMs <= 0) throw error;
      return this.#request(question, leftMs);
    });
  }

  async #request(question: Question, timeoutMs: number): Promise<WholeAnswer> {
    let answer: WholeAnswer;
    try {
      answer = await this.#pool.ask(question, timeoutMs);
    } catch (cause) {
      throw this.#failure(cause, timeoutMs);
    }
    const { status, text } = answer;
    if (status >= 200 && status < 300) return answer;
    throw this.#refusal(status, textOfError(text));
  }

  /** What is neither an answer nor an error of the protocol is an invalid answer, as rubbish is. */
  #refusal(status: number, text: string): LastgoodError {
    const said = `${this.#name} answered ${status}`;
    if (status < 400) {
      const message = `${said}, which is no answer of the protocol; redirects are not followed`;
      return new LastgoodError("runtime.failed", message, {
        details: { status, invalid: message },
      });
    }
    const message = text === "" ? said : `${said}: ${text}`;
    const rejected = status < 500;
    return new LastgoodError("runtime.failed", message, {
      details: { status, ...(rejected ? { rejected } : {}) },
    });
  }

  #failure(cause: unknown, timeoutMs: number): LastgoodError {
    const why = cause instanceof Error ? cause.message : String(cause);
    if (cause instanceof AnswerTimeout)
      return new LastgoodError(
        "runtime.timeout",
        `${this.#name} did not answer within ${Math.ceil(timeoutMs)} ms`,
        { cause },
      );
    if (cause instanceof AnswerInvalid) {
      const message = `${this.#name} answered what is not HTTP/1.1: ${why}`;
      return new LastgoodError("runtime.failed", message, { cause, details: { invalid: message } });
    }
    const sent = cause instanceof AnswerLost && cause.stage !== "unsent";
    const what = sent ? "did not answer to the end" : "cannot be reached";
    return new LastgoodError("runtime.unavailable", `${this.#name} ${what}: ${why}`, {
      cause,
      hint: this.#hint,
      details: { sent },
    });
  }

  get #name(): string {
    return `model ${this.#address.model} at ${this.#address.url}`;
  }
}
