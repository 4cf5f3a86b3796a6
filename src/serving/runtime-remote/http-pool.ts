import { Pool, type Dispatcher } from "undici";

const CONNECTIONS = 128;
const CONNECT_TIMEOUT_MS = 5_000;
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;
const JSON_BODY: string[] = ["content-type", "application/json"];

/** A request: a question without a body, or JSON that is posted. */
export interface HttpRequest {
  readonly path: string;
  readonly body: string | null;
}

/** A whole answer. */
export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  /** From when the request left, which it does once it has a connection, to the end of the answer, ms. */
  readonly ms: number;
}

/** No answer within the time that there was. */
export class HttpTimeout extends Error {}

/** No answer, because the connection could not be made or was lost. */
export class HttpLost extends Error {
  /** Whether the request had left. */
  readonly sent: boolean;

  constructor(sent: boolean, cause: Error) {
    super(cause.message, { cause });
    this.sent = sent;
  }
}

interface Settle {
  readonly resolve: (answer: HttpAnswer) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One exchange. The parts of an answer are put together here: a stream, a signal and a promise for each
 * body, as `request` of undici has them, cost as much as the rest of the exchange.
 */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #settle: Settle;
  readonly #timer: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | null = null;
  #expired: HttpTimeout | null = null;
  #leftAt = 0;
  #status = 0;
  #first: Buffer | null = null;
  #rest: Buffer[] | null = null;

  constructor(timeoutMs: number, settle: Settle) {
    this.#settle = settle;
    this.#timer = setTimeout(() => this.#expire(), timeoutMs);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Nobody waits for it any more.
    if (this.#expired !== null) {
      controller.abort(this.#expired);
      return;
    }
    this.#controller = controller;
    this.#leftAt = performance.now();
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#first === null) this.#first = chunk;
    else (this.#rest ??= []).push(chunk);
  }

  onResponseEnd(): void {
    clearTimeout(this.#timer);
    this.#settle.resolve({
      status: this.#status,
      text: this.#text(),
      ms: performance.now() - this.#leftAt,
    });
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    clearTimeout(this.#timer);
    this.#settle.reject(this.#expired ?? new HttpLost(this.#controller !== null, error));
  }

  #expire(): void {
    this.#expired = new HttpTimeout("no answer in time");
    if (this.#controller === null) this.#settle.reject(this.#expired);
    else this.#controller.abort(this.#expired);
  }

  #text(): string {
    if (this.#first === null) return "";
    const whole = this.#rest === null ? this.#first : Buffer.concat([this.#first, ...this.#rest]);
    return whole.toString("utf8");
  }
}

/** Keep-alive connections to one server, opened as requests need them. */
export class HttpPool {
  readonly #pool: Pool;

  /** Idle connections are closed after `keepAliveMs`, where it is given. */
  constructor(origin: string, keepAliveMs?: number) {
    this.#pool = new Pool(origin, {
      connections: CONNECTIONS,
      connect: { timeout: CONNECT_TIMEOUT_MS },
      maxResponseSize: MAX_ANSWER_BYTES,
      // Each request has a time of its own.
      headersTimeout: 0,
      bodyTimeout: 0,
      ...(keepAliveMs === undefined ? {} : { keepAliveTimeout: keepAliveMs }),
    });
  }

  /** @throws `HttpTimeout`, `HttpLost`. */
  exchange({ path, body }: HttpRequest, timeoutMs: number): Promise<HttpAnswer> {
    const options: Dispatcher.DispatchOptions =
      body === null ? { method: "GET", path } : { method: "POST", path, headers: JSON_BODY, body };
    return new Promise((resolve, reject) => {
      // What is left of a request's time has fractions; timers of one length share a list.
      const handler = new Exchange(Math.max(1, Math.ceil(timeoutMs)), { resolve, reject });
      this.#pool.dispatch(options, handler);
    });
  }

  /** Ends the connections once their requests are answered. */
  close(): Promise<void> {
    return this.#pool.close();
  }
}
