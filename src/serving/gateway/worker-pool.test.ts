import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { WorkerPool } from "./worker-pool.ts";

/** A worker that echoes its number, and ends itself when it is told that a revision is unavailable. */
const ECHO = `
const { parentPort, workerData } = require("node:worker_threads");
parentPort.on("message", (message) => {
  if (message.kind === "unavailable" && workerData.worker === 0) throw new Error("a defect");
  if (message.kind === "command" && message.command.kind !== "drain")
    parentPort.postMessage({ kind: "done", id: message.id, result: workerData.worker });
});
`;

const settings = {
  gateway: "g",
  incarnation: "i",
  build: "test",
  host: "127.0.0.1",
  port: 0,
  reusePort: false,
  grpc: null,
  defaultEndpoint: null,
  predictionsFolder: "/nowhere",
  requestIdKey: "",
  probeToken: "",
  workers: 2,
};
const crash = { kind: "unavailable", key: "e/1@x", why: "" } as const;

let folder: string;
let pool: WorkerPool;
let prepared: number[];
let gone: number[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "lg-pool-"));
  const entry = join(folder, "worker.cjs");
  writeFileSync(entry, ECHO);
  prepared = [];
  gone = [];
  pool = new WorkerPool({
    entry,
    count: 2,
    settings,
    log: () => undefined,
    prepare: async (_worker, send) => {
      prepared.push(Number(await send({ kind: "lastCounts" })));
    },
    onNews: () => undefined,
    onGone: (worker) => gone.push(worker),
  });
  await pool.start();
});

afterEach(async () => {
  await pool.end();
  rmSync(folder, { recursive: true, force: true });
});

test("a worker that fails is replaced by one with a new number that is brought up to date first", async () => {
  expect(pool.listening()).toEqual([0, 1]);
  pool.tell(crash);
  for (let tries = 0; tries < 500 && !pool.listening().includes(2); tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 10));
  expect(pool.listening()).toEqual([1, 2]);
  expect(gone).toEqual([0]);
  expect(prepared.at(-1)).toBe(2);
  expect(await pool.all({ kind: "lastCounts" })).toEqual([1, 2]);
});

test("a command to all does not wait for a worker that fails meanwhile", async () => {
  const answers = pool.all({ kind: "drain", timeoutMs: 1 }).catch(() => "refused");
  const counts = pool.all({ kind: "lastCounts" });
  pool.tell(crash);
  expect(await counts).toEqual([0, 1]);
  // Worker 1 never answers a drain here; it ends with the pool.
  await pool.end();
  expect(await answers).toEqual([]);
});
