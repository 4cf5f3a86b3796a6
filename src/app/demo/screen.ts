import type { Sight } from "./callers.ts";

/** The few ways of writing that the demo needs of a terminal. */
export interface DemoTerminal {
  readonly isTerminal: boolean;
  readonly columns: number;
  style(format: "bold" | "dim" | "red" | "green" | "yellow" | "cyan", text: string): string;
  print(...lines: readonly string[]): void;
  raw(text: string): void;
}

const BAR_CELLS = 20;

function percent(part: number, whole: number): string {
  return whole === 0 ? "-" : `${Math.round((part / whole) * 100)} %`;
}

/** Who answered, most first: `v2.0 98 %, v1.1 2 %`. */
function whoAnswers(sight: Sight): string {
  const answered = [...sight.versions.values()].reduce((sum, count) => sum + count, 0);
  return [...sight.versions]
    .toSorted(([, a], [, b]) => b - a)
    .map(([version, count]) => `${version} ${percent(count, answered)}`)
    .join(", ");
}

/** One line of what callers see: time, accuracy as a bar and a number, rate, errors, who answers. */
export function sightLine(
  terminal: DemoTerminal,
  atMs: number,
  sight: Sight,
  spanMs: number,
): string {
  const share = sight.requests === 0 ? 0 : sight.correct / sight.requests;
  const colour = share >= 0.8 ? "green" : share >= 0.6 ? "yellow" : "red";
  const full = Math.round(share * BAR_CELLS);
  const bar = `${"█".repeat(full)}${"░".repeat(BAR_CELLS - full)}`;
  const rate = Math.round((sight.requests / spanMs) * 1_000);
  const errors = `errors ${percent(sight.errors, sight.requests)}`;
  return [
    `  ${`${(atMs / 1_000).toFixed(0)} s`.padStart(5)}`,
    terminal.style(colour, bar),
    `right ${percent(sight.correct, sight.requests).padStart(5)}`,
    `${String(rate).padStart(4)} req/s`,
    sight.errors === 0 ? terminal.style("dim", errors) : terminal.style("red", errors),
    `by ${whoAnswers(sight)}`,
  ].join("  ");
}

/** A line that is redrawn in place on a terminal, and printed once elsewhere. */
export class LiveLine {
  readonly #terminal: DemoTerminal;

  constructor(terminal: DemoTerminal) {
    this.#terminal = terminal;
  }

  /** Shows the line for now; nothing without a terminal. */
  show(line: string): void {
    if (this.#terminal.isTerminal) this.#terminal.raw(`\r\u001b[2K${line}`);
  }

  /** Leaves the line where it is and goes on below it. */
  keep(line: string): void {
    this.#terminal.raw(this.#terminal.isTerminal ? `\r\u001b[2K${line}\n` : `${line}\n`);
  }
}
