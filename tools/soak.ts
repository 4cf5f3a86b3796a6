/**
 * Lives a hundred times as many random histories through as `npm test`, in parts, one on each core.
 *
 *   npm run soak -- [--seed N] [--scale 100] [--from PART] [--to PART] [--only machine,world,good,bad,processes]
 *
 * Prints a line per part and the seed of each; at the end how many histories held. What was stopped
 * goes on with `--seed` and `--from`. The rollouts of real processes come last, alone on the machine.
 */
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { z } from "zod";

import { KINDS, soakParts, type Part } from "../test/simulation/soak-parts.ts";

const root = resolve(import.meta.dirname, "..");
const PROCESSES = "processes";
const names = [...KINDS.map(({ name }) => name), PROCESSES];

const number = z.coerce.number().int();
const settings = z.object({
  seed: number
    .min(0)
    .max(2 ** 31 - 1)
    .default(() => Math.trunc(Math.random() * 2 ** 31)),
  scale: number.positive().default(100),
  from: number.positive().default(1),
  to: number.positive().default(Number.MAX_SAFE_INTEGER),
  only: z
    .string()
    .transform((text) => text.split(","))
    .pipe(z.array(z.enum(names)))
    .default(names),
});

interface Ended {
  readonly ok: boolean;
  readonly output: string;
  readonly ms: number;
}

const running = new Set<ReturnType<typeof spawn>>();

/** Runs vitest, and gives what it printed. */
function vitest(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
  const from = performance.now();
  const program = join(root, "node_modules/vitest/vitest.mjs");
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [program, "run", ...args], {
      cwd: root,
      env: { ...process.env, NO_COLOR: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(child);
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.once("error", failed);
    child.once("close", (code) => {
      running.delete(child);
      done({ ok: code === 0, output, ms: performance.now() - from });
    });
  });
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    scale: { type: "string" },
    from: { type: "string" },
    to: { type: "string" },
    only: { type: "string" },
  },
});
const parsed = settings.safeParse(values);
if (!parsed.success) {
  process.stderr.write(`soak: ${z.prettifyError(parsed.error)}\n`);
  process.exit(2);
}
const { seed, scale, from, to, only } = parsed.data;
const kinds = KINDS.filter(({ name }) => only.includes(name));
const all = soakParts({ seed, scale, kinds });
const wanted = all.filter((part) => part.number >= from && part.number <= to);
const held = new Map<string, number>();
const broken: string[] = [];
const ended = new Set<Part>();

function again(part: Part): string {
  const { file, tests } = part.kind;
  return `SIMULATION_SEED=${part.seed} SIMULATION_RUNS=${part.runs} npm run test:unit -- ${file} -t "${tests}"`;
}

async function run(part: Part): Promise<void> {
  const { kind, runs } = part;
  const env = { SIMULATION_SEED: String(part.seed), SIMULATION_RUNS: String(runs) };
  const args = ["--project", "unit", kind.file, "-t", kind.tests];
  const { ok: passed, output, ms } = await vitest(args, env);
  // A name that no test has any more would pass too.
  const ok = passed && /Tests +1 passed/.test(output);
  ended.add(part);
  const what = `[${part.number}/${all.length}] ${runs} ${kind.what} from seed ${part.seed}`;
  say(`${what}: ${ok ? "held" : "BROKEN"} (${seconds(ms)})`);
  if (ok) {
    held.set(kind.what, (held.get(kind.what) ?? 0) + runs);
    return;
  }
  say(output);
  broken.push(again(part));
}

async function take(queue: Part[]): Promise<void> {
  for (let part = queue.shift(); part !== undefined; part = queue.shift()) await run(part);
}

async function runProcesses(): Promise<void> {
  const files = ["aa-gate", "aa-servers", "automatic"].map((name) => `test/laws/${name}.test.ts`);
  const fewer = String(Math.ceil(scale / 8));
  const env = { AA_RUNS: String(scale), AA_SERVER_RUNS: fewer, AUTOMATIC_RUNS: fewer };
  const { ok, output, ms } = await vitest(
    ["--project", "laws", "--project", "at-length", ...files],
    env,
  );
  say(`rollouts of real processes: ${ok ? "held" : "BROKEN"} (${seconds(ms)})`);
  if (ok) return;
  say(output);
  broken.push(`AA_RUNS=${env.AA_RUNS} npx vitest run --project at-length ${files[0]}`);
}

function conclude(): void {
  say("");
  for (const [what, count] of held) say(`${count} ${what} held`);
  for (const each of broken) say(`broken: ${each}`);
}

function stop(): void {
  for (const child of running) child.kill("SIGTERM");
  conclude();
  const next = Math.min(...wanted.filter((part) => !ended.has(part)).map((part) => part.number));
  const rest = only.length === names.length ? "" : ` --only ${only.join(",")}`;
  if (Number.isFinite(next))
    say(`stopped; to go on: npm run soak -- --seed ${seed} --scale ${scale} --from ${next}${rest}`);
  process.exit(130);
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);

say(`soak of seed ${seed}, scale ${scale}: ${wanted.length} of ${all.length} parts`);
const queue = [...wanted];
await Promise.all(Array.from({ length: availableParallelism() }, () => take(queue)));
if (only.includes(PROCESSES)) await runProcesses();
conclude();
process.exitCode = broken.length === 0 ? 0 : 1;
