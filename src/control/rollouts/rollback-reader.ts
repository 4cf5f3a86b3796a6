import * as z from "zod";

import { servedSchema, type IncidentSummary, type Served } from "../../core/api/index.ts";
import { STRATEGIES, TRIGGERS, type Strategy } from "../../core/endpoint/index.ts";
import { endpointNameSchema } from "../../core/version/index.ts";
import type { ChainEntry } from "../../storage/history/index.ts";

/** A rollout as the history tells of it. */
interface Told {
  readonly id: string;
  readonly strategy: Strategy | null;
  readonly candidate: number | null;
  /** Of its first entry, among all entries. */
  readonly since: number;
  restarts: number;
  isOver: boolean;
}

/** How a way back was done. */
export interface Arrival {
  readonly at: number;
  readonly via: "api" | "gateway";
  readonly switchMs: number | null;
  readonly verified: boolean | null;
  readonly failedRequests: number | null;
}

/** What was decided by, as it was stored. */
export interface Recorded {
  /** Of the history entry. */
  readonly sequence: number;
  readonly at: number;
  /** Of the evidence. */
  readonly watch: string;
  readonly evidence: Readonly<Record<string, unknown>>;
}

/** A rollback as the history tells of it. */
export interface ToldRollback {
  readonly summary: IncidentSummary;
  readonly strategy: Strategy | null;
  readonly blamed: readonly string[];
  /** Name of the evidence of the rollout that it ended, or null. */
  readonly watch: string | null;
  readonly recorded: Recorded | null;
  readonly arrival: Arrival | null;
  /** What was left wrote these last; null: nothing was recorded with it. */
  readonly logLines: readonly string[] | null;
  /** Everything from the rollout's start to the end of the rollback, and its reinstatement. */
  readonly entries: readonly ChainEntry[];
}

const started = z.object({
  rollback: z.string(),
  kind: z.enum(["rollback", "revert"]),
  trigger: z.enum(TRIGGERS),
  from: servedSchema,
  to: servedSchema.nullable(),
  blamed: z.array(z.string()).default([]),
  evidence: z.record(z.string(), z.unknown()).nullable().default(null),
});

const logLines = z.array(z.string()).nullable().default(null);

const completed = z.object({
  rollback: z.string(),
  trigger: z.enum(TRIGGERS),
  via: z.enum(["api", "gateway"]).default("api"),
  at: z.number().optional(),
  from: servedSchema,
  to: servedSchema.nullable(),
  switchMs: z.number().nullable().default(null),
  verified: z.boolean().nullable().default(null),
  failedRequests: z.number().nullable().default(null),
  logLines,
});

const aboutRollback = z.object({ rollback: z.string(), logLines });
const begun = z.object({
  rollout: z.string(),
  strategy: z.enum(STRATEGIES).nullable().default(null),
  to: z.object({ revision: z.number() }).nullable().default(null),
});

/** Kinds of entries that end a rollout without a rollback. */
const ENDS: readonly string[] = ["rollout.succeeded", "rollout.aborted", "rollout.rejected"];

interface Open {
  summary: IncidentSummary;
  readonly rollout: Told | null;
  readonly blamed: readonly string[];
  readonly watch: string | null;
  readonly recorded: Recorded | null;
  readonly since: number;
  arrival: Arrival | null;
  logLines: readonly string[] | null;
  until: number;
}

/** Reads the rollbacks of one endpoint out of its history, entry by entry. */
class RollbackReader {
  readonly #entries: readonly ChainEntry[];
  readonly #found = new Map<string, Open>();
  #rollout: Told | null = null;

