/**
 * A load generator that costs less than what it measures: keep-alive connections on node:net, whole
 * requests as ready text, answers looked at only as far as status and length. It runs in a thread of
 * its own, so that a benchmark's own waiting does not wait for it.
 */
import { connect, type Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";

import { bucketOf, LAST_BUCKET, type LoadSettings } from "./load-settings.ts";

const settings = workerData as LoadSettings;
const totals = new Int32Array(settings.totals);
const latencies = new Int32Array(settings.latencies);
const failures = new Map<string, number>();
const connections = new Set<Connection>();
let nextRequest = 0;
let stopping = false;

function failed(why: string): void {
  Atomics.add(totals, 1, 1);
  if (failures.size < 20 || failures.has(why)) failures.set(why, (failures.get(why) ?? 0) + 1);
}

/** Whether all of an answer is there, whose head ends at `head`. */
function isWhole(text: string, head: number): boolean {
  if (head === -1) return false;
  const fields = text.slice(0, head + 2);
  const length = /\r\ncontent-length: *(\d+)/i.exec(fields);
  if (length !== null) return text.length >= head + 4 + Number(length[1]);
  return /\r\ntransfer-encoding: *chunked/i.test(fields) && text.endsWith("\r\n0\r\n\r\n");
}

class Connection {
  #socket: Socket | null = null;
  #pending = "";
  #sentAt = 0;
  #inFlight = false;

  open(): void {
    const socket = connect(settings.port, settings.host);
    this.#socket = socket;
    this.#pending = "";
    socket.setNoDelay(true);
    socket.setEncoding("latin1");
    socket.on("connect", () => this.#send());
    socket.on("data", (chunk: string) => this.#receive(chunk));
    socket.on("error", (error) => this.#lost(error.message));
    socket.on("close", () => this.#lost("the connection was closed"));
  }

  get isIdle(): boolean {
    return !this.#inFlight;
  }

  end(): void {
    this.#inFlight = false;
    this.#socket?.destroy();
    this.#socket = null;
  }

  #send(): void {
    if (stopping) return;
    this.#inFlight = true;
    this.#sentAt = performance.now();
    this.#socket?.write(
      settings.requests[nextRequest++ % settings.requests.length] ?? "",
      "latin1",
    );
  }

  #receive(chunk: string): void {
    const text = this.#pending === "" ? chunk : this.#pending + chunk;
    const head = text.indexOf("\r\n\r\n");
    if (!isWhole(text, head)) {
      this.#pending = text;
      return;
    }
    this.#pending = "";
    this.#inFlight = false;
    const tookMs = performance.now() - this.#sentAt;
    const bucket = bucketOf(tookMs);
    Atomics.add(latencies, bucket, 1);
    const status = text.slice(9, 12);
    if (status === "200") Atomics.add(totals, 0, 1);
    else failed(`status ${status}: ${text.slice(head + 4, head + 204)}`);
    if (settings.pauseMs === 0) this.#send();
    else setTimeout(() => this.#send(), settings.pauseMs);
  }

  #lost(why: string): void {
    if (this.#socket === null) return;
    this.#socket = null;
    if (this.#inFlight) failed(why);
    this.#inFlight = false;
    if (!stopping) setTimeout(() => this.open(), 5);
  }
}

for (let count = 0; count < settings.connections; count += 1) {
  const connection = new Connection();
  connections.add(connection);
  connection.open();
}

/** Requests in flight are still answered: one that is dropped at the end would go unseen. */
parentPort?.once("message", () => {
  stopping = true;
  const endsAt = performance.now() + 5_000;
  const poll = setInterval(() => {
    const open = [...connections].filter((connection) => !connection.isIdle);
    if (open.length > 0 && performance.now() < endsAt) return;
    clearInterval(poll);
    for (const connection of open) {
      failed("no answer within 5 s of the end");
      connection.end();
    }
    for (const connection of connections) connection.end();
    parentPort?.postMessage([...failures], []);
    parentPort?.close();
  }, 5);
});

if (LAST_BUCKET >= latencies.length) throw new Error("too few buckets for latencies");
