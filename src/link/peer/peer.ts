import { chmodSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";

import * as z from "zod";

import { LastgoodError } from "../../core/errors/index.ts";
import { encodeFrame, FrameReader, type Frame } from "./frame.ts";
import { identitySchema, type PeerIdentity } from "./identity.ts";

/** What a handler answers: a JSON body, with bytes where the kind has any. */
export interface Reply {
  readonly body: unknown;
  readonly payload?: readonly Uint8Array[];
}

/** Answers one request of the other side; what it throws travels back as an error. */
export type RequestHandler = (frame: Frame, peer: PeerEnd) => Promise<Reply> | Reply;

/** What one end of a connection needs to know. */
export interface PeerOptions {
  readonly self: PeerIdentity;
  readonly onRequest: RequestHandler;
  /** Waits for the other side's hello this long, ms. A busy engine answers late. @default 5000 */
  readonly helloTimeoutMs?: number;
}

const errorBodySchema = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().nullish(),
  details: z.record(z.string(), z.unknown()).optional(),
  passedOver: z.array(z.object({ version: z.string(), why: z.string() })).optional(),
});

interface Waiting {
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout | null;
}

/** A side that is stopped reads nothing: what was written to it leaves within this or not at all, ms. */
const PARTING_MS = 1_000;

/**
 * One end of a connection between two of our processes. Either side may send requests; the end of
 * the connection is the death of the other process (DESIGN.md section 3).
 */
export class Peer {
  readonly other: PeerIdentity;
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #onRequest: RequestHandler;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #open = true;
  #parting: NodeJS.Timeout | null = null;

  constructor(socket: Socket, other: PeerIdentity, onRequest: RequestHandler) {
    this.#socket = socket;
    this.other = other;
    this.#onRequest = onRequest;
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#end();
        resolve();
      });
    });
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** What waits here for the other side to read, bytes: above 0 for long where it hangs or is stopped. */
  get unread(): number {
    return this.#socket.writableLength;
  }

  /**
   * Sends a request and waits for its reply.
   * @throws what the other side's handler threw; `link.invalid` for a frame above the limit;
   * `server.unreachable` when the connection ends or
   * `timeoutMs` passes first.
   */
  request(
    kind: string,
    body: unknown,
    options: { readonly timeoutMs?: number; readonly payload?: readonly Uint8Array[] } = {},
  ): Promise<Frame> {
    if (!this.#open) return Promise.reject(this.#gone(kind));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      // Before anything waits for an answer: what cannot be sent is refused here.
      const frame = encodeFrame(id, kind, body, options.payload);
      const timer =
        options.timeoutMs === undefined
          ? null
          : setTimeout(() => {
              this.#waiting.delete(id);
              reject(
                new LastgoodError(
                  "server.unreachable",
                  `the ${this.other.role} did not answer ${kind} within ${options.timeoutMs} ms`,
                ),
              );
            }, options.timeoutMs);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#write(frame);
    });
  }

  /** Sends a message that gets no reply. */
  notify(kind: string, body: unknown): void {
    if (this.#open) this.#write(encodeFrame(0, kind, body));
  }

  /** Ends the connection once what was written has left, or soon where the other side does not take it. */
  close(): void {
    const socket = this.#socket;
    socket.end();
    socket.destroySoon();
    if (socket.destroyed || this.#parting !== null) return;
    this.#parting = setTimeout(() => socket.destroy(), PARTING_MS);
  }

  /** Takes in frames; used by the connection's own reader. */
  receive(frame: Frame): void {
    if (frame.kind === "reply" || frame.kind === "error") {
      const waiting = this.#waiting.get(frame.id);
      if (waiting === undefined) return;
      this.#waiting.delete(frame.id);
      if (waiting.timer !== null) clearTimeout(waiting.timer);
      if (frame.kind === "reply") waiting.resolve(frame);
      else waiting.reject(errorFromWire(frame.body));
      return;
    }
    void this.#answer(frame);
  }

  async #answer(frame: Frame): Promise<void> {
    try {
      const reply = await this.#onRequest(frame, this);
      if (frame.id !== 0) this.#write(encodeFrame(frame.id, "reply", reply.body, reply.payload));
    } catch (error) {
      if (frame.id !== 0)
        this.#write(encodeFrame(frame.id, "error", LastgoodError.from(error).toBody()));
    }
  }

  #write(chunks: readonly Buffer[]): void {
    if (!this.#open) return;
    const [first, ...others] = chunks;
    // Nearly every frame is one chunk, and held back it would take the long way through the stream.
    if (others.length > 0) this.#socket.cork();
    if (first !== undefined) this.#socket.write(first);
    if (others.length === 0) return;
    for (const chunk of others) this.#socket.write(chunk);
    this.#socket.uncork();
  }

  #gone(kind: string): LastgoodError {
    return new LastgoodError(
      "server.unreachable",
      `the connection to the ${this.other.role} (pid ${this.other.pid}) ended before ${kind} was answered`,
    );
  }

  #end(): void {
    this.#open = false;
    if (this.#parting !== null) clearTimeout(this.#parting);
    for (const waiting of this.#waiting.values()) {
      if (waiting.timer !== null) clearTimeout(waiting.timer);
      waiting.reject(this.#gone("a request"));
    }
    this.#waiting.clear();
  }
}

