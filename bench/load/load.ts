import { join } from "node:path";
import { Worker } from "node:worker_threads";

import { cpuMs, sleep } from "../measure.ts";
import { LAST_BUCKET, msOf } from "./load-settings.ts";

/** What is sent where, and how hard. */
export interface LoadOptions {
  readonly url: string;
  /** JSON bodies, sent in turn. */
  readonly bodies: readonly string[];
  readonly connections: number;
  /** @default 0 */
  readonly pauseMs?: number;
}

/** What happened between two moments of a load. */
export interface Window {
  readonly requestsPerS: number;
  /** CPU of the watched processes per answered request, microseconds. */
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
}

function requestText(url: URL, body: string): string {
  return (
    `POST ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\ncontent-type: application/json\r\n` +
    `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  );
}

/** Steady load from a thread of its own, as fast as the answers come. */
export class Load {
  readonly #totals = new Int32Array(new SharedArrayBuffer(8));
  readonly #latencies = new Int32Array(new SharedArrayBuffer(4 * (LAST_BUCKET + 1)));
  readonly #thread: Worker;

  constructor(options: LoadOptions) {
    const url = new URL(options.url);
    this.#thread = new Worker(join(import.meta.dirname, "load-thread.ts"), {
      workerData: {
        host: url.hostname,
        port: Number(url.port),
        requests: options.bodies.map((body) => requestText(url, body)),
        connections: options.connections,
        pauseMs: options.pauseMs ?? 0,
        totals: this.#totals.buffer,
        latencies: this.#latencies.buffer,
      },
    });
  }

  /** Requests answered with 200 so far. */
  get answered(): number {
    return Atomics.load(this.#totals, 0);
  }

  /** Requests that were dropped or answered otherwise so far. */
  get failed(): number {
    return Atomics.load(this.#totals, 1);
  }

  /** Watches the load for `ms`, and what CPU time the processes use meanwhile. */
  async watch(pids: readonly number[], ms: number): Promise<Window> {
    const before = { answered: this.answered, failed: this.failed };
    this.#latencies.fill(0);
    const cpuBefore = cpuMs(pids);
    const startedAt = performance.now();
    await sleep(ms);
    const cpu = cpuMs(pids) - cpuBefore;
    const tookMs = performance.now() - startedAt;
    const answered = this.answered - before.answered;
    return {
      requestsPerS: (answered * 1_000) / tookMs,
      cpuUs: (cpu * 1_000) / answered,
      p50Ms: this.#latency(0.5),
      p99Ms: this.#latency(0.99),
      failed: this.failed - before.failed,
    };
  }

  /** Ends it; gives what went wrong, with how often. */
  async stop(): Promise<readonly (readonly [string, number])[]> {
    const failures = new Promise<readonly [string, number][]>((resolve, reject) => {
      this.#thread.once("message", resolve);
      this.#thread.once("error", reject);
    });
    this.#thread.postMessage("stop", []);
    const found = await failures;
    await this.#thread.terminate();
    return found;
  }

  #latency(q: number): number {
    const total = this.#latencies.reduce((sum, count) => sum + count, 0);
    let left = q * total;
    for (let bucket = 0; bucket < this.#latencies.length; bucket += 1) {
      left -= this.#latencies[bucket] ?? 0;
      if (left <= 0) return msOf(bucket);
    }
    return NaN;
  }
}