  constructor(entries: readonly ChainEntry[]) {
    this.#entries = entries;
    entries.forEach((entry, at) => this.#read(entry, at));
  }

  /** The newest first. */
  rollbacks(): readonly ToldRollback[] {
    return [...this.#found.values()].toReversed().map((open) => ({
      summary: open.summary,
      strategy: open.rollout?.strategy ?? null,
      blamed: open.blamed,
      watch: open.watch,
      recorded: open.recorded,
      arrival: open.arrival,
      logLines: open.logLines,
      entries: this.#entries.slice(open.since, open.until + 1),
    }));
  }

  #read(entry: ChainEntry, at: number): void {
    switch (entry.kind) {
      case "rollout.started":
        this.#begin(entry, at);
        break;
      case "rollback.started":
        this.#start(entry, at);
        break;
      case "rollback.completed":
        this.#complete(entry, at);
        break;
      case "rollback.failed":
        this.#change(entry, at, "failed");
        break;
      case "rollback.reinstated":
        this.#change(entry, at, "reinstated");
        break;
      default:
        if (ENDS.includes(entry.kind) && this.#rollout !== null) this.#rollout.isOver = true;
    }
  }

  #begin({ data }: ChainEntry, since: number): void {
    const told = begun.safeParse(data);
    if (!told.success) return;
    const { rollout: id, strategy, to } = told.data;
    const candidate = to?.revision ?? null;
    this.#rollout = { id, strategy, candidate, since, restarts: 0, isOver: false };
  }

  /** The rollout under way that the revision is the candidate of. */
  #ended(from: Served): Told | null {
    const rollout = this.#rollout;
    if (rollout === null || rollout.isOver || rollout.candidate !== from.revision) return null;
    return rollout;
  }

  #start(entry: ChainEntry, at: number): void {
    const told = started.safeParse(entry.data);
    if (!told.success) return;
    const { rollback: id, trigger, from, to, blamed, evidence } = told.data;
    this.#open(entry, at, { id, trigger, from, to, blamed, evidence, when: entry.at });
  }

  #complete(entry: ChainEntry, at: number): void {
    const told = completed.safeParse(entry.data);
    if (!told.success) return;
    const { rollback: id, trigger, from, to, via, switchMs, verified, failedRequests } = told.data;
    const when = told.data.at ?? entry.at;
    // What a gateway did alone is told once, when it is done.
    if (!this.#found.has(id) && via === "gateway")
      this.#open(entry, at, { id, trigger, from, to, blamed: [], evidence: null, when });
    const open = this.#found.get(id);
    if (open === undefined) return;
    open.logLines = told.data.logLines;
    const done = via === "gateway" ? when : entry.at;
    open.arrival = { at: done, via, switchMs, verified, failedRequests };
    open.summary = { ...open.summary, to, state: "done" };
    open.until = at;
    if (this.#rollout !== null) this.#rollout.isOver = true;
  }

  #open(
    entry: ChainEntry,
    at: number,
    told: {
      readonly id: string;
      readonly trigger: IncidentSummary["trigger"];
      readonly from: Served;
      readonly to: Served | null;
      readonly blamed: readonly string[];
      readonly evidence: Readonly<Record<string, unknown>> | null;
      readonly when: number;
    },
  ): void {
    const { id, trigger, from, to, blamed, evidence, when } = told;
    const rollout = this.#ended(from);
    const own = rollout === null ? null : watchName(rollout);
    const named = typeof evidence?.["id"] === "string" ? evidence["id"] : null;
    this.#found.set(id, {
      summary: {
        id,
        rollout: rollout?.id ?? null,
        endpoint: endpointNameSchema.parse(entry.endpoint),
        state: "underWay",
        trigger,
        from,
        to,
        actor: entry.actor,
        reason: entry.reason,
        at: when,
      },
      rollout,
      blamed,
      watch: named ?? own,
      recorded:
        evidence === null || named === null
          ? null
          : { sequence: entry.sequence, at: entry.at, watch: named, evidence },
      since: rollout?.since ?? at,
      arrival: null,
      logLines: null,
      until: at,
    });
  }

  #change({ data }: ChainEntry, at: number, state: "failed" | "reinstated"): void {
    const told = aboutRollback.safeParse(data);
    const open = told.success ? this.#found.get(told.data.rollback) : undefined;
    if (open === undefined) return;
    open.summary = { ...open.summary, state, ...(state === "failed" ? { to: null } : {}) };
    open.logLines ??= told.data?.logLines ?? null;
    open.until = at;
    const { rollout } = open;
    if (state === "failed" && this.#rollout !== null) this.#rollout.isOver = true;
    if (state === "failed" || rollout === null || rollout !== this.#rollout) return;
    // Its evidence begins anew.
    rollout.restarts += 1;
    rollout.isOver = false;
  }
}

function watchName({ id, restarts }: Told): string {
  return restarts === 0 ? id : `${id}.${restarts}`;
}

/** Every rollback that a history tells of, the newest first; aborts are none. */
export function rollbacksIn(entries: readonly ChainEntry[]): readonly ToldRollback[] {
  return new RollbackReader(entries).rollbacks();
}
