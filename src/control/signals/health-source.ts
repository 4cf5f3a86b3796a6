import { randomUUID } from "node:crypto";

import * as z from "zod";

import type { Signal } from "../../core/analysis/index.ts";
import type { HealthCheck, Metric } from "../../core/policy/index.ts";
import { checkCommand } from "./command-check.ts";
import { checkGrpc } from "./grpc-health.ts";
import { candidateOf, filledIn, stableOf, tellsArms, type ArmName } from "./placeholders.ts";
import { Poll } from "./poll.ts";
import { redacted } from "./redact.ts";
import { brokenSignal, signalOf, type Seen, type SignalSource, type Watched } from "./watched.ts";

type HealthMetric = Extract<Metric, { kind: "health" }>;

/** How a check of a candidate stands. */
export interface HealthState {
  /** Name of the metric. */
  readonly metric: string;
  /** Name in server.yaml. */
  readonly source: string;
  /** Failures since the last time it was healthy. */
  readonly consecutiveFailures: number;
  /** So many in a row act. */
  readonly failures: number;
  /** Why the last check failed, or null. */
  readonly why: string | null;
  /** ms since 1970 of the last check; null before the first. */
  readonly at: number | null;
}

const LONGEST_WHY = 300;

const tallySchema = z.object({ ran: z.number(), bad: z.number() });
const placeSchema = tallySchema.extend({
  life: z.string(),
  stable: tallySchema.optional(),
  healthy: z.boolean().default(false),
});
const cursorSchema = z.record(z.string(), placeSchema);
/** Up to where the checks of a metric were counted. */
type Place = z.infer<typeof placeSchema>;

/** Checks of one revision. Counts of one process's life begin at 0. */
interface Row {
  readonly poll: Poll<void>;
  ran: number;
  bad: number;
  consecutiveFailures: number;
  why: string | null;
  /** Why the last one that failed did. */
  lastWhy: string | null;
  at: number | null;
}

interface Running {
  readonly candidate: Row;
  /** Only where a check says which revision it is about. */
  readonly stable: Row | null;
  /** Whether failures say something of the candidate: always where checks tell the revisions apart. */
  means: boolean;
}

/** Runs one check. @throws why it failed. */
async function check(health: HealthCheck, arm: ArmName, signal: AbortSignal): Promise<void> {
  const { grpc, tls, ca } = health;
  if (grpc !== null) return checkGrpc(grpc, tls || ca !== null ? { ca } : null, signal);
  if (health.command !== null) return checkCommand(health.command, arm, signal);
  const url = filledIn(health.http ?? "", arm, encodeURIComponent);
  const response = await fetch(url, { redirect: "manual", signal });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`it answers HTTP ${response.status}`);
}

/**
 * Whether it is asked of each revision. A command is told which one it is about, but most check
 * something that all share.
 */
function tellsRevisions({ http }: HealthCheck): boolean {
  return http !== null && tellsArms(http);
}

/**
 * Checks of the candidate, and of stable where they tell the two apart, run in the background as often
 * as server.yaml says. What was run counts once; a restart loses what was not confirmed, and begins
 * the row of failures anew. What tells nobody apart counts from when it was healthy once: a service
 * that was down before is no fault of the candidate.
 */
export class HealthSource implements SignalSource {
  readonly name = "health";
  readonly kinds: ReadonlySet<Metric["kind"]> = new Set(["health"]);
  readonly #checks: Readonly<Record<string, HealthCheck>>;
  readonly #now: () => number;
  readonly #life = randomUUID();
  readonly #running = new Map<string, Map<string, Running>>();

  constructor(checks: Readonly<Record<string, HealthCheck>>, now: () => number) {
    this.#checks = checks;
    this.#now = now;
  }

  collect(watched: Watched, cursor: unknown): Promise<Seen> {
    const read = cursorSchema.safeParse(cursor);
    const given = read.success ? read.data : {};
    const signals: Record<string, Signal> = {};
    const next = { ...given };
    for (const metric of healthMetrics(watched)) {
      const running = this.#run(watched, metric);
      if (running === null) {
        signals[metric.name] = brokenSignal(`server.yaml names no health check "${metric.source}"`);
        continue;
      }
      const before = given[metric.name];
      const from = before?.life === this.#life ? before : undefined;
      running.means ||= before?.healthy ?? false;
      // Before its first check nobody knows how it is.
      if (running.candidate.at !== null)
        signals[metric.name] = signalSince(running, from, metric.source);
      next[metric.name] = this.#place(running);
    }
    return Promise.resolve({ signals, cursor: next });
  }

