import { LastgoodError } from "../../../src/core/errors/index.ts";
import type {
  ConnectPeer,
  Frame,
  ListenPeers,
  PeerEnd,
  PeerIdentity,
  PeerOptions,
} from "../../../src/link/peer/index.ts";
import type { Life, VirtualTime } from "./virtual-time.ts";

type FrameBody = Pick<Frame, "id" | "kind" | "body">;

interface Waiting {
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: unknown) => void;
}

interface Listening {
  readonly life: Life;
  readonly options: PeerOptions;
  readonly onPeer: (peer: PeerEnd) => void;
}

function frameOf({ id, kind, body }: FrameBody): Frame {
  return { v: 1, id, kind, body, payload: Buffer.alloc(0) };
}

function copied(value: unknown): unknown {
  return value === undefined ? {} : (JSON.parse(JSON.stringify(value)) as unknown);
}

/** One end of a simulated connection. */
class SimulatedPeer implements PeerEnd {
  readonly other: PeerIdentity;
  readonly closed: Promise<void>;
  readonly #life: Life;
  readonly #onRequest: PeerOptions["onRequest"];
  readonly #waiting = new Map<number, Waiting>();
  readonly #hangUp: () => void;
  readonly #send: (frame: FrameBody) => void;
  #nextId = 1;
  #open = true;
  #resolveClosed: () => void = () => undefined;

  constructor(
    ends: { readonly life: Life; readonly other: PeerIdentity } & Pick<PeerOptions, "onRequest">,
    wire: { readonly send: (frame: FrameBody) => void; readonly hangUp: () => void },
  ) {
    this.#life = ends.life;
    this.other = ends.other;
    this.#onRequest = ends.onRequest;
    this.#send = wire.send;
    this.#hangUp = wire.hangUp;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  readonly unread = 0;

  get isOpen(): boolean {
    return this.#open;
  }

  request(
    kind: string,
    body: unknown,
    options: { readonly timeoutMs?: number } = {},
  ): Promise<Frame> {
    if (!this.#open) return Promise.reject(this.#gone(kind));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      if (options.timeoutMs !== undefined)
        this.#life.timers.after(options.timeoutMs, () => {
          if (this.#waiting.delete(id))
            reject(new LastgoodError("server.unreachable", `${kind} was not answered in time`));
        });
      this.#send({ id, kind, body: copied(body) });
    });
  }

  notify(kind: string, body: unknown): void {
    if (this.#open) this.#send({ id: 0, kind, body: copied(body) });
  }

  close(): void {
    this.#hangUp();
  }

  receive(frame: FrameBody): void {
    if (!this.#open || !this.#life.isAlive) return;
    const waiting = this.#waiting.get(frame.id);
    if (frame.kind === "reply") waiting?.resolve(frameOf(frame));
    else if (frame.kind === "error")
      waiting?.reject(LastgoodError.fromBody(frame.body as ReturnType<LastgoodError["toBody"]>));
    else {
      void this.#answer(frame);
      return;
    }
    this.#waiting.delete(frame.id);
  }

  end(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const { reject } of this.#waiting.values()) reject(this.#gone("a request"));
    this.#waiting.clear();
    if (this.#life.isAlive) this.#resolveClosed();
  }

  async #answer(frame: FrameBody): Promise<void> {
    const { id } = frame;
    try {
      const reply = await this.#onRequest(frameOf(frame), this);
      if (id !== 0 && this.#open) this.#send({ id, kind: "reply", body: copied(reply.body) });
    } catch (error) {
      const body = LastgoodError.from(error).toBody();
      if (id !== 0 && this.#open) this.#send({ id, kind: "error", body: copied(body) });
    }
  }

  #gone(kind: string): LastgoodError {
    return new LastgoodError("server.unreachable", `the connection ended before ${kind}`);
  }
}

/** A connection as faults see it. */
interface Cable {
  readonly between: readonly Life[];
  readonly cut: () => void;
  stalledUntil: number;
}

/** Unix sockets without sockets: messages arrive in order, late where it stalls, or never where it is cut. */
export class Network {
  readonly #time: VirtualTime;
  readonly #random: () => number;
  readonly #listening = new Map<string, Listening>();
  readonly #cables = new Set<Cable>();

  constructor(time: VirtualTime, random: () => number) {
    this.#time = time;
    this.#random = random;
  }

  listenerOf(life: Life): ListenPeers {
    return (path, options, onPeer) => {
      this.#listening.set(path, { life, options, onPeer });
      return Promise.resolve({ path, close: () => Promise.resolve() });
    };
  }

  connectorOf(life: Life): ConnectPeer {
    return async (path, options) => {
      await life.timers.pause(1);
      const listening = this.#listening.get(path);
      if (listening === undefined || !listening.life.isAlive)
        throw new LastgoodError("server.unreachable", `nobody listens on ${path}`);
      return this.#connect({ life, options }, listening);
    };
  }

  /** Messages of the process' connections stand still for so long. */
  stall(life: Life, ms: number): void {
    for (const cable of this.#cables)
      if (cable.between.includes(life)) cable.stalledUntil = this.#time.now + ms;
  }

  /** Ends the process' connections; what is on its way is lost. */
  cut(life: Life): void {
    for (const cable of this.#cables) if (cable.between.includes(life)) cable.cut();
  }

  #connect(
    dialling: { readonly life: Life; readonly options: PeerOptions },
    listening: Listening,
  ): PeerEnd {
    let isCut = false;
    const cut = (): void => {
      if (isCut) return;
      isCut = true;
      this.#cables.delete(cable);
      this.#time.after(0, () => {
        near.end();
        far.end();
      });
    };
    const cable: Cable = { between: [dialling.life, listening.life], cut, stalledUntil: 0 };
    const lane = (to: () => SimulatedPeer): ((frame: FrameBody) => void) => {
      let last = 0;
      return (frame) => {
        last = Math.max(last, cable.stalledUntil, this.#time.now + this.#random() * 2);
        this.#time.after(last - this.#time.now, () => {
          if (!isCut) to().receive(frame);
        });
      };
    };
    const near: SimulatedPeer = new SimulatedPeer(
      {
        life: dialling.life,
        other: listening.options.self,
        onRequest: dialling.options.onRequest,
      },
      { send: lane(() => far), hangUp: cut },
    );
    const far: SimulatedPeer = new SimulatedPeer(
      {
        life: listening.life,
        other: dialling.options.self,
        onRequest: listening.options.onRequest,
      },
      { send: lane(() => near), hangUp: cut },
    );
    this.#cables.add(cable);
    dialling.life.onEnd(cut);
    listening.life.onEnd(cut);
    listening.onPeer(far);
    return near;
  }
}
