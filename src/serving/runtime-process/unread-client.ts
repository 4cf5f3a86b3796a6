import { LastgoodError } from "../../core/errors/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import { connectPassThrough } from "../runtime-passthrough/index.ts";
import {
  ModelDied,
  type Forwarded,
  type ForwardingClient,
  type ForwardRequest,
  type InferResult,
  type ModelAddress,
} from "../runtime/index.ts";
import { ShimConnection } from "./shim-connection.ts";
import { LOCAL } from "./upstream-options.ts";

type PassThroughAddress = Extract<ModelAddress, { readonly kind: "passthrough" }>;

/** A managed server that is given requests as they are: its shim hears that it answers. */
class UnreadClient implements ForwardingClient {
  readonly #server: ForwardingClient;
  readonly #shim: ShimConnection;

  constructor(address: PassThroughAddress, shim: ShimConnection) {
    this.#server = connectPassThrough(address, { ...LOCAL, onAnswer: () => shim.answered() });
    this.#shim = shim;
  }

  get pending(): number {
    return this.#server.pending;
  }

  infer(inputs: readonly Tensor[], options: { readonly timeoutMs: number }): Promise<InferResult> {
    return this.#server.infer(inputs, options);
  }

  /** @throws {ModelDied} where nothing of the request has left, because the server died. */
  async forward(request: ForwardRequest): Promise<Forwarded> {
    try {
      return await this.#server.forward(request);
    } catch (error) {
      if (LastgoodError.from(error).details["sent"] !== false) throw error;
      const why = await this.#shim.deathNotice();
      throw why === null ? error : new ModelDied(false, why, this.#shim.process);
    }
  }

  async close(): Promise<void> {
    await this.#server.close();
    this.#shim.close();
  }
}

/**
 * A worker's connection to a managed server that speaks something of its own; `shimSocket` is where the
 * shim that keeps it listens.
 * @throws `server.unreachable` when the shim does not listen.
 */
export async function connectUnread(
  address: PassThroughAddress,
  shimSocket: string,
): Promise<ForwardingClient> {
  return new UnreadClient(address, await ShimConnection.open(shimSocket));
}
