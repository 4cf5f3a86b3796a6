import { LastgoodError } from "../../core/errors/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import {
  UNLOADED,
  type InferResult,
  type ModelAddress,
  type ModelClient,
} from "../runtime/index.ts";
import { openUpstream } from "./open-upstream.ts";
import type { Upstream } from "./upstream.ts";

type RemoteAddress = Extract<ModelAddress, { readonly kind: "remote" }>;

/** One HTTP request per inference: the remote batches by itself. */
class RemoteClient implements ModelClient {
  readonly #remote: Upstream;
  readonly #queueLimit: number;
  #pending = 0;
  #closing = false;

  constructor(remote: Upstream, queueLimit: number) {
    this.#remote = remote;
    this.#queueLimit = queueLimit;
  }

  get pending(): number {
    return this.#pending;
  }

  async infer(
    inputs: readonly Tensor[],
    { timeoutMs }: { readonly timeoutMs: number },
  ): Promise<InferResult> {
    if (this.#closing)
      throw new LastgoodError("runtime.unavailable", "the connection is closing", UNLOADED);
    if (this.#pending >= this.#queueLimit)
      throw new LastgoodError(
        "overloaded",
        `${this.#pending} requests are waiting for this version`,
      );
    this.#pending += 1;
    try {
      const { outputs, ms } = await this.#remote.infer(inputs, timeoutMs);
      return { outputs, modelMs: ms, batch: 1, frame: { rows: inputs[0]?.shape[0] ?? 1 } };
    } finally {
      this.#pending -= 1;
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    // The pool ends its connections once their requests are answered.
    await this.#remote.close();
  }
}

/** A worker's connection to a remote version; connections are opened as requests need them. */
export async function connectRemoteModel(address: RemoteAddress): Promise<ModelClient> {
  return new RemoteClient(await openUpstream(address.upstream), address.queue);
}
