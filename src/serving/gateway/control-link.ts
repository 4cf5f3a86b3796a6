import { LastgoodError } from "../../core/errors/index.ts";
import type { Timers } from "../../core/time/index.ts";
import { countKey, type Count, type Evidence } from "../../link/count/index.ts";
import type { GatewayStatus, RevisionState } from "../../link/message/index.ts";
import type { Override } from "../../link/override/index.ts";
import {
  connectPeer,
  type ConnectPeer,
  type PeerEnd,
  type PeerIdentity,
  type RequestHandler,
} from "../../link/peer/index.ts";
import { systemTimers } from "../../link/timer/index.ts";
import type { Log } from "./log.ts";

const REDIAL_MS = { first: 100, most: 500 } as const;
const REQUEST_TIMEOUT_MS = 5_000;
const RESEND_MS = 1_000;
/** Counts kept for a control plane that is away; beyond it the oldest are a gap. */
const KEPT_COUNTS = 10_000;

/** What the link to the control plane needs. */
export interface ControlLinkOptions {
  readonly socket: string;
  readonly self: PeerIdentity;
  readonly onRequest: RequestHandler;
  readonly status: () => GatewayStatus;
  /** Overrides that the control plane has not acknowledged by a route. */
  readonly overrides: () => readonly Override[];
  /** Records of rollouts under watch. */
  readonly evidence: {
    batch(): readonly Evidence[];
    acknowledge(records: readonly Evidence[]): void;
  };
  readonly log: Log;
  /** How the control plane is dialled. @default connectPeer */
  readonly connect?: ConnectPeer;
  /** @default the machine's */
  readonly timers?: Timers;
}

/** The gateway's side of the link: dials the control plane for ever, tells it what happens here. */
export class ControlLink {
  readonly #options: ControlLinkOptions;
  readonly #counts = new Map<string, Count>();
  readonly #told = new Set<string>();
  readonly #timers: Timers;
  readonly #stopSending: () => void;
  #peer: PeerEnd | null = null;
  #ending = false;
  #sending = false;
  #sendingEvidence: Promise<void> | null = null;

  constructor(options: ControlLinkOptions) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    this.#stopSending = this.#timers.every(RESEND_MS, () => {
      void this.#send();
      void this.#sendEvidence();
    });
    void this.#dialForEver();
  }

  get isConnected(): boolean {
    return this.#peer !== null;
  }

  /** Tells how a revision fares; the next connection begins with all of them anyway. */
  revisionState(state: RevisionState): void {
    this.#peer?.notify("revision.state", state);
  }

  /** Tells of what was done here alone, again until it was taken. */
  overrideMade(): void {
    void this.#send();
  }

  /** There are new records of a rollout under watch. */
  evidenceReady(): void {
    void this.#sendEvidence();
  }

  /** Takes in totals; they travel with the next send. */
  count(counts: readonly Count[]): void {
    for (const count of counts) {
      const key = countKey(count);
      this.#counts.delete(key);
      this.#counts.set(key, count);
    }
    for (const key of this.#counts.keys()) {
      if (this.#counts.size <= KEPT_COUNTS) break;
      this.#counts.delete(key);
    }
  }

  /** Sends what is left and hangs up. */
  async close(): Promise<void> {
    this.#ending = true;
    this.#stopSending();
    const last = Promise.all([this.#send(), this.#sendEvidence()]);
    await Promise.race([last, this.#timers.pause(500)]);
    this.#peer?.close();
  }

  async #dialForEver(): Promise<void> {
    const { socket, self, onRequest, log, connect = connectPeer } = this.#options;
    let wait: number = REDIAL_MS.first;
    while (!this.#ending) {
      try {
        const peer = await connect(socket, { self, onRequest });
        wait = REDIAL_MS.first;
        log("info", "connected to the control plane", { pid: peer.other.pid });
        await this.#serve(peer);
      } catch {
        wait = Math.min(wait * 2, REDIAL_MS.most);
      }
      this.#peer = null;
      await this.#timers.pause(wait);
    }
  }

  async #serve(peer: PeerEnd): Promise<void> {
    const { log } = this.#options;
    try {
      this.#told.clear();
      const told = this.#introduce(peer);
      // What happens from here on travels behind the status, in order.
      this.#peer = peer;
      await told;
      await Promise.all([this.#send(), this.#sendEvidence()]);
      await peer.closed;
      log("warn", "the control plane is gone; serving goes on");
    } catch (error) {
      log("warn", "the control plane did not take this gateway's status", {
        why: LastgoodError.from(error).message,
      });
      peer.close();
    }
  }

  /** Told again where the store could not take it: the control plane needs this gateway all the more then. */
  async #introduce(peer: PeerEnd): Promise<void> {
    const { status } = this.#options;
    for (;;) {
      try {
        await peer.request("gateway.connected", status(), { timeoutMs: REQUEST_TIMEOUT_MS });
        return;
      } catch (error) {
        const isPassing = LastgoodError.from(error).code === "store.unavailable";
        if (!isPassing || this.#ending) throw error;
        await this.#timers.pause(RESEND_MS);
      }
    }
  }

  async #send(): Promise<void> {
    const peer = this.#peer;
    if (!canTake(peer) || this.#sending) return;
    this.#sending = true;
    try {
      for (const override of this.#options.overrides()) {
        if (this.#told.has(override.id)) continue;
        await peer.request("override.made", override, { timeoutMs: REQUEST_TIMEOUT_MS });
        this.#told.add(override.id);
      }
      await this.#sendCounts(peer);
    } catch {
      // Sent again with the next turn; totals are cumulative and overrides have ids.
    } finally {
      this.#sending = false;
    }
  }

  /** Apart from the rest: neither must hold the other up. Whoever asks meanwhile waits for the same turn. */
  #sendEvidence(): Promise<void> {
    const peer = this.#peer;
    if (this.#sendingEvidence !== null) return this.#sendingEvidence;
    if (!canTake(peer)) return Promise.resolve();
    this.#sendingEvidence = this.#sendAllEvidence(peer).finally(() => {
      this.#sendingEvidence = null;
    });
    return this.#sendingEvidence;
  }

  async #sendAllEvidence(peer: PeerEnd): Promise<void> {
    const { evidence: book } = this.#options;
    try {
      for (let evidence = book.batch(); evidence.length > 0; evidence = book.batch()) {
        await peer.request("evidence", { evidence }, { timeoutMs: REQUEST_TIMEOUT_MS });
        book.acknowledge(evidence);
      }
    } catch {
      // The same records are sent again with the next turn.
    }
  }

  async #sendCounts(peer: PeerEnd): Promise<void> {
    const counts = [...this.#counts.values()];
    if (counts.length === 0) return;
    await peer.request("counts", { counts }, { timeoutMs: REQUEST_TIMEOUT_MS });
    for (const count of counts) {
      const key = countKey(count);
      if (this.#counts.get(key) === count) this.#counts.delete(key);
    }
  }
}

/** For a control plane that reads nothing, as a stopped one, the same would pile up here with each turn. */
function canTake(peer: PeerEnd | null): peer is PeerEnd {
  return peer !== null && peer.unread === 0;
}
