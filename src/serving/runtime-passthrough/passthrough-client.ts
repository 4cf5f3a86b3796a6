import { LastgoodError } from "../../core/errors/index.ts";
import { AnswerInvalid, AnswerLost, AnswerTimeout, UpstreamPool } from "../http1/index.ts";
import {
  RequestBound,
  type Forwarded,
  type ForwardingClient,
  type ForwardRequest,
  type InferResult,
  type ModelAddress,
} from "../runtime/index.ts";

type PassThroughAddress = Extract<ModelAddress, { readonly kind: "passthrough" }>;

/** How a server is reached, and who hears of it. */
export interface PassThroughOptions {
  /** Idle connections are closed after this long, ms: before a server that closes them too. */
  readonly keepAliveMs?: number;
  /** What to look at when it cannot be reached. */
  readonly hint?: string;
  /** Hears that the server answers: an answer, or a part of one, that is not its failure. */
  readonly onAnswer?: () => void;
}

/** A server that is given requests as they are. Connections are opened as requests need them. */
class PassThroughClient implements ForwardingClient {
  readonly #pool: UpstreamPool;
  readonly #bound: RequestBound;
  readonly #base: string;
  readonly #name: string;
  readonly #hint: string;
  readonly #onPart: (status: number) => void;

  constructor({ url: text, queue }: PassThroughAddress, options: PassThroughOptions) {
    const url = new URL(text);
    this.#base = url.pathname.replace(/\/+$/, "");
    this.#name = `the server at ${text}`;
    this.#hint = options.hint ?? "check the remote's url in the server's configuration";
    this.#bound = new RequestBound(queue);
    this.#onPart = (status) => {
      if (status < 500) options.onAnswer?.();
    };
    // As many connections as there are requests: a stream holds its own for as long as it lasts.
    this.#pool = new UpstreamPool(url, { connections: null, ...options });
  }

  get pending(): number {
    return this.#bound.pending;
  }

  /** @throws `protocol.unsupported`: nothing here is read, so nothing can be asked in another protocol. */
  infer(): Promise<InferResult> {
    return Promise.reject(
      new LastgoodError("protocol.unsupported", `${this.#name} speaks something of its own`),
    );
  }

  async forward(request: ForwardRequest): Promise<Forwarded> {
    this.#bound.enter();
    try {
      const path = this.#base + request.path;
      const answer = await this.#pool.pass({ ...request, path, onPart: this.#onPart });
      this.#onPart(answer.status);
      if (Buffer.isBuffer(answer.body)) this.#bound.leave();
      else answer.body.once("close", () => this.#bound.leave());
      return answer;
    } catch (cause) {
      this.#bound.leave();
      throw this.#failure(cause, request.timeoutMs);
    }
  }

  async close(): Promise<void> {
    this.#bound.close();
    await this.#pool.close();
  }

  #failure(cause: unknown, timeoutMs: number): LastgoodError {
    const why = cause instanceof Error ? cause.message : String(cause);
    if (cause instanceof AnswerTimeout)
      return new LastgoodError(
        "runtime.timeout",
        `${this.#name} did not begin to answer within ${Math.ceil(timeoutMs)} ms`,
        { cause },
      );
    if (cause instanceof AnswerInvalid)
      return new LastgoodError(
        "runtime.failed",
        `${this.#name} answered what is not HTTP/1.1: ${why}`,
        { cause },
      );
    if (cause instanceof AnswerLost && cause.stage === "answering")
      return new LastgoodError("runtime.failed", `the answer broke off: ${why}`, {
        cause,
        details: { sent: true },
      });
    const sent = cause instanceof AnswerLost && cause.stage !== "unsent";
    const what = sent ? "did not answer to the end" : "cannot be reached";
    return new LastgoodError("runtime.unavailable", `${this.#name} ${what}: ${why}`, {
      cause,
      hint: this.#hint,
      details: { sent },
    });
  }
}

/** A worker's connection to a server that speaks something of its own. */
export function connectPassThrough(
  address: PassThroughAddress,
  options: PassThroughOptions = {},
): ForwardingClient {
  return new PassThroughClient(address, options);
}
