/**
 * Measures lastgood beside the servers and proxies it is compared with.
 *
 *   npm run bench:peers [-- served | proxies] [--quick | --full] [--dist FOLDER]
 *
 * Makes a virtual environment for each Python server from its pinned requirements under `.tmp/peers` the
 * first time; `BENCH_PYTHON` names the Python that makes them. nginx and haproxy are looked for on the
 * path. What is not there is named as missing. Writes all numbers to `bench/results/peers.json`.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { build } from "../../tools/build.ts";
import {
  machine,
  resultText,
  type BenchContext,
  type BenchResult,
  type Effort,
} from "../report.ts";
import { LOAD_CORE, stayOn } from "./core.ts";
import { proxies } from "./proxies.ts";
import { served } from "./served.ts";

const BENCHMARKS: Readonly<
  Record<string, (context: BenchContext, work: string) => Promise<BenchResult>>
> = { served, proxies };

const root = join(import.meta.dirname, "../..");
const results = join(root, "bench/results/peers.json");

function say(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
}

/** What earlier runs of other benchmarks found stays. */
function earlier(): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(results, "utf8")) as Record<string, unknown>;
  } catch {
    return {};
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      full: { type: "boolean", default: false },
      dist: { type: "string" },
    },
  });
  const names = positionals.length === 0 ? Object.keys(BENCHMARKS) : positionals;
  const effort: Effort = values.full ? "full" : values.quick ? "quick" : "normal";
  const work = join(root, ".tmp/peers");
  const dist = resolve(values.dist ?? join(work, "dist"));
  if (values.dist === undefined) await build({ outdir: dist });
  if (!stayOn(LOAD_CORE)) say("cores are not kept apart: there is no taskset, or only one core");
  const found = earlier();
  for (const name of names) {
    const run = BENCHMARKS[name];
    if (run === undefined)
      throw new Error(
        `there is no benchmark ${name}; there are ${Object.keys(BENCHMARKS).join(", ")}`,
      );
    const before = machine();
    const result = await run({ effort, dist, say }, work);
    if (process.stderr.isTTY) say("");
    process.stdout.write(resultText(result));
    process.stdout.write(`  load average at the start: ${before.loadAverage.join(" ")}\n`);
    found[name] = { machine: before, effort, ...result };
    mkdirSync(join(results, ".."), { recursive: true });
    writeFileSync(results, `${JSON.stringify(found, null, 2)}\n`);
  }
}

main().catch((error: unknown) => {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exitCode = 1;
});
