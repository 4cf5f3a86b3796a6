import { statSync } from "node:fs";

import type { Peer } from "../../link/peer/index.ts";

/** Calls `end` once nobody has been connected for `orphanMs`. */
export class OrphanWatch {
  readonly #peers = new Set<Peer>();
  readonly #end: () => void;
  #orphanMs: number;
  #timer: NodeJS.Timeout;

  constructor(orphanMs: number, end: () => void) {
    this.#orphanMs = orphanMs;
    this.#end = end;
    this.#timer = setTimeout(end, orphanMs);
  }

  connected(peer: Peer): void {
    this.#peers.add(peer);
    clearTimeout(this.#timer);
    void peer.closed.then(() => {
      this.#peers.delete(peer);
      this.#wait();
    });
  }

  /** Says something to everyone who is connected. */
  tell(kind: string, body: unknown): void {
    for (const peer of this.#peers) peer.notify(kind, body);
  }

  /** Waits no longer than this from now on. */
  shorten(orphanMs: number): void {
    this.#orphanMs = Math.min(this.#orphanMs, orphanMs);
    this.#wait();
  }

  #wait(): void {
    clearTimeout(this.#timer);
    if (this.#peers.size === 0) this.#timer = setTimeout(this.#end, this.#orphanMs);
  }
}

/** Which file the path names now; null where there is none. */
export function inodeOf(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? null;
}
