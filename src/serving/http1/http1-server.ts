import type { Server as HttpServer } from "node:http";
import { createServer, type Server, type Socket } from "node:net";

import { Connection, type Host, type Patience } from "./connection.ts";
import type { PlainExchange } from "./plain-exchange.ts";
import { readingSocket } from "./reading-socket.ts";

/** How a server treats its connections. */
export interface Http1Options extends Patience {
  /** Longest body of a request that is read here, bytes. */
  readonly bodyBytes: number;
  /** A caller that takes nothing of an answer for so long is cut off, ms. */
  readonly readMs: number;
  /** Between two looks at how long connections have waited, ms. */
  readonly checkMs: number;
  /** Answers what is not of the plain form; it does not listen itself. */
  readonly other: HttpServer;
}

/**
 * A server of HTTP/1.1 for requests of the plain form (`readRequestHead`), each of which `handle` gets
 * whole. A connection on which anything else comes is given to `other`, with all it has sent from that
 * request on, and stays there: what is odd or malformed is judged by Node's own parser alone.
 */
export class Http1Server implements Host {
  readonly bodyBytes: number;
  readonly keepAliveLines: string;
  readonly handle: (exchange: PlainExchange) => void;
  /** The listener; closing it waits for all connections, also those that were given to `other`. */
  readonly listener: Server;
  readonly #options: Http1Options;
  readonly #connections = new Set<Connection>();
  /** Those that `other` has. */
  readonly #given = new Set<Socket>();
  #isDraining = false;

  constructor(options: Http1Options, handle: (exchange: PlainExchange) => void) {
    this.#options = options;
    this.bodyBytes = options.bodyBytes;
    this.handle = handle;
    const seconds = Math.floor(options.keepAliveMs / 1000);
    this.keepAliveLines = `Connection: keep-alive\r\nKeep-Alive: timeout=${seconds}\r\n\r\n`;
    // A caller that has closed its half of the connection still gets its answer.
    const sockets = { allowHalfOpen: true, noDelay: true, pauseOnConnect: true };
    this.listener = createServer(sockets, (accepted) => {
      const socket = readingSocket(accepted, (bytes) => connection.take(bytes));
      const connection = new Connection(socket, this);
      this.#connections.add(connection);
    });
    // Node watches the timeouts of a server from this event on.
    options.other.emit("listening");
    const checks = setInterval(() => this.#check(), options.checkMs).unref();
    this.listener.once("close", () => {
      clearInterval(checks);
      options.other.close();
    });
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Of all its connections, also of those that `other` has. */
  get sockets(): readonly Socket[] {
    return [...Array.from(this.#connections, ({ socket }) => socket), ...this.#given];
  }

  /** From now on a connection ends with its next answer. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Ends the connections whose answers have left and that wait for a request of which nothing has come. */
  closeIdleConnections(): void {
    for (const connection of this.#connections) connection.closeIfIdle();
    // Node takes for idle what has been answered, even where the answer still waits for its reader.
    for (const { writableLength } of this.#given) if (writableLength > 0) return;
    this.#options.other.closeIdleConnections();
  }

  /** Ends all connections at once. */
  closeAllConnections(): void {
    for (const { socket } of this.#connections) socket.destroy();
    this.#options.other.closeAllConnections();
  }

  now(): number {
    return performance.now();
  }

  handOver(socket: Socket, bytes: Buffer): void {
    this.#given.add(socket);
    socket.once("close", () => this.#given.delete(socket));
    socket.pause();
    socket.unshift(bytes);
    this.#options.other.emit("connection", socket);
    socket.resume();
  }

  forget(connection: Connection): void {
    this.#connections.delete(connection);
  }

  #check(): void {
    const now = this.now();
    for (const connection of this.#connections) connection.check(now, this.#options);
    for (const socket of this.sockets) watchReader(socket, this.#options.readMs);
  }
}

/**
 * Has the socket watch whether its answer moves, for as long as some of it waits: Node's timer knows how
 * much the system has taken of what is being written. It is not set before, for every read and write
 * would wind it up.
 */
function watchReader(socket: Socket, readMs: number): void {
  const isUnread = socket.writableLength > 0;
  if (isUnread && !socket.timeout) socket.setTimeout(readMs);
  else if (!isUnread && socket.timeout === readMs) socket.setTimeout(0);
}
