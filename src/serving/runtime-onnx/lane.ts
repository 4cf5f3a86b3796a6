import { LastgoodError } from "../../core/errors/index.ts";
import { connectPeer, type Peer, type PeerIdentity } from "../../link/peer/index.ts";
import { decodeRan, encodeRun, type Ran } from "./model-requests.ts";
import type { TensorParts } from "./tensor-frame.ts";

/** The engine of a busy process blocks its hello, ms. */
const HELLO_TIMEOUT_MS = 30_000;

/** What became of one frame. */
export type FrameOutcome =
  | { readonly kind: "ran"; readonly ran: Ran }
  | { readonly kind: "threw"; readonly error: LastgoodError }
  | { readonly kind: "died"; readonly why: string; readonly process: string };

/** A connection to one replica, with one frame in flight at the most. */
export interface Lane {
  /** The nonce of its hello. */
  readonly process: string;
  readonly isOpen: boolean;
  readonly isBusy: boolean;
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>;
  run(inputs: readonly TensorParts[]): Promise<FrameOutcome>;
  close(): void;
}

/** @throws `server.unreachable` when the replica does not listen. */
export async function openLane(socket: string, self: PeerIdentity): Promise<Lane> {
  const peer = await connectPeer(socket, {
    self,
    helloTimeoutMs: HELLO_TIMEOUT_MS,
    onRequest: (frame) => {
      throw new LastgoodError("link.invalid", `a worker answers a model process no ${frame.kind}`);
    },
  });
  return new PeerLane(peer);
}

class PeerLane implements Lane {
  readonly #peer: Peer;
  #busy = false;

  constructor(peer: Peer) {
    this.#peer = peer;
  }

  get process(): string {
    return this.#peer.other.nonce;
  }
  get isOpen(): boolean {
    return this.#peer.isOpen;
  }
  get isBusy(): boolean {
    return this.#busy;
  }
  get closed(): Promise<void> {
    return this.#peer.closed;
  }

  async run(inputs: readonly TensorParts[]): Promise<FrameOutcome> {
    this.#busy = true;
    try {
      const { body, payload } = encodeRun(inputs);
      return { kind: "ran", ran: decodeRan(await this.#peer.request("run", body, { payload })) };
    } catch (thrown) {
      const error = LastgoodError.from(thrown);
      return error.code === "server.unreachable"
        ? { kind: "died", why: error.message, process: this.process }
        : { kind: "threw", error };
    } finally {
      this.#busy = false;
    }
  }

  close(): void {
    this.#peer.close();
  }
}