  #place({ candidate, stable, means }: Running): Place {
    return {
      life: this.#life,
      ran: candidate.ran,
      bad: candidate.bad,
      stable: { ran: stable?.ran ?? 0, bad: stable?.bad ?? 0 },
      healthy: means,
    };
  }

  /** How the checks of a watched candidate stand now; begins those that do not run yet. */
  states(watched: Watched): readonly HealthState[] {
    return healthMetrics(watched).flatMap((metric) => {
      const running = this.#run(watched, metric);
      if (running === null) return [];
      const { consecutiveFailures, why, at } = running.candidate;
      const { name, source, failures } = metric;
      return [{ metric: name, source, consecutiveFailures, failures, why, at }];
    });
  }

  forget(rollout: string): void {
    for (const { candidate, stable } of this.#running.get(rollout)?.values() ?? []) {
      candidate.poll.stop();
      stable?.poll.stop();
    }
    this.#running.delete(rollout);
  }

  #run(watched: Watched, metric: HealthMetric): Running | null {
    const health = this.#checks[metric.source];
    if (health === undefined) return null;
    const known = this.#running.get(watched.rollout) ?? new Map<string, Running>();
    this.#running.set(watched.rollout, known);
    const before = known.get(metric.name);
    if (before !== undefined) return before;
    const tells = tellsRevisions(health);
    const stable = tells ? stableOf(watched) : null;
    const running: Running = {
      candidate: this.#row(health, candidateOf(watched), (isBad) => {
        running.means ||= !isBad;
        return running.means;
      }),
      stable: stable === null ? null : this.#row(health, stable, () => true),
      means: tells,
    };
    known.set(metric.name, running);
    return running;
  }

  /** `counts`: whether a check that ended so is an observation. */
  #row(health: HealthCheck, arm: ArmName, counts: (isBad: boolean) => boolean): Row {
    const row: Row = {
      poll: new Poll((signal) => check(health, arm, signal), {
        pace: { everyMs: health.every, timeoutMs: health.timeout },
        now: this.#now,
        onAnswer: ({ at, error }) => {
          const isBad = error !== null;
          if (counts(isBad)) {
            row.ran += 1;
            row.bad += isBad ? 1 : 0;
          }
          row.consecutiveFailures = isBad ? row.consecutiveFailures + 1 : 0;
          // It may quote a program's own words.
          row.why = error === null ? null : redacted(error).slice(0, LONGEST_WHY);
          row.lastWhy = row.why ?? row.lastWhy;
          row.at = at;
        },
      }),
      ran: 0,
      bad: 0,
      consecutiveFailures: 0,
      why: null,
      lastWhy: null,
      at: null,
    };
    return row;
  }
}

/** What a row has that was not given yet. */
function since(
  row: Pick<Row, "ran" | "bad"> | null,
  from: { readonly ran: number; readonly bad: number } = { ran: 0, bad: 0 },
): Signal["candidate"] {
  return row === null
    ? { observations: 0, bad: 0 }
    : { observations: row.ran - from.ran, bad: row.bad - from.bad };
}

/** Why the last of them that failed did. */
function whyOf(row: Row | null, { bad }: Signal["candidate"]): string | null {
  return bad > 0 ? (row?.lastWhy ?? null) : null;
}

/** What the checks found since then; a check that failed before it ever succeeded accuses nobody. */
function signalSince(
  { candidate, stable, means }: Running,
  from: Place | undefined,
  source: string,
): Signal {
  if (!means && candidate.why !== null)
    return brokenSignal(`${source} failed before it was healthy once: ${candidate.why}`);
  const seen = signalOf(since(candidate, from), since(stable, from?.stable));
  if (seen.candidate.bad + seen.stable.bad === 0) return seen;
  return {
    ...seen,
    failure: { candidate: whyOf(candidate, seen.candidate), stable: whyOf(stable, seen.stable) },
  };
}

function healthMetrics({ metrics }: Watched): readonly HealthMetric[] {
  return metrics.filter((metric) => metric.kind === "health");
}
