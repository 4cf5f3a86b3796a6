import type { Tensor } from "../../core/tensor/index.ts";
import { connectPassThrough } from "../runtime-passthrough/index.ts";
import type {
  Forwarded,
  ForwardingClient,
  ForwardRequest,
  InferResult,
  ModelAddress,
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

  forward(request: ForwardRequest): Promise<Forwarded> {
    return this.#server.forward(request);
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
