import * as z from "zod";

import type { Signal } from "../../core/analysis/index.ts";
import type { Metric, PrometheusServer } from "../../core/policy/index.ts";
import { candidateOf, filledIn, stableOf, tellsArms, type ArmName } from "./placeholders.ts";
import { Poll } from "./poll.ts";
import { PrometheusClient, type Series } from "./prometheus-query.ts";
import {
  brokenSignal,
  NOTHING_NEW,
  signalOf,
  type Seen,
  type SignalSource,
  type Watched,
} from "./watched.ts";

type PrometheusMetric = Extract<Metric, { kind: "prometheus" }>;

/** The first answer may take so long before it is left to the next time, ms. */
const GRACE_MS = 250;
/** Series that are gone are remembered, so that one that comes back does not count anew. */
const MOST_REMEMBERED = 500;

const seriesSchema = z.record(z.string(), z.number());
const armSchema = z.object({ bad: seriesSchema, total: seriesSchema });
const sampleSchema = z.object({ at: z.number(), candidate: armSchema, stable: armSchema });
const cursorSchema = z.record(z.string(), sampleSchema);

/** The counters of both arms at one time. */
type Sample = z.infer<typeof sampleSchema>;
type ArmSample = z.infer<typeof armSchema>;

const NOTHING: ArmSample = { bad: {}, total: {} };

/** A name inside a PromQL string. */
function quoted(name: string): string {
  return name.replaceAll(/["\\\n`']/g, (character) => `\\${character}`);
}

/**
 * What counters rose by. One that fell was begun anew, from 0; one that was not there before too:
 * the same as Prometheus does, but for a counter's first value, which is known to be an increase.
 */
export function increase(before: Series, after: Series): number {
  return Object.entries(after).reduce((sum, [series, value]) => {
    const known = before[series] ?? 0;
    return sum + (value >= known ? value - known : value);
  }, 0);
}

function remembered(before: Series, after: Series): Series {
  const all = { ...before, ...after };
  return Object.keys(all).length > MOST_REMEMBERED ? after : all;
}

function observed(before: ArmSample, after: ArmSample): Signal["candidate"] {
  const observations = increase(before.total, after.total);
  // Scrapes of one target are one moment, those of several are not: never more bad than all.
  return { observations, bad: Math.min(observations, increase(before.bad, after.bad)) };
}

/**
 * Counters of a Prometheus server, by the differences between two looks. They are asked for in the
 * background: a server that hangs is broken after its timeout, and holds up nobody.
 */
export class PrometheusSource implements SignalSource {
  readonly name = "prometheus";
  readonly kinds: ReadonlySet<Metric["kind"]> = new Set(["prometheus"]);
  readonly #servers: Readonly<Record<string, PrometheusServer>>;
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #now: () => number;
  readonly #polls = new Map<string, Map<string, Poll<Sample>>>();

  constructor(parts: {
    readonly servers: Readonly<Record<string, PrometheusServer>>;
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly now: () => number;
  }) {
    this.#servers = parts.servers;
    this.#env = parts.env;
    this.#now = parts.now;
  }

  async collect(watched: Watched, cursor: unknown): Promise<Seen> {
    const read = cursorSchema.safeParse(cursor);
    const before: Record<string, Sample> = read.success ? read.data : {};
    const metrics = watched.metrics.filter((metric) => metric.kind === "prometheus");
    const seen = await Promise.all(
      metrics.map(async (metric) => this.#look(watched, metric, before[metric.name])),
    );
    const signals: Record<string, Signal> = {};
    const next: Record<string, Sample> = { ...before };
    for (const { name, signal, sample } of seen) {
      if (signal !== null) signals[name] = signal;
      if (sample !== null) next[name] = sample;
    }
    return { signals, cursor: next };
  }

  forget(rollout: string): void {
    for (const poll of this.#polls.get(rollout)?.values() ?? []) poll.stop();
    this.#polls.delete(rollout);
  }

  async #look(
    watched: Watched,
    metric: PrometheusMetric,
    before: Sample | undefined,
  ): Promise<{ name: string; signal: Signal | null; sample: Sample | null }> {
    const { name, source } = metric;
    const server = this.#servers[source];
    if (server === undefined) {
      const why = `server.yaml names no prometheus server "${source}"`;
      return { name, signal: brokenSignal(why), sample: null };
    }
    const answer = await this.#poll(watched, metric, server).first(GRACE_MS);
    if (answer === null) return { name, signal: null, sample: null };
    if (answer.value === null)
      return { name, signal: brokenSignal(`${source}: ${answer.error}`), sample: null };
    const sample = answer.value;
    if (before === undefined) return { name, signal: NOTHING_NEW, sample };
    if (sample.at <= before.at) return { name, signal: NOTHING_NEW, sample: null };
    const signal = signalOf(
      observed(before.candidate, sample.candidate),
      observed(before.stable, sample.stable),
    );
    return { name, signal, sample: { ...sample, ...merged(before, sample) } };
  }

  #poll(watched: Watched, metric: PrometheusMetric, server: PrometheusServer): Poll<Sample> {
    const polls = this.#polls.get(watched.rollout) ?? new Map<string, Poll<Sample>>();
    this.#polls.set(watched.rollout, polls);
    let poll = polls.get(metric.name);
    if (poll === undefined) {
      const client = new PrometheusClient(server, this.#env);
      poll = new Poll((signal) => sampleOf({ client, watched, metric, at: this.#now(), signal }), {
        pace: { everyMs: server.every, timeoutMs: server.timeout },
        now: this.#now,
      });
      polls.set(metric.name, poll);
    }
    return poll;
  }
}

function merged(before: Sample, sample: Sample): Pick<Sample, "candidate" | "stable"> {
  const arm = (which: "candidate" | "stable"): ArmSample => ({
    bad: remembered(before[which].bad, sample[which].bad),
    total: remembered(before[which].total, sample[which].total),
  });
  return { candidate: arm("candidate"), stable: arm("stable") };
}

interface Asked {
  readonly client: PrometheusClient;
  readonly watched: Watched;
  readonly metric: PrometheusMetric;
  readonly at: number;
  readonly signal: AbortSignal;
}

/** Both counters of both arms, as of one time. */
async function sampleOf(asked: Asked): Promise<Sample> {
  const { watched, metric, at } = asked;
  const candidate = candidateOf(watched);
  const stable = stableOf(watched);
  // Queries that do not tell the arms apart are about the endpoint: the candidate answers for it.
  const isApart = tellsArms(metric.bad) || tellsArms(metric.total);
  const [one, other] = await Promise.all([
    armSample(asked, candidate),
    stable === null || !isApart ? NOTHING : armSample(asked, stable),
  ]);
  return { at, candidate: one, stable: other };
}

async function armSample(asked: Asked, arm: ArmName): Promise<ArmSample> {
  const { client, metric, at, signal } = asked;
  const [bad, total] = await Promise.all([
    client.query(filledIn(metric.bad, arm, quoted), at, signal),
    client.query(filledIn(metric.total, arm, quoted), at, signal),
  ]);
  // A counter of bad events is often not there before the first one; one of all events is.
  if (Object.keys(total).length === 0)
    throw new Error(`the query for all events of ${arm.version} gives nothing`);
  return { bad, total };
}
