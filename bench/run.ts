/**
 * Measures the system.
 *
 *   npm run bench [-- NAME…] [--quick | --full] [--runs N] [--dist FOLDER]
 *
 * Prints a table per benchmark and writes all numbers to `bench/results/latest.json`. Without
 * `--dist` the present sources are built into a folder of their own first, so that a build meanwhile
 * changes nothing. `--runs` is for simulations. `BENCH_PYTHON` names a Python that has fastapi, uvicorn, onnxruntime and numpy;
 * without one that peer is reported missing.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { build } from "../tools/build.ts";
import { detection } from "./detection.ts";
import { evaluation } from "./evaluation.ts";
import { gateway } from "./gateway.ts";
import { memory } from "./memory.ts";
import { registry } from "./registry.ts";
import { machine, resultText, type BenchContext, type BenchResult, type Effort } from "./report.ts";
import { startUp } from "./start-up.ts";
import { routeSwitch } from "./switch.ts";
import { usersHurt } from "./users-hurt.ts";

const BENCHMARKS: Readonly<Record<string, (context: BenchContext) => Promise<BenchResult>>> = {
  switch: routeSwitch,
  gateway,
  "start-up": startUp,
  registry,
  memory,
  detection,
  evaluation,
  "users-hurt": usersHurt,
};

const results = join(import.meta.dirname, "results");

function say(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
}

function chosen(names: readonly string[]): readonly string[] {
  const known = Object.keys(BENCHMARKS);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new Error(`there is no benchmark ${unknown.join(", ")}; there are ${known.join(", ")}`);
  return names.length === 0 ? known : names;
}

function runsFrom(text: string): number {
  const runs = Number(text);
  if (!Number.isSafeInteger(runs) || runs < 1)
    throw new Error(`--runs takes a whole number from 1, not ${text}`);
  return runs;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      full: { type: "boolean", default: false },
      runs: { type: "string" },
      dist: { type: "string" },
    },
  });
  const names = chosen(positionals);
  const effort: Effort = values.full ? "full" : values.quick ? "quick" : "normal";
  const runs = values.runs === undefined ? undefined : runsFrom(values.runs);
  const dist = resolve(values.dist ?? join(import.meta.dirname, "../.tmp/bench/dist"));
  if (values.dist === undefined) await build({ outdir: dist });
  const before = machine();
  const startedAt = performance.now();
  const found: Record<string, BenchResult> = {};
  for (const name of names) {
    const run = BENCHMARKS[name];
    if (run === undefined) continue;
    const result = await run({ effort, runs, dist, say });
    if (process.stderr.isTTY) say("");
    process.stdout.write(resultText(result));
    found[name] = result;
  }
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  mkdirSync(results, { recursive: true });
  const report = { machine: before, effort, seconds, results: found };
  writeFileSync(join(results, "latest.json"), `${JSON.stringify(report, null, 2)}\n`);
  const { cpu, cores, node, engine, loadAverage } = before;
  process.stdout.write(
    `\n${cpu}, ${cores} cores, Node ${node}, ${engine}; load average at the start ${loadAverage.join(" ")}; ${seconds} s\n`,
  );
}

main().catch((error: unknown) => {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exitCode = 1;
});
