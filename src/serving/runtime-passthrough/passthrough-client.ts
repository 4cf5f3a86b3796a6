import { Pool } from "undici";

import { LastgoodError } from "../../core/errors/index.ts";
import {
  UNLOADED,
  type Forwarded,
  type ForwardingClient,
  type ForwardRequest,
  type InferResult,
  type ModelAddress,
} from "../runtime/index.ts";

type PassThroughAddress = Extract<ModelAddress, { readonly kind: "passthrough" }>;

const CONNECT_TIMEOUT_MS = 5_000;

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** A server that is given requests as they are. Connections are opened as requests need them. */
export class PassThroughClient implements ForwardingClient {
  readonly #address: PassThroughAddress;
  readonly #pool: Pool;
  readonly #base: string;
  #pending = 0;
  #isClosing = false;

  constructor(address: PassThroughAddress) {
    const url = new URL(address.url);
    this.#address = address;
    this.#base = url.pathname.replace(/\/+$/, "");
    // As many connections as there are requests: a stream holds its own for as long as it lasts.
    this.#pool = new Pool(url.origin, {
      connections: null,
      connect: { timeout: CONNECT_TIMEOUT_MS },
    });
  }

  get pending(): number {
    return this.#pending;
  }

  /** @throws `protocol.unsupported`: nothing here is read, so nothing can be asked in another protocol. */
  infer(): Promise<InferResult> {
    return Promise.reject(
      new LastgoodError("protocol.unsupported", `${this.#name} speaks something of its own`),
    );
  }

  async forward(request: ForwardRequest): Promise<Forwarded> {
    if (this.#isClosing)
      throw new LastgoodError("runtime.unavailable", "the connection is closing", UNLOADED);
    if (this.#pending >= this.#address.queue)
      throw new LastgoodError(
        "overloaded",
        `${this.#pending} requests are waiting for this version`,
      );
    this.#pending += 1;
    const startedAt = performance.now();
    try {
      const { timeoutMs, path, ...sent } = request;
      const { statusCode, headers, body } = await this.#pool.request({
        ...sent,
        path: this.#base + path,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      });
      // One that is let go of before its end says so as an error, and there is nobody to hear it.
      body.on("error", () => undefined);
      body.once("close", () => (this.#pending -= 1));
      return { status: statusCode, headers, body, ms: performance.now() - startedAt };
    } catch (cause) {
      this.#pending -= 1;
      throw this.#failure(cause, request.timeoutMs);
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#pool.close();
  }

  #failure(cause: unknown, timeoutMs: number): LastgoodError {
    if (codeOf(cause) === "UND_ERR_HEADERS_TIMEOUT")
      return new LastgoodError(
        "runtime.timeout",
        `${this.#name} did not begin to answer within ${Math.ceil(timeoutMs)} ms`,
        { cause },
      );
    const why = cause instanceof Error ? cause.message : String(cause);
    return new LastgoodError("runtime.unavailable", `${this.#name} cannot be reached: ${why}`, {
      cause,
      hint: "check the remote's url in the server's configuration",
    });
  }

  get #name(): string {
    return `the server at ${this.#address.url}`;
  }
}
