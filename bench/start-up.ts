import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { freePort, TestServer } from "../test/support/server.ts";
import { cpuWithChildrenMs, median, rounded, sleep } from "./measure.ts";
import type { BenchContext, BenchResult } from "./report.ts";
import { benchFile, irisServer, runProgram } from "./servers.ts";

interface Timed {
  readonly name: string;
  readonly ms: number[];
  readonly cpuMs: number[];
}

interface Command {
  readonly name: string;
  readonly run: () => Promise<{ readonly ms: number; readonly code: number | null }>;
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`);
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

/** Both planes answer that they are ready. */
async function untilReady(server: TestServer): Promise<void> {
  const endsAt = performance.now() + 30_000;
  while (performance.now() < endsAt) {
    if ((await isReady(server.serveUrl)) && (await isReady(server.apiUrl))) return;
    await sleep(5);
  }
  throw new Error(`the server did not become ready:\n${server.output}`);
}

async function notStarted({ dist }: BenchContext): Promise<TestServer> {
  const dataDir = mkdtempSync(join(tmpdir(), "lastgood-bench-"));
  return new TestServer(dataDir, { api: await freePort(), serve: await freePort() }, { dist });
}

async function startOnce(server: TestServer, timed: Timed): Promise<void> {
  const startedAt = performance.now();
  await server.start({ unready: true });
  await untilReady(server);
  timed.ms.push(performance.now() - startedAt);
  timed.cpuMs.push(server.processes.reduce((sum, { pid }) => sum + cpuWithChildrenMs(pid), 0));
  await server.terminate();
}

async function measureServers(
  context: BenchContext,
  rounds: number,
): Promise<readonly [Timed, Timed]> {
  const fresh: Timed = { name: "lastgood serve, empty data folder", ms: [], cpuMs: [] };
  const used: Timed = { name: "lastgood serve, one endpoint served", ms: [], cpuMs: [] };
  const served = await irisServer(context.dist);
  try {
    await served.terminate();
    for (let round = 1; round <= rounds; round += 1) {
      context.say(`start-up: server, round ${round} of ${rounds}`);
      const empty = await notStarted(context);
      await startOnce(empty, fresh);
      await empty.destroy();
      await startOnce(served, used);
    }
  } finally {
    await served.destroy();
  }
  return [fresh, used];
}

async function measureCommands(context: BenchContext, rounds: number): Promise<readonly Timed[]> {
  const server = await irisServer(context.dist);
  const cli = join(context.dist, "cli.cjs");
  const env = { ...process.env, LASTGOOD_DATA_DIR: server.dataDir };
  const node = (name: string, ...args: string[]): Command => ({
    name,
    run: () => runProgram(process.execPath, args, env),
  });
  const commands: readonly Command[] = [
    node("node -e 0", "-e", "0"),
    node("lastgood --version", cli, "--version"),
    node("lastgood --help", cli, "--help"),
    node("lastgood status", cli, "status"),
    node("lastgood rollback --dry-run", cli, "rollback", "--dry-run"),
    {
      name: "bin/lastgood --version, in a checkout",
      run: () => runProgram(benchFile("../bin/lastgood"), ["--version"], env),
    },
  ];
  const timed = commands.map(({ name }): Timed => ({ name, ms: [], cpuMs: [] }));
  try {
    // A target for the dry run.
    await server.json(["deploy", "iris@v1.1", "--bake", "0s"]);
    for (const { run } of commands) await run();
    for (let round = 1; round <= rounds; round += 1) {
      context.say(`start-up: commands, round ${round} of ${rounds}`);
      for (const [index, { name, run }] of commands.entries()) {
        const { ms, code } = await run();
        if (code !== 0) throw new Error(`${name} ended with ${code}`);
        timed[index]?.ms.push(ms);
      }
    }
  } finally {
    await server.destroy();
  }
  return timed;
}

/** How long until a server is ready, and until a command has answered. */
export async function startUp(context: BenchContext): Promise<BenchResult> {
  const serverRounds = { quick: 3, normal: 7, full: 11 }[context.effort];
  const commandRounds = { quick: 7, normal: 21, full: 31 }[context.effort];
  const [fresh, used] = await measureServers(context, serverRounds);
  const commands = await measureCommands(context, commandRounds);
  const bare = median(commands[0]?.ms ?? []);
  const slowest = Math.max(...commands.slice(1, 5).map(({ ms }) => median(ms)));
  const slowestStart = Math.max(median(fresh.ms), median(used.ms));
  return {
    title: "Start-up",
    method: `server: until both ports say ready, ${serverRounds} rounds; commands: until they end, ${commandRounds} interleaved rounds; medians`,
    columns: ["", "ms", "least ms", "above node -e 0, ms", "CPU ms"],
    rows: [fresh, used, ...commands].map(({ name, ms, cpuMs }) => [
      name,
      rounded(median(ms), 0),
      rounded(Math.min(...ms), 0),
      rounded(median(ms) - bare, 0),
      cpuMs.length === 0 ? "" : rounded(median(cpuMs), 0),
    ]),
    goals: [
      {
        what: "server start",
        goal: "< 1000 ms",
        measured: `${rounded(slowestStart, 0)} ms`,
        met: slowestStart < 1_000,
      },
      {
        what: "slowest command of the bundle",
        goal: "< 150 ms",
        measured: `${rounded(slowest, 0)} ms`,
        met: slowest < 150,
      },
    ],
    notes: [
      "bin/lastgood in a checkout also looks for a newer source than the build; installed it does not",
    ],
    data: { fresh, used, commands },
  };
}
