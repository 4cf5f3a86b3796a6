import { setTimeout as sleep } from "node:timers/promises";

import { connectPeer, ownIdentity, type Peer } from "../../link/peer/index.ts";
import { endedSchema } from "./shim-requests.ts";

/** Answers are told of at most once in this time, ms: a look at health is never more often. */
const TELL_EVERY_MS = 100;
/** The system ends a dead server's connections before its shim has heard of the death, ms. */
const DEATH_NOTICE_MS = 1_000;

/** A worker's connection to the shim of a managed server: hears of its death, tells that it answers. */
export class ShimConnection {
  /** Resolves with why the server is gone. */
  readonly death: Promise<string>;
  readonly #peer: Peer;
  #toldAt = -Infinity;

  private constructor(peer: Peer, ended: Promise<string>) {
    this.#peer = peer;
    this.death = Promise.race([ended, peer.closed.then(() => "its shim ended")]);
  }

  /** @throws `server.unreachable` when nobody listens on `socket`. */
  static async open(socket: string): Promise<ShimConnection> {
    const ended = Promise.withResolvers<string>();
    const peer = await connectPeer(socket, {
      self: ownIdentity("gateway", "", "worker"),
      onRequest: (frame) => {
        if (frame.kind === "ended") ended.resolve(endedSchema.parse(frame.body).why);
        return { body: {} };
      },
    });
    return new ShimConnection(peer, ended.promise);
  }

  /** Tells the server's process from every other one: a shim keeps one and ends with it. */
  get process(): string {
    return this.#peer.other.nonce;
  }

  /** The server has answered a request: it lives, whatever its health check waits behind. */
  answered(): void {
    const now = performance.now();
    if (now - this.#toldAt < TELL_EVERY_MS) return;
    this.#toldAt = now;
    this.#peer.notify("answered", {});
  }

  /** Why the server is gone; null where nothing is heard of its death while it could be on its way. */
  async deathNotice(): Promise<string | null> {
    const timer = new AbortController();
    const quiet = sleep(DEATH_NOTICE_MS, null, { signal: timer.signal }).catch(() => null);
    const why = await Promise.race([this.death, quiet]);
    timer.abort();
    return why;
  }

  close(): void {
    this.#peer.close();
  }
}
