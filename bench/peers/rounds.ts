import { Load, type Window } from "../load/load.ts";
import { median, rounded, sleep } from "../measure.ts";
import type { Effort, Goal } from "../report.ts";
import { cpuSince, residentMb, treeOf } from "./process-tree.ts";
import { firstAnswer, type Subject } from "./subject.ts";

/**
 * How long each is loaded before it is looked at, ms: compilers take their time, however fast it answers.
 * After 10 s they still had 3 % of ours, for what runs once per frame.
 */
const WARM_MS = { quick: 5_000, normal: 20_000, full: 30_000 } as const;
const WINDOW_MS = { quick: 1_500, normal: 3_000, full: 6_000 } as const;
const ROUNDS = { quick: 2, normal: 3, full: 7 } as const;
/** The connections of a load. */
const CONNECTIONS = { one: 1, many: 32 } as const;

/** What was seen of a subject in one round. */
export interface Round {
  /** From its start to its first answer, ms. */
  readonly firstAnswerMs: number;
  readonly one: Window;
  readonly many: Window;
  /** Of all its processes, after the load, MB. */
  readonly rssMb: number;
}

/** A subject with its rounds. */
export interface Measured {
  readonly name: string;
  readonly rounds: readonly Round[];
}

interface LoadShape {
  readonly url: string;
  readonly bodies: readonly string[];
  readonly connections: number;
}

async function window(load: LoadShape, roots: readonly number[], ms: number): Promise<Window> {
  const running = new Load(load);
  await sleep(ms / 4);
  const used = cpuSince(treeOf(roots));
  const answered = running.answered;
  const seen = await running.watch([], ms);
  const cpuUs = (used() * 1_000) / (running.answered - answered);
  const failures = await running.stop();
  if (failures.length > 0) throw new Error(JSON.stringify(failures[0]));
  return { ...seen, cpuUs };
}

async function warmUp(load: LoadShape, ms: number): Promise<void> {
  const running = new Load(load);
  await sleep(ms);
  await running.stop();
}

async function measureRound(subject: Subject, effort: Effort): Promise<Round> {
  const startedAt = performance.now();
  const running = await subject.start();
  try {
    const firstAnswerMs = await firstAnswer(subject, running, startedAt);
    const { url, roots } = running;
    const { bodies } = subject;
    const many = { url, bodies, connections: CONNECTIONS.many };
    await warmUp(many, WARM_MS[effort]);
    const ms = WINDOW_MS[effort];
    return {
      firstAnswerMs,
      many: await window(many, roots, ms),
      one: await window({ ...many, connections: CONNECTIONS.one }, roots, ms),
      rssMb: residentMb(treeOf(roots)),
    };
  } finally {
    await running.stop();
  }
}

/** What was measured, and what did not come to it with why. */
export interface Rounds {
  readonly measured: readonly Measured[];
  readonly missing: readonly { readonly name: string; readonly missing: string }[];
}

/**
 * Measures the subjects in turn, again and again: each is started, asked until it answers, warmed,
 * loaded and ended, so that nothing else of them runs meanwhile. One that fails is left out with why.
 */
export async function measureRounds(
  subjects: readonly Subject[],
  { effort, say }: { readonly effort: Effort; readonly say: (text: string) => void },
): Promise<Rounds> {
  const found = new Map<string, Round[]>(subjects.map(({ name }) => [name, []]));
  const missing: { name: string; missing: string }[] = [];
  for (let count = 1; count <= ROUNDS[effort]; count += 1) {
    for (const subject of subjects) {
      if (!found.has(subject.name)) continue;
      say(`${subject.name}, round ${count} of ${ROUNDS[effort]}`);
      try {
        found.get(subject.name)?.push(await measureRound(subject, effort));
      } catch (error) {
        found.delete(subject.name);
        missing.push({ name: subject.name, missing: lastLine(error) });
      }
    }
  }
  for (const subject of subjects) await subject.remove?.();
  return { measured: [...found].map(([name, rounds]) => ({ name, rounds })), missing };
}

/** The last line of what an error says. */
export function lastLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split("\n").at(-1) ?? "";
}

/** The median over the rounds. */
function middle({ rounds }: Measured, of: (round: Round) => number): number {
  return median(rounds.map(of));
}

/** How a number of two subjects compares: the median of the ratios within each round; NaN without one. */
export function ratioOf(
  one: Measured | undefined,
  other: Measured | undefined,
  of: (round: Round) => number,
): number {
  if (one === undefined || other === undefined) return NaN;
  return median(
    one.rounds.map((round, at) => {
      const beside = other.rounds[at];
      return beside === undefined ? NaN : of(round) / of(beside);
    }),
  );
}

/** A goal for a ratio; not measured where a side is missing. */
export function ratioGoal(what: string, ratio: number, least: number): Goal {
  const isMissing = Number.isNaN(ratio);
  return {
    what,
    goal: `≥ ${least} ×`,
    measured: isMissing ? "one of them is missing" : `${rounded(ratio, 2)} ×`,
    met: isMissing ? null : ratio >= least,
  };
}

/** A ratio that no goal was set for. */
export function ratioShown(what: string, ratio: number): Goal {
  return { ...ratioGoal(what, ratio, 0), met: null };
}

export const COLUMNS = [
  "",
  "CPU µs/request",
  "requests/s",
  "p50 ms",
  "p99 ms",
  "p50 ms, 1 connection",
  "p99 ms, 1 connection",
  "RSS MB",
  "first answer s",
] as const;

/** A subject as a row under `COLUMNS`. */
export function rowOf(subject: Measured): (string | number)[] {
  const of = (digits: number, value: (round: Round) => number): number =>
    rounded(middle(subject, value), digits);
  return [
    subject.name,
    of(1, ({ many }) => many.cpuUs),
    of(0, ({ many }) => many.requestsPerS),
    of(2, ({ many }) => many.p50Ms),
    of(2, ({ many }) => many.p99Ms),
    of(2, ({ one }) => one.p50Ms),
    of(2, ({ one }) => one.p99Ms),
    of(0, ({ rssMb }) => rssMb),
    of(2, ({ firstAnswerMs }) => firstAnswerMs / 1_000),
  ];
}