/** One end of a connection, as its users see it. */
export type PeerEnd = Pick<
  Peer,
  "other" | "isOpen" | "unread" | "closed" | "request" | "notify" | "close"
>;

/** How a process is dialled. */
export type ConnectPeer = (path: string, options: PeerOptions) => Promise<PeerEnd>;

/** How a process is listened for. */
export type ListenPeers = (
  path: string,
  options: PeerOptions,
  onPeer: (peer: PeerEnd) => void,
) => Promise<PeerListener>;

function errorFromWire(body: unknown): LastgoodError {
  const parsed = errorBodySchema.safeParse(body);
  return parsed.success
    ? LastgoodError.fromBody(parsed.data)
    : new LastgoodError("link.invalid", "an error without its particulars came over the link");
}

function identityOf(frame: Frame): PeerIdentity {
  const hello = identitySchema.safeParse(frame.kind === "hello" ? frame.body : null);
  if (hello.success) return hello.data;
  throw new LastgoodError(
    "link.invalid",
    `the other side did not introduce itself: ${z.prettifyError(hello.error)}`,
  );
}

function attach(socket: Socket, options: PeerOptions): Promise<Peer> {
  const reader = new FrameReader();
  socket.setNoDelay(true);
  return new Promise((resolve, reject) => {
    let peer: Peer | null = null;
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new LastgoodError("server.unreachable", "the other side said no hello in time"));
    }, options.helloTimeoutMs ?? 5_000);
    // An error is always followed by close; without a listener it would end the process.
    socket.on("error", () => undefined);
    socket.once("close", () => {
      clearTimeout(timer);
      reject(new LastgoodError("server.unreachable", "the connection ended before hello"));
    });
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const frame of reader.push(chunk)) {
          if (peer !== null) peer.receive(frame);
          else {
            peer = new Peer(socket, identityOf(frame), options.onRequest);
            clearTimeout(timer);
            resolve(peer);
          }
        }
      } catch (error) {
        socket.destroy();
        reject(LastgoodError.from(error));
      }
    });
    for (const part of encodeFrame(0, "hello", options.self)) socket.write(part);
  });
}

/**
 * Dials the process that listens on the Unix socket and exchanges hello.
 * @throws `server.unreachable` when nobody listens or no hello comes in time; `link.invalid` when
 * what comes is no hello.
 */
export function connectPeer(path: string, options: PeerOptions): Promise<Peer> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const failed = (cause: unknown): void => {
      reject(new LastgoodError("server.unreachable", `nobody listens on ${path}`, { cause }));
    };
    socket.once("error", failed);
    socket.once("connect", () => {
      socket.off("error", failed);
      attach(socket, options).then(resolve, reject);
    });
  });
}

/** Where a process listens for its watchers and partners. */
export interface PeerListener {
  readonly path: string;
  close(): Promise<void>;
}

/**
 * Listens on a Unix socket (mode 0600; one left over from a dead process is replaced) and hands out
 * each connection after its hello.
 */
export async function listenPeers(
  path: string,
  options: PeerOptions,
  onPeer: (peer: Peer) => void,
): Promise<PeerListener> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    attach(socket, options).then(onPeer, () => undefined);
  });
  rmSync(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => resolve());
  });
  chmodSync(path, 0o600);
  return {
    path,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
