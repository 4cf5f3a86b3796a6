import { Agent, request, type IncomingMessage } from "node:http";

/** One answered (or failed) request; times are CLOCK_MONOTONIC, ms. */
export interface Answer {
  readonly sentAt: number;
  readonly doneAt: number;
  /** Null when the connection failed. */
  readonly status: number | null;
  readonly version: string | null;
  /** Version and revision that failed it before another one answered, as `v1.1/4`. */
  readonly fallback: string | null;
  /** The gateway's name for it, as labels refer to it. */
  readonly requestId: string | null;
  /** Which of the bodies was sent. */
  readonly index: number;
  readonly body: string;
  readonly error: string | null;
}

/** What is sent, and how hard. */
export interface LoadOptions {
  readonly url: string;
  readonly bodies: readonly string[];
  /** Requests in flight at any time. */
  readonly concurrency: number;
  readonly contentType?: string;
  /** Between the end of a request and the next on the same connection, ms. @default 0 */
  readonly pauseMs?: number;
  /** Keeps every answer's body. @default false */
  readonly keepBodies?: boolean;
}

/** CLOCK_MONOTONIC, ms with fractions: the clock that answers of rollbacks are measured with. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** An inference request of the Open Inference Protocol for one row. */
export function oipBody(row: readonly number[], input = "features"): string {
  return JSON.stringify({
    inputs: [{ name: input, shape: [1, row.length], datatype: "FP32", data: row }],
  });
}

/** Steady load on keep-alive connections; every answer is kept. */
export class Load {
  readonly answers: Answer[] = [];
  readonly #options: LoadOptions;
  readonly #agent: Agent;
  readonly #running: Promise<void>[];
  #stopped = false;
  #next = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.concurrency });
    this.#running = Array.from({ length: options.concurrency }, () => this.#loop());
  }

  /** Ends the load and gives every answer. */
  async stop(): Promise<readonly Answer[]> {
    this.#stopped = true;
    await Promise.all(this.#running);
    this.#agent.destroy();
    return this.answers;
  }

  /** Answers that are no success, each as text. */
  get failures(): readonly string[] {
    return this.answers
      .filter((answer) => answer.status !== 200)
      .map(
        (answer) => `${answer.status ?? "dropped"} ${answer.error ?? answer.body.slice(0, 300)}`,
      );
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      const { bodies, pauseMs } = this.#options;
      this.answers.push(await this.#send(this.#next++ % bodies.length));
      if (pauseMs !== undefined) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  #send(index: number): Promise<Answer> {
    const body = this.#options.bodies[index] ?? "";
    const sentAt = monotonicMs();
    return new Promise((resolve) => {
      const failed = (error: Error): void =>
        resolve({
          sentAt,
          doneAt: monotonicMs(),
          status: null,
          version: null,
          fallback: null,
          requestId: null,
          index,
          body: "",
          error: error.message,
        });
      const outgoing = request(
        this.#options.url,
        {
          method: "POST",
          agent: this.#agent,
          headers: {
            "content-type": this.#options.contentType ?? "application/json",
            "content-length": Buffer.byteLength(body),
          },
        },
        (incoming: IncomingMessage) => {
          const chunks: Buffer[] = [];
          incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
          incoming.once("error", failed);
          incoming.once("end", () => {
            const status = incoming.statusCode ?? null;
            const kept = this.#options.keepBodies === true || status !== 200;
            const header = (name: string): string | null => {
              const value = incoming.headers[name];
              return typeof value === "string" ? value : null;
            };
            resolve({
              sentAt,
              doneAt: monotonicMs(),
              status,
              version: header("x-lastgood-version"),
              fallback: header("x-lastgood-fallback"),
              requestId: header("x-lastgood-request-id"),
              index,
              body: kept ? Buffer.concat(chunks).toString() : "",
              error: null,
            });
          });
        },
      );
      outgoing.once("error", failed);
      outgoing.end(body);
    });
  }
}
