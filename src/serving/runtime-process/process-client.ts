import { connect } from "node:net";

import { LastgoodError } from "../../core/errors/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import { resultOf, Upstream, type RemoteAnswer } from "../runtime-remote/index.ts";
import {
  ModelDied,
  RequestBound,
  type InferResult,
  type ModelAddress,
  type ModelClient,
} from "../runtime/index.ts";
import { ShimConnection } from "./shim-connection.ts";
import { LOCAL } from "./upstream-options.ts";

type ProcessAddress = Extract<ModelAddress, { readonly kind: "process" }>;

const CONNECT_TIMEOUT_MS = 5_000;

/** A worker's connections to a managed server: requests go to it, its shim says whether it lives. */
class ProcessClient implements ModelClient {
  readonly #upstream: Upstream;
  readonly #mayRepeat: boolean;
  readonly #bound: RequestBound;
  readonly #shim: ShimConnection;
  #dead: string | null = null;

  constructor({ upstream, queue }: ProcessAddress, shim: ShimConnection) {
    // Whether a lost request may be sent again is decided here, once it is known what became of the server.
    this.#upstream = new Upstream({ ...upstream, retries: false }, LOCAL);
    this.#mayRepeat = upstream.retries;
    this.#bound = new RequestBound(queue);
    this.#shim = shim;
    void shim.death.then((why) => {
      this.#dead = why;
    });
  }

  get pending(): number {
    return this.#bound.pending;
  }

  infer(
    inputs: readonly Tensor[],
    { timeoutMs }: { readonly timeoutMs: number },
  ): Promise<InferResult> {
    if (this.#dead !== null && !this.#bound.isClosing)
      return Promise.reject(this.#died(false, this.#dead));
    return this.#bound.hold(async () => resultOf(inputs, await this.#ask(inputs, timeoutMs)));
  }

  async close(): Promise<void> {
    this.#bound.close();
    // Its connections end once their requests are answered.
    await this.#upstream.close();
    this.#shim.close();
  }

  async #ask(inputs: readonly Tensor[], timeoutMs: number): Promise<RemoteAnswer> {
    const until = performance.now() + timeoutMs;
    try {
      return await this.#send(inputs, timeoutMs);
    } catch (error) {
      const failure = LastgoodError.from(error);
      if (failure.code !== "runtime.unavailable") throw failure;
      const isSent = failure.details["sent"] === true;
      const why = await this.#shim.deathNotice();
      if (why !== null) throw this.#died(isSent, why);
      if (isSent && !this.#mayRepeat) throw lost(failure);
    }
    // It lives: a connection that it closed as the request came, or one of its workers that died.
    try {
      return await this.#send(inputs, Math.max(1, until - performance.now()));
    } catch (error) {
      const failure = LastgoodError.from(error);
      const why = failure.code === "runtime.unavailable" ? await this.#shim.deathNotice() : null;
      throw why === null ? failure : this.#died(true, why);
    }
  }

  async #send(inputs: readonly Tensor[], timeoutMs: number): Promise<RemoteAnswer> {
    try {
      const answer = await this.#upstream.infer(inputs, timeoutMs);
      this.#shim.answered();
      return answer;
    } catch (error) {
      // A refusal of what was asked is an answer as well.
      if (LastgoodError.from(error).details["rejected"] === true) this.#shim.answered();
      throw error;
    }
  }

  #died(suspect: boolean, why: string): ModelDied {
    return new ModelDied(suspect, why, this.#shim.process);
  }
}

function lost(failure: LastgoodError): LastgoodError {
  return new LastgoodError(
    "runtime.failed",
    `the server closed the connection without an answer: ${failure.message}`,
    { cause: failure, details: { sent: true } },
  );
}

/** Resolves when the server takes connections: its shim may not know yet that it died. */
function reachable(url: string): Promise<void> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), timeout: CONNECT_TIMEOUT_MS });
    const failed = (cause?: Error): void => {
      socket.destroy();
      const message = `the server at ${url} takes no connection`;
      reject(new LastgoodError("server.unreachable", message, { cause }));
    };
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", failed);
    socket.once("timeout", () => failed());
  });
}

/**
 * A worker's connection to a managed server.
 * @throws `server.unreachable` when its shim or the server itself does not listen.
 */
export async function connectProcess(address: ProcessAddress): Promise<ModelClient> {
  const shim = await ShimConnection.open(address.shim);
  try {
    await reachable(address.upstream.url);
  } catch (error) {
    shim.close();
    throw error;
  }
  return new ProcessClient(address, shim);
}
