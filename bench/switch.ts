import type { TestServer } from "../test/support/server.ts";
import { Load } from "./load/load.ts";
import { quantile, rounded, sleep } from "./measure.ts";
import type { BenchContext, BenchResult } from "./report.ts";
import { inferUrl, irisBodies, irisServer } from "./servers.ts";

const CONNECTIONS = 64;
const BASE = { reason: "bench", actor: "bench" } as const;

interface Switches {
  readonly switchMs: number[];
  readonly lastOldResponseMs: number[];
  readonly rollbackMs: number[];
  readonly deployMs: number[];
  failedRequests: number;
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

/** Rollbacks (and the deployments between them) under a load that takes all the machine has. */
export async function routeSwitch({ effort, dist, say }: BenchContext): Promise<BenchResult> {
  const rollbacks = { quick: 25, normal: 100, full: 300 }[effort];
  const loads = [
    { name: "idle", connections: 0, pauseMs: 0 },
    { name: "steady: 64 connections, 20 ms between requests", connections: CONNECTIONS, pauseMs: 20 },
    { name: "saturated: 64 connections, no pause", connections: CONNECTIONS, pauseMs: 0 },
  ];
  const results = [];
  const server = await irisServer(dist);
  try {
    await oneRound(server, newSwitches());
    for (const { name, connections, pauseMs } of loads) {
      say(`switch: ${rollbacks} rollbacks, ${name}`);
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
      results.push({ name, found, answered, seconds, failures, failed: load?.failed ?? 0 });
    }
  } finally {
    await server.destroy();
  }
  const saturated = results.at(-1);
  const p99 = quantile(saturated?.found.switchMs ?? [], 0.99);
  const steadyP99 = quantile(results.at(1)?.found.switchMs ?? [], 0.99);
  const failed = results.reduce((sum, each) => sum + each.failed + each.found.failedRequests, 0);
  const stats = (numbers: readonly number[]): string =>
    `${rounded(quantile(numbers, 0.5), 1)} / ${rounded(quantile(numbers, 0.99), 1)}`;
  return {
    title: "Route switch: rollback to a warm revision",
    method: `${rollbacks} rollbacks over the API per load, each after a deploy; p50 / p99 in ms; switchMs: command read to the last worker's swap`,
    columns: ["load", "switchMs", "rollback answered", "deploy answered", "requests/s", "failed requests"],
    rows: results.map(({ name, found, answered, seconds, failed: dropped }) => [
      name,
      stats(found.switchMs),
      stats(found.rollbackMs),
      stats(found.deployMs),
      Math.round(answered / seconds),
      dropped + found.failedRequests,
    ]),
    goals: [
      {
        what: "switchMs p99 under saturating load",
        goal: "< 10 ms",
        measured: `${rounded(p99, 1)} ms`,
        met: p99 < 10,
      },
      {
        what: "switchMs p99 under steady load",
        goal: "< 10 ms",
        measured: `${rounded(steadyP99, 1)} ms`,
        met: steadyP99 < 10,
      },
      { what: "failed requests", goal: "0", measured: String(failed), met: failed === 0 },
    ],
    notes: [],
    data: results,
  };
}

function newSwitches(): Switches {
  return { switchMs: [], lastOldResponseMs: [], rollbackMs: [], deployMs: [], failedRequests: 0 };
}
