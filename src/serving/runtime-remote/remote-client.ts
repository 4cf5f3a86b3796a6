import type { Tensor } from "../../core/tensor/index.ts";
import {
  RequestBound,
  type InferResult,
  type ModelAddress,
  type ModelClient,
} from "../runtime/index.ts";
import { resultOf, Upstream } from "./upstream.ts";

type RemoteAddress = Extract<ModelAddress, { readonly kind: "remote" }>;

/** One HTTP request per inference: the remote batches by itself. */
class RemoteClient implements ModelClient {
  readonly #remote: Upstream;
  readonly #bound: RequestBound;

  constructor({ upstream, queue }: RemoteAddress) {
    this.#remote = new Upstream(upstream);
    this.#bound = new RequestBound(queue);
  }

  get pending(): number {
    return this.#bound.pending;
  }

  infer(
    inputs: readonly Tensor[],
    { timeoutMs }: { readonly timeoutMs: number },
  ): Promise<InferResult> {
    return this.#bound.hold(async () =>
      resultOf(inputs, await this.#remote.infer(inputs, timeoutMs)),
    );
  }

  async close(): Promise<void> {
    this.#bound.close();
    // Its connections end once their requests are answered.
    await this.#remote.close();
  }
}

/** A worker's connection to a remote version; connections are opened as requests need them. */
export function connectRemoteModel(address: RemoteAddress): ModelClient {
  return new RemoteClient(address);
}
