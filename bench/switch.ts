import {
  closeSync,
  existsSync,
  fdatasyncSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { TestServer } from "../test/support/server.ts";
import { Load } from "./load/load.ts";
import { quantile, rounded, sleep } from "./measure.ts";
import type { BenchContext, BenchResult } from "./report.ts";
import { inferUrl, irisBodies, irisServer } from "./servers.ts";

const CONNECTIONS = 64;
const BASE = { reason: "bench", actor: "bench" } as const;
/** A folder that no disk is behind. */
const MEMORY = "/dev/shm";

interface LoadKind {
  readonly name: string;
  readonly connections: number;
  readonly pauseMs: number;
}

const IDLE: LoadKind = { name: "idle", connections: 0, pauseMs: 0 };
const STEADY: LoadKind = {
  name: "64 connections, 20 ms pauses",
  connections: CONNECTIONS,
  pauseMs: 20,
};
const SATURATED: LoadKind = {
  name: "64 connections, no pause",
  connections: CONNECTIONS,
  pauseMs: 0,
};

interface Switches {
  readonly switchMs: number[];
  readonly lastOldResponseMs: number[];
  readonly rollbackMs: number[];
  readonly deployMs: number[];
  failedRequests: number;
}

interface Measured {
  readonly name: string;
  readonly found: Switches;
  readonly answered: number;
  readonly seconds: number;
  readonly failures: readonly (readonly [string, number])[];
  readonly failed: number;
}

function newSwitches(): Switches {
  return { switchMs: [], lastOldResponseMs: [], rollbackMs: [], deployMs: [], failedRequests: 0 };
}

async function oneRound(server: TestServer, found: Switches): Promise<void> {
  const deployFrom = performance.now();
  await server.client.deploy({ ...BASE, reference: "iris@v1.1", force: true });
  found.deployMs.push(performance.now() - deployFrom);
  await sleep(20);
  const backFrom = performance.now();
  const back = await server.client.rollback({ ...BASE, again: true });
  found.rollbackMs.push(performance.now() - backFrom);
  if (back.switchMs !== null) found.switchMs.push(back.switchMs);
  if (back.lastOldResponseMs !== null) found.lastOldResponseMs.push(back.lastOldResponseMs);
  found.failedRequests += back.failedRequests ?? 0;
  await sleep(20);
}

async function underLoad(
  server: TestServer,
  { name, connections, pauseMs }: LoadKind,
  rollbacks: number,
): Promise<Measured> {
  const found = newSwitches();
  const load =
    connections === 0
      ? null
      : new Load({ url: inferUrl(server), bodies: irisBodies(), connections, pauseMs });
  await sleep(500);
  const startedAt = performance.now();
  const answeredBefore = load?.answered ?? 0;
  for (let number = 0; number < rollbacks; number += 1) await oneRound(server, found);
  const seconds = (performance.now() - startedAt) / 1_000;
  const answered = (load?.answered ?? 0) - answeredBefore;
  const failures = (await load?.stop()) ?? [];
  return { name, found, answered, seconds, failures, failed: load?.failed ?? 0 };
}

/** How long the folder's disk takes to make 4 KiB durable, ms: every rollback waits for it once. */
function syncMs(folder: string): readonly number[] {
  const temporary = mkdtempSync(join(folder, "lastgood-sync-"));
  const file = openSync(join(temporary, "file"), "w");
  const block = Buffer.alloc(4_096, 1);
  const took: number[] = [];
  for (let number = 0; number < 200; number += 1) {
    const startedAt = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    took.push(performance.now() - startedAt);
  }
  closeSync(file);
  rmSync(temporary, { recursive: true });
  return took;
}

interface Place {
  readonly name: string;
  readonly folder: string;
  readonly loads: readonly LoadKind[];
}

async function measureIn(
  { name, folder, loads }: Place,
  { dist, say }: BenchContext,
  rollbacks: number,
): Promise<readonly Measured[]> {
  const server = await irisServer(dist, [], folder);
  const results: Measured[] = [];
  try {
    for (let warm = 0; warm < 5; warm += 1) await oneRound(server, newSwitches());
    for (const load of loads) {
      say(`switch: ${rollbacks} rollbacks, ${name}, ${load.name}`);
      const measured = await underLoad(server, load, rollbacks);
      results.push({ ...measured, name: `${name}: ${load.name}` });
    }
    return results;
  } finally {
    await server.destroy();
  }
}

function stats(numbers: readonly number[]): string {
  return [0.5, 0.9, 0.99].map((q) => rounded(quantile(numbers, q), 1)).join(" / ");
}

/** Rollbacks (and the deployments between them) under loads up to all that the machine has. */
export async function routeSwitch(context: BenchContext): Promise<BenchResult> {
  const rollbacks = { quick: 15, normal: 100, full: 200 }[context.effort];
  const disk = syncMs(tmpdir());
  const places: Place[] = [{ name: "on disk", folder: tmpdir(), loads: [IDLE, STEADY, SATURATED] }];
  if (existsSync(MEMORY))
    places.push({ name: "in memory", folder: MEMORY, loads: [IDLE, SATURATED] });
  const results: Measured[] = [];
  for (const place of places) results.push(...(await measureIn(place, context, rollbacks)));
  const failed = results.reduce((sum, each) => sum + each.failed + each.found.failedRequests, 0);
  return {
    title: "Route switch: rollback to a warm revision",
    method: `${rollbacks} rollbacks over the API per load, each after a deploy; p50 / p90 / p99 in ms; switchMs: command read to the last worker's swap`,
    columns: [
      "data folder: load",
      "switchMs",
      "rollback answered",
      "deploy answered",
      "requests/s",
      "failed",
    ],
    rows: results.map((each) => [
      each.name,
      stats(each.found.switchMs),
      stats(each.found.rollbackMs),
      stats(each.found.deployMs),
      Math.round(each.answered / each.seconds),
      each.failed + each.found.failedRequests,
    ]),
    goals: [
      ...results.slice(1).map(({ name, found }) => {
        const p99 = quantile(found.switchMs, 0.99);
        return {
          what: `switchMs p99, ${name}`,
          goal: "< 10 ms",
          measured: `${rounded(p99, 1)} ms`,
          met: p99 < 10,
        };
      }),
      { what: "failed requests", goal: "0", measured: String(failed), met: failed === 0 },
    ],
    notes: [
      `the disk under ${tmpdir()} took ${stats(disk)} ms to make 4 KiB durable; a switch waits for that once, for the intent`,
    ],
    data: { diskSyncMs: disk, results },
  };
}
