import { createRequire } from "node:module";
import { cpus, loadavg, release, totalmem } from "node:os";

import CliTable from "cli-table3";

/** A goal of the design and what was measured for it. */
export interface Goal {
  readonly what: string;
  readonly goal: string;
  readonly measured: string;
  readonly met: boolean | null;
}

/** What one benchmark found. */
export interface BenchResult {
  readonly title: string;
  /** How it was measured, in a sentence. */
  readonly method: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
  readonly goals: readonly Goal[];
  readonly notes: readonly string[];
  /** Everything else that was measured, for programs. */
  readonly data: unknown;
}

/** How thorough a run is. */
export type Effort = "quick" | "normal" | "full";

/** What a benchmark is given. */
export interface BenchContext {
  readonly effort: Effort;
  /** How many runs of a simulation, instead of what the effort says. */
  readonly runs?: number | undefined;
  /** Folder of the bundles that are measured. */
  readonly dist: string;
  /** Says on the terminal what is done now. */
  readonly say: (text: string) => void;
}

/** What the numbers were measured on. */
export interface Machine {
  readonly at: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly os: string;
  readonly node: string;
  readonly engine: string;
  readonly loadAverage: readonly number[];
}

/** Facts about this machine. */
export function machine(): Machine {
  const engine = createRequire(import.meta.url)("onnxruntime-node/package.json") as {
    readonly version: string;
  };
  return {
    at: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    os: `${process.platform} ${process.arch} ${release()}`,
    node: process.version,
    engine: `onnxruntime-node ${engine.version}`,
    loadAverage: loadavg().map((load) => Number(load.toFixed(2))),
  };
}

const NO_FRAME = Object.fromEntries(
  [
    "top",
    "top-mid",
    "top-left",
    "top-right",
    "bottom",
    "bottom-mid",
    "bottom-left",
    "bottom-right",
    "left",
    "left-mid",
    "mid",
    "mid-mid",
    "right",
    "right-mid",
    "middle",
  ].map((part) => [part, part === "middle" ? "  " : ""]),
);

/** A result for people. */
export function resultText(result: BenchResult): string {
  const table = new CliTable({
    head: [...result.columns],
    chars: NO_FRAME,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    colAligns: result.columns.map((_, index) => (index === 0 ? "left" : "right")),
  });
  table.push(...result.rows.map((row) => row.map(String)));
  const verdict = { true: "met", false: "MISSED", null: "not measured" };
  const goals = result.goals.map(
    ({ what, goal, measured, met }) =>
      `  ${verdict[`${met}`].padEnd(8)} ${what}: ${measured} (goal ${goal})`,
  );
  return [
    `\n${result.title}`,
    `  ${result.method}`,
    "",
    ...table
      .toString()
      .split("\n")
      .map((line) => `  ${line.trimEnd()}`),
    ...(goals.length === 0 ? [] : ["", ...goals]),
    ...result.notes.map((note) => `  note: ${note}`),
    "",
  ].join("\n");
}

/** Numbers as a row of bars, from the smallest to the largest. */
export function sparkline(numbers: readonly number[]): string {
  const least = Math.min(...numbers);
  const span = Math.max(...numbers) - least || 1;
  return numbers
    .map((number) => "▁▂▃▄▅▆▇█"[Math.min(7, Math.floor(((number - least) / span) * 8))] ?? "")
    .join("");
}
