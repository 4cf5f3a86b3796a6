import { randomUUID } from "node:crypto";

import * as z from "zod";

import type { Signal } from "../../core/analysis/index.ts";
import type { HealthCheck, Metric } from "../../core/policy/index.ts";
import { checkCommand } from "./command-check.ts";
import { checkGrpc } from "./grpc-health.ts";
import { candidateOf, filledIn, type ArmName } from "./placeholders.ts";
import { Poll } from "./poll.ts";
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

const cursorSchema = z.record(
  z.string(),
  z.object({ life: z.string(), ran: z.number(), bad: z.number() }),
);

interface Running {
  readonly poll: Poll<void>;
  /** Counts of one process's life begin at 0. */
  ran: number;
  bad: number;
  consecutiveFailures: number;
  why: string | null;
  at: number | null;
}

/** Runs one check. @throws why it failed. */
async function check(health: HealthCheck, arm: ArmName, signal: AbortSignal): Promise<void> {
  const { grpc, tls, ca } = health;
  if (grpc !== null) return checkGrpc(grpc, tls || ca !== null ? { ca } : null, signal);
  if (health.command !== null) return checkCommand(health.command, arm, signal);
  const url = filledIn(health.http ?? "", arm, encodeURIComponent);
  const response = await fetch(url, { redirect: "manual", signal });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`it answers ${response.status}`);
}

/**
 * Checks of the candidate, run in the background as often as server.yaml says. What was run counts
 * once; a restart loses what was not confirmed, and begins the row of failures anew.
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
      const { ran, bad } = running;
      const from = before?.life === this.#life ? before : { ran: 0, bad: 0 };
      signals[metric.name] = signalOf({ observations: ran - from.ran, bad: bad - from.bad });
      next[metric.name] = { life: this.#life, ran, bad };
    }
    return Promise.resolve({ signals, cursor: next });
  }

  /** How the checks of a watched candidate stand now; begins those that do not run yet. */
  states(watched: Watched): readonly HealthState[] {
    return healthMetrics(watched).flatMap((metric) => {
      const running = this.#run(watched, metric);
      if (running === null) return [];
      const { consecutiveFailures, why, at } = running;
      const { name, source, failures } = metric;
      return [{ metric: name, source, consecutiveFailures, failures, why, at }];
    });
  }

  forget(rollout: string): void {
    for (const { poll } of this.#running.get(rollout)?.values() ?? []) poll.stop();
    this.#running.delete(rollout);
  }

  #run(watched: Watched, metric: HealthMetric): Running | null {
    const health = this.#checks[metric.source];
    if (health === undefined) return null;
    const known = this.#running.get(watched.rollout) ?? new Map<string, Running>();
    this.#running.set(watched.rollout, known);
    const before = known.get(metric.name);
    if (before !== undefined) return before;
    const arm = candidateOf(watched);
    const running: Running = {
      poll: new Poll((signal) => check(health, arm, signal), {
        pace: { everyMs: health.every, timeoutMs: health.timeout },
        now: this.#now,
        onAnswer: ({ at, error }) => {
          const isBad = error !== null;
          running.ran += 1;
          running.bad += isBad ? 1 : 0;
          running.consecutiveFailures = isBad ? running.consecutiveFailures + 1 : 0;
          running.why = error;
          running.at = at;
        },
      }),
      ran: 0,
      bad: 0,
      consecutiveFailures: 0,
      why: null,
      at: null,
    };
    known.set(metric.name, running);
    return running;
  }
}

function healthMetrics({ metrics }: Watched): readonly HealthMetric[] {
  return metrics.filter((metric) => metric.kind === "health");
}
