import {
  UpstreamConnection,
  type ConnectionOwner,
  type Exchange,
  type Origin,
} from "./upstream-connection.ts";
import { AnswerLost, AnswerTimeout } from "./upstream-failure.ts";
import { PassedExchange, type PassedRequest, type BegunAnswer } from "./upstream-passed.ts";
import { WholeExchange, type Question, type WholeAnswer } from "./upstream-whole.ts";

const KEPT_MS = 4_000;
/** A connection is given up this long before its server would, ms: a request may be on its way by then. */
const KEPT_MARGIN_MS = 1_000;

/** How many connections there may be, and for how long. */
export interface PoolOptions {
  /** Most connections at a time; null: as many as there are requests. */
  readonly connections: number | null;
  /** Idle connections are closed after this long, or sooner where their server says so, ms. @default 4000 */
  readonly keepAliveMs?: number;
}

/**
 * Keep-alive connections to one server, opened as requests need them. One request at a time on each:
 * what a server closes takes one request with it.
 */
export class UpstreamPool {
  readonly #origin: Origin;
  readonly #host: string;
  readonly #limit: number;
  readonly #keptMs: number;
  readonly #open = new Set<UpstreamConnection>();
  readonly #connecting = new Set<UpstreamConnection>();
  /** The one that was used last is the last. */
  readonly #idle: UpstreamConnection[] = [];
  /** The oldest is the first. */
  readonly #waiting = new Set<Exchange>();
  /** One timer for all deadlines: setting one for each request costs more than the request's writing. */
  #timer: NodeJS.Timeout | null = null;
  #timerAt = Infinity;
  #closed: PromiseWithResolvers<void> | null = null;
  readonly #owner: ConnectionOwner = {
    onConnected: (connection) => {
      this.#connecting.delete(connection);
      this.#onFree(connection, null);
    },
    onFree: (connection, keptMs) => this.#onFree(connection, keptMs),
    onGone: (connection, error) => this.#onGone(connection, error),
    onDeadline: (at) => this.#onDeadline(at),
  };

  constructor(url: URL, { connections, keepAliveMs = KEPT_MS }: PoolOptions) {
    const isSecure = url.protocol === "https:";
    const port = url.port === "" ? (isSecure ? 443 : 80) : Number(url.port);
    this.#origin = { isSecure, host: url.hostname.replace(/^\[(.*)\]$/, "$1"), port };
    this.#host = url.host;
    this.#limit = connections ?? Infinity;
    this.#keptMs = keepAliveMs;
  }

  /**
   * Asks and reads the whole answer, whatever its status, within `timeoutMs`.
   * @throws `AnswerTimeout`, `AnswerLost`, `AnswerInvalid`.
   */
  ask(question: Question, timeoutMs: number): Promise<WholeAnswer> {
    const deadlineAt = performance.now() + timeoutMs;
    return new Promise((resolve, reject) => {
      const settle = { resolve, reject };
      this.#start(new WholeExchange(question, { host: this.#host, deadlineAt, settle }));
    });
  }

  /**
   * Passes a request on; resolves when its answer begins, or once it is whole where it is short.
   * @throws `AnswerTimeout`, `AnswerLost`, `AnswerInvalid`.
   */
  pass(request: PassedRequest): Promise<BegunAnswer> {
    return new Promise((resolve, reject) => {
      this.#start(new PassedExchange(request, { host: this.#host, settle: { resolve, reject } }));
    });
  }

  /** Ends the connections once their requests are answered. */
  close(): Promise<void> {
    if (this.#closed === null) {
      this.#closed = Promise.withResolvers();
      for (const connection of this.#idle.splice(0)) connection.fail(new Error("closing"));
      this.#settleClose();
    }
    return this.#closed.promise;
  }

  #start(exchange: Exchange): void {
    if (this.#closed !== null) {
      exchange.onFail(new AnswerLost("unsent", "the connection is closing"));
      return;
    }
    const connection = this.#takeIdle();
    if (connection === null) {
      this.#waiting.add(exchange);
      this.#dial();
    } else connection.run(exchange);
    this.#onDeadline(exchange.deadlineAt);
  }

  #takeIdle(): UpstreamConnection | null {
    const connection = this.#idle.at(-1);
    if (connection === undefined) return null;
    if (connection.idleUntil > performance.now()) {
      this.#idle.pop();
      return connection;
    }
    connection.fail(new Error("idle for too long"));
    return this.#takeIdle();
  }

  /** Opens what those who wait need. */
  #dial(): void {
    while (this.#connecting.size < this.#waiting.size && this.#open.size < this.#limit) {
      const connection = new UpstreamConnection(this.#origin, this.#owner);
      this.#open.add(connection);
      this.#connecting.add(connection);
    }
  }

  #onFree(connection: UpstreamConnection, keptMs: number | null): void {
    if (this.#waiting.size > 0) {
      this.#runWaiting(connection);
      return;
    }
    const hinted = keptMs === null ? Infinity : Math.max(0, keptMs - KEPT_MARGIN_MS);
    connection.idleUntil = performance.now() + Math.min(this.#keptMs, hinted);
    this.#idle.push(connection);
    if (this.#closed === null) this.#onDeadline(connection.idleUntil);
    else connection.fail(new Error("closing"));
  }

  #runWaiting(connection: UpstreamConnection): void {
    const [next] = this.#waiting;
    if (next === undefined) return;
    this.#waiting.delete(next);
    connection.run(next);
  }

  #onGone(connection: UpstreamConnection, error: Error): void {
    this.#open.delete(connection);
    if (this.#connecting.delete(connection)) this.#failOne(error);
    const place = this.#idle.indexOf(connection);
    if (place >= 0) this.#idle.splice(place, 1);
    this.#dial();
    this.#settleClose();
  }

  #onDeadline(at: number): void {
    if (at >= this.#timerAt) return;
    this.#timerAt = at;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const ms = Math.max(1, Math.ceil(at - performance.now()));
    // The sockets keep the process; the time of what is answered long ago does not.
    this.#timer = setTimeout(() => this.#expire(), ms).unref();
  }

  /** A connection that could not be made is the failure of one of those who wait for one. */
  #failOne(error: Error): void {
    const [first] = this.#waiting;
    if (first === undefined) return;
    this.#waiting.delete(first);
    first.onFail(new AnswerLost("unsent", error.message, error));
  }

  #expire(): void {
    const now = performance.now();
    this.#timer = null;
    this.#timerAt = Infinity;
    for (const exchange of this.#waiting)
      if (exchange.deadlineAt <= now) {
        this.#waiting.delete(exchange);
        exchange.onFail(new AnswerTimeout("no answer in time"));
      }
    for (const connection of this.#open)
      if ((connection.exchange?.deadlineAt ?? connection.idleUntil) <= now)
        connection.fail(new AnswerTimeout("no answer in time"));
    this.#settleClose();
    let next = Infinity;
    for (const { deadlineAt } of this.#waiting) next = Math.min(next, deadlineAt);
    for (const { exchange, idleUntil } of this.#open)
      next = Math.min(next, exchange?.deadlineAt ?? idleUntil);
    this.#onDeadline(next);
  }

  #settleClose(): void {
    if (this.#closed === null || this.#waiting.size > 0 || this.#open.size > 0) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#closed.resolve();
  }
}
