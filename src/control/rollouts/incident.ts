import { assessmentSchema } from "../../core/analysis/index.ts";
import type { Incident } from "../../core/api/index.ts";
import { formatDuration } from "../../core/time/index.ts";
import type { ChainEntry } from "../../storage/history/index.ts";
import type { StoredEvidence } from "../../storage/store/index.ts";
import { evidenceIn, IntervalReader } from "./evidence-record.ts";
import type { ToldRollback } from "./rollback-reader.ts";

const MOST_ERRORS = 20;

/** What gateways saw of the revision that was left. */
interface SeenOfIt {
  readonly requests: NonNullable<Incident["requests"]> | null;
  readonly errors: Incident["errors"];
  readonly firstBad: { readonly from: number; readonly to: number } | null;
  readonly records: number;
  readonly gaps: number;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Counts an error with those of the same words; the id is that of the request whose inputs are shown. */
function noteError(
  errors: Map<string, Mutable<Incident["errors"][number]>>,
  error: Incident["errors"][number],
): void {
  const known = errors.get(error.message);
  if (known === undefined) {
    errors.set(error.message, { ...error });
    return;
  }
  known.count += error.count;
  if (known.inputs !== null) return;
  if (error.inputs === null) known.requestId ??= error.requestId;
  else Object.assign(known, { requestId: error.requestId, inputs: error.inputs });
}

/** Sums what gateways saw of one revision, as far as it is stored. */
function seenOf(records: readonly StoredEvidence[], revision: number): SeenOfIt {
  const reader = new IntervalReader({ candidate: revision, stable: null });
  const errors = new Map<string, Mutable<Incident["errors"][number]>>();
  const sums = { assigned: 0, errors: 0, answeredByStable: 0, failedByBoth: 0 };
  let firstBad: SeenOfIt["firstBad"] = null;
  let gaps = 0;
  for (const record of records) {
    const interval = reader.next(record);
    const evidence = evidenceIn(record);
    if (interval === null || evidence === null) continue;
    const { candidate } = interval;
    gaps += interval.gaps;
    sums.assigned += candidate.requests;
    sums.errors += candidate.errors;
    sums.answeredByStable += candidate.fallback;
    sums.failedByBoth += candidate.fallbackFailed;
    const bad = candidate.errors > 0 || interval.pairs.onlyCandidateBad > 0;
    if (bad && (firstBad === null || interval.from < firstBad.from))
      firstBad = { from: interval.from, to: interval.to };
    for (const { revision: of, ...error } of evidence.errors)
      if (of === revision) noteError(errors, error);
  }
  return {
    requests:
      records.length === 0
        ? null
        : { ...sums, seenByCallers: Math.max(0, sums.errors - sums.answeredByStable) },
    errors: [...errors.values()].toSorted((a, b) => b.count - a.count).slice(0, MOST_ERRORS),
    firstBad,
    records: records.length,
    gaps,
  };
}

function versionIn(value: unknown): string | null {
  const named = typeof value === "object" && value !== null && "version" in value ? value : null;
  return typeof named?.version === "string" ? named.version : null;
}

/** Parts of the sentences of a timeline. */
interface Parts {
  readonly to: string;
  readonly actor: string;
  /** `: why`, or nothing. */
  readonly because: string;
  /** ` (switched in 4 ms)`, or nothing. */
  readonly took: string;
  readonly data: ChainEntry["data"];
}

/** By kind of entry, what it says in the timeline of an incident; null: nothing. */
const SENTENCES: Readonly<Record<string, (parts: Parts) => string | null>> = {
  "rollout.started": ({ actor, to, because }) => `${actor} deployed ${to}${because}`,
  "rollout.weight.changed": ({ to, data, took }) =>
    `${to} carries ${String(data["weight"])} % of the traffic${took}`,
  "rollout.baking": ({ to, took }) => `${to} carries all traffic, the bake begins${took}`,
  "rollout.promoted": ({ to, because }) => `${to} is to take all traffic${because}`,
  "rollout.held": ({ because }) => `held${because}`,
  "rollout.released": ({ because }) => `goes on${because}`,
  "rollout.undecided": ({ because }) => `undecided${because}`,
  "rollout.paused": ({ actor, because }) => `paused by ${actor}${because}`,
  "rollout.resumed": ({ actor }) => `resumed by ${actor}`,
  "endpoint.pinned": ({ actor, because }) => `pinned by ${actor}${because}`,
  "endpoint.unpinned": ({ actor }) => `the pin was ended by ${actor}`,
  "rollback.started": ({ to, because, data }) =>
    data["kind"] === "reinstate" ? null : `decided to go back to ${to}${because}`,
  "rollback.completed": ({ to, because, took, data }) =>
    data["via"] === "gateway"
      ? `the gateway went back to ${to} by itself, verified${because}${took}`
      : `verified: ${to} answers through the serving port${took}`,
  "rollback.failed": () => "every target failed its verification: it stays where it was",
  "rollback.reinstated": ({ actor, because }) => `taken back by ${actor}${because}`,
};

function wordsOf({ kind, data, reason, actor }: ChainEntry): string | null {
  const { switchMs } = data;
  const parts = {
    to: versionIn(data["to"]) ?? "the candidate",
    actor,
    because: reason === null ? "" : `: ${reason}`,
    took: typeof switchMs === "number" ? ` (switched in ${formatDuration(switchMs)})` : "",
    data,
  };
  return Object.hasOwn(SENTENCES, kind) ? (SENTENCES[kind]?.(parts) ?? null) : null;
}

function timelineOf(told: ToldRollback, { firstBad }: SeenOfIt): Incident["timeline"] {
  const { from } = told.summary;
  const events = told.entries.flatMap((entry) => {
    const what = wordsOf(entry);
    const { at } = entry.data;
    const when = entry.data["via"] === "gateway" && typeof at === "number" ? at : entry.at;
    return what === null ? [] : [{ at: when, what }];
  });
  if (firstBad !== null)
    events.push({
      at: firstBad.from,
      what: `the first request that ${from.version} failed came in the ${formatDuration(firstBad.to - firstBad.from)} after this`,
    });
  return events.toSorted((a, b) => a.at - b.at);
}

/** What an incident is made of, beside the history of the rollback itself. */
export interface IncidentFacts {
  readonly model: string;
  readonly told: ToldRollback;
  /** Stored about the rollout that it ended, or about the revision at rest. */
  readonly records: readonly StoredEvidence[];
  /** Under which name. */
  readonly watch: string;
  readonly logLines: readonly string[];
  /** Nothing came later: it can be taken back. */
  readonly isLast: boolean;
}

function nextOf({ told, model, isLast, records }: IncidentFacts): string[] {
  const { id, from, to, endpoint, state } = told.summary;
  const short = id.slice(0, 8);
  const next: string[] = [];
  if (to !== null && to.version !== from.version)
    next.push(`lastgood diff ${model}@${to.version} ${model}@${from.version}`);
  if (told.recorded !== null && records.length > 0) next.push(`lastgood explain ${short}`);
  if (state === "done" && isLast) next.push(`lastgood reinstate ${endpoint} --reason "…"`);
  if (state === "failed") next.push("lastgood doctor");
  return next;
}

/** Everything that is known of a rollback, from what is stored. Pure. */
export function assembleIncident(facts: IncidentFacts): Incident {
  const { told, records, logLines } = facts;
  const { summary, strategy, blamed, arrival } = told;
  const seen = seenOf(records, summary.from.revision ?? 0);
  const assessment = assessmentSchema.safeParse(told.recorded?.evidence["assessment"]);
  const decided = summary.at;
  return {
    ...summary,
    strategy,
    blamed: [...blamed],
    assessment: assessment.success ? assessment.data : null,
    errors: seen.errors,
    logLines: [...logLines],
    requests: seen.requests,
    timeline: timelineOf(told, seen),
    detectionMs: seen.firstBad === null ? null : Math.max(0, decided - seen.firstBad.from),
    returnMs: arrival === null ? null : Math.max(0, arrival.at - decided),
    via: arrival?.via ?? "api",
    switchMs: arrival?.switchMs ?? null,
    verified: arrival?.verified ?? null,
    failedRequests: arrival?.failedRequests ?? null,
    evidence:
      records.length === 0 ? null : { id: facts.watch, records: seen.records, gaps: seen.gaps },
    next: nextOf(facts),
  };
}
