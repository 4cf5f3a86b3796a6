import * as z from "zod";

import { trafficOf } from "../../core/analysis/index.ts";
import {
  assessmentContextSchema,
  type EndpointTraffic,
  type EvidencePage,
} from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { defaultPolicy } from "../../core/policy/index.ts";
import { evidenceIdOf, rolloutOf, type Rollout } from "../../core/rollout/index.ts";
import type { ChainEntry } from "../../storage/history/index.ts";
import { readBaseline } from "./baseline.ts";
import { endedEvidence, type DecidedBy, type EndedEvidence } from "./ended-evidence.ts";
import type { Endpoints, RunningEndpoint } from "./endpoints.ts";
import { IntervalReader, planIn, readerStateSchema } from "./evidence-record.ts";
import { meantBy, wholeHistory } from "./incident-service.ts";
import { rollbacksIn, type Recorded } from "./rollback-reader.ts";
import { servedView } from "./view.ts";

/** A plan may follow what gateways told first. */
const PLAN_WITHIN = 100;
const PAGE = 1_000;

/** A watch whose evidence may be stored. */
interface Watch {
  readonly running: RunningEndpoint;
  readonly id: string;
  readonly rollout: string;
  readonly rollback: string | null;
  readonly candidate: number;
  readonly stable: number | null;
  readonly recorded: Recorded | null;
}

/** Where a page begins: after which record, with what was known then. */
const cursorSchema = z.object({
  position: z.number().int().positive(),
  reader: readerStateSchema,
  /** Of which watch; absent in cursors of older releases. */
  watch: z.string().optional(),
});

function readCursor(cursor: string | null): z.infer<typeof cursorSchema> | null {
  if (cursor === null) return null;
  try {
    return cursorSchema.parse(JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")));
  } catch (cause) {
    throw new LastgoodError("input.invalid", "the cursor was not understood", {
      hint: "give the `next` of the page before, as it is",
      cause,
    });
  }
}

const writeCursor = (cursor: z.infer<typeof cursorSchema>): string =>
  Buffer.from(JSON.stringify(cursor)).toString("base64url");

function ofRollout(running: RunningEndpoint, rollout: Rollout): Watch {
  const { candidate, from: stable } = rollout;
  const id = evidenceIdOf(rollout);
  return {
    running,
    id,
    rollout: rollout.id,
    rollback: null,
    candidate,
    stable,
    recorded: null,
  };
}

/** Who was compared in a rollout, by its first entry. */
const comparedSchema = z.object({
  rollout: z.string(),
  from: z.object({ revision: z.number().int().positive() }).nullable(),
  to: z.object({ revision: z.number().int().positive() }),
});

/** The end of a bake by a look: what it was judged by. Entries of older releases do not say. */
const becameStableSchema = z.object({
  rollout: z.string(),
  evidence: z.looseObject({ id: z.string() }),
});

/** Rollouts whose evidence made their candidate stable, the newest first. */
function becameStable(
  entries: readonly ChainEntry[],
): readonly { readonly rollout: string; readonly recorded: Recorded }[] {
  return entries.toReversed().flatMap(({ kind, sequence, at, data }) => {
    const told = kind === "rollout.succeeded" ? becameStableSchema.safeParse(data) : null;
    if (told?.success !== true) return [];
    const { rollout, evidence } = told.data;
    return [{ rollout, recorded: { sequence, at, watch: evidence.id, evidence } }];
  });
}

/** The watches of an endpoint, the newest first: a rollout that was reinstated has several. */
async function watchesAt(
  endpoints: Endpoints,
  running: RunningEndpoint,
): Promise<readonly Watch[]> {
  const { state } = running.controller;
  const entries = await wholeHistory(endpoints.deps.store.history, state.identity.name);
  const underWay = rolloutOf(state);
  const watches = new Map<string, Watch>();
  if (underWay !== null) watches.set(evidenceIdOf(underWay), ofRollout(running, underWay));
  const began = entries.toReversed().flatMap(({ kind, data }) => {
    const told = kind === "rollout.started" ? comparedSchema.safeParse(data) : null;
    return told?.success === true ? [told.data] : [];
  });
  const ends = [
    // No rollback of a rollout comes after it has made its candidate stable.
    ...becameStable(entries).map((end) => ({ ...end, watch: end.recorded.watch, rollback: null })),
    ...rollbacksIn(entries).map(({ summary, watch, recorded }) => ({
      rollout: summary.rollout,
      watch,
      rollback: summary.id,
      recorded,
    })),
  ];
  for (const { rollout, watch, rollback, recorded } of ends) {
    const compared = began.find((one) => one.rollout === rollout);
    if (watch === null || compared === undefined) continue;
    watches.set(watch, {
      running,
      id: watch,
      rollout: compared.rollout,
      rollback,
      candidate: compared.to.revision,
      stable: compared.from?.revision ?? null,
      recorded,
    });
  }
  for (const { rollout, from, to } of began) {
    if ([...watches.values()].some((known) => known.rollout === rollout)) continue;
    watches.set(rollout, {
      running,
      id: rollout,
      rollout,
      rollback: null,
      candidate: to.revision,
      stable: from?.revision ?? null,
      recorded: null,
    });
  }
  return [...watches.values()];
}

/** `own`: which of those that share the id, where that is known. */
async function findWatch(endpoints: Endpoints, id: string, own?: string): Promise<Watch> {
  const all: Watch[] = [];
  for (const running of endpoints.all()) all.push(...(await watchesAt(endpoints, running)));
  const named = own === undefined ? undefined : all.find((watch) => watch.id === own);
  if (named !== undefined) return named;
  const found = meantBy(id, all, (watch) => [watch.id, watch.rollback, watch.rollout]);
  if (found !== null) return found;
  throw new LastgoodError("evidence.not-found", `no rollback and no rollout has the id ${id}`, {
    hint: "`lastgood incident` lists rollbacks with their ids, `lastgood rollout status --json` names the rollout",
  });
}

const lookedSchema = z.object({
  look: z.object({ id: z.string(), position: z.number().int(), context: assessmentContextSchema }),
});
const bakingSchema = z.object({ rollout: z.string() });

/** What the history knows of a watch beside its intervals: what depends on the clock. */
async function clockOf(
  endpoints: Endpoints,
  { running, id, rollout }: Watch,
): Promise<Pick<EvidencePage, "looks" | "bakingSince">> {
  const { name } = running.controller.state.identity;
  const entries = await wholeHistory(endpoints.deps.store.history, name);
  const looks = entries.flatMap(({ data }) => {
    const looked = lookedSchema.safeParse(data).data?.look;
    return looked?.id === id ? [{ position: looked.position, context: looked.context }] : [];
  });
  const baking = entries.find(
    ({ kind, data }) =>
      kind === "rollout.baking" && bakingSchema.safeParse(data).data?.rollout === rollout,
  );
  return { looks, bakingSince: baking?.at ?? null };
}

function recordedView({ recorded, rollback }: Watch): EvidencePage["recorded"] {
  if (recorded === null) return null;
  const { sequence, at, evidence } = recorded;
  const context = assessmentContextSchema.safeParse(evidence["context"]);
  const { position } = evidence;
  return {
    sequence,
    at,
    rollback,
    assessment: evidence["assessment"],
    context: context.success ? context.data : null,
    position: typeof position === "number" ? position : null,
  };
}

/** What decided a rollout, where the history says; null where nothing does. */
async function decidedBy(
  endpoints: Endpoints,
  running: RunningEndpoint,
  rollout: Rollout,
): Promise<DecidedBy | null> {
  const watches = await watchesAt(endpoints, running);
  const watch = watches.find(({ id }) => id === evidenceIdOf(rollout));
  const recorded = watch === undefined ? null : recordedView(watch);
  if (recorded === null || recorded.position === null || recorded.context === null) return null;
  return { position: recorded.position, context: recorded.context };
}

/** The last assessments of rollouts that have ended: computed once, they never change. */
export class EndedAssessments {
  readonly #endpoints: Endpoints;
  /** By endpoint, of its last rollout. */
  readonly #known = new Map<
    string,
    { readonly id: string; readonly evidence: EndedEvidence | null }
  >();

  constructor(endpoints: Endpoints) {
    this.#endpoints = endpoints;
  }

  /** What the last rollout of the endpoint was judged by at its end, or null. @throws `store.unavailable`. */
  async of(running: RunningEndpoint, rollout: Rollout): Promise<EndedEvidence | null> {
    const { name } = running.controller.state.identity;
    const id = evidenceIdOf(rollout);
    const known = this.#known.get(name);
    if (known?.id === id) return known.evidence;
    const decided = await decidedBy(this.#endpoints, running, rollout);
    const { evidence: store } = this.#endpoints.deps.store;
    const evidence = await endedEvidence(store, rollout, decided);
    this.#known.set(name, { id, evidence });
    return evidence;
  }
}

/**
 * A page of what a rollout was judged by, in the order in which it was.
 * @throws `evidence.not-found`; `input.invalid` for a cursor of elsewhere.
 */
export async function evidencePage(
  endpoints: Endpoints,
  id: string,
  cursor: string | null,
): Promise<EvidencePage> {
  const from = readCursor(cursor);
  const watch = await findWatch(endpoints, id, from?.watch);
  const { store } = endpoints.deps;
  const { state } = watch.running.controller;
  const plan = planIn(await store.evidence.list(watch.id, { limit: PLAN_WITHIN }));
  const candidate = servedView(state, watch.candidate);
  if (plan === null || candidate === null)
    throw new LastgoodError(
      "evidence.not-found",
      `no evidence is stored about the rollout ${watch.rollout}`,
      {
        hint: "a first revision, and one that never had traffic, is compared with nothing; evidence is forgotten after 90 days",
      },
    );
  const compared = { candidate: watch.candidate, stable: watch.stable };
  const reader = new IntervalReader(compared, from?.reader);
  const records = await store.evidence.list(watch.id, {
    after: from?.position ?? 0,
    limit: PAGE,
  });
  const intervals = records.flatMap((record) => {
    const interval = reader.next(record);
    return interval === null ? [] : [{ position: record.position, interval }];
  });
  const last = records.at(-1);
  return {
    id: watch.id,
    rollout: watch.rollout,
    endpoint: state.identity.name,
    candidate,
    stable: servedView(state, watch.stable),
    plan: { ...plan },
    recorded: recordedView(watch),
    ...(await clockOf(endpoints, watch)),
    intervals,
    next:
      last === undefined || records.length < PAGE
        ? null
        : writeCursor({ position: last.position, reader: reader.state, watch: watch.id }),
  };
}

/** What the stable revision did at rest, shortly before now or before the rollout under way. */
export async function showTraffic(
  endpoints: Endpoints,
  endpoint: string | null,
): Promise<EndpointTraffic> {
  const { state } = endpoints.find(endpoint).controller;
  const { name } = state.identity;
  const rollout = rolloutOf(state);
  const revision = rollout?.from ?? state.current;
  if (revision === null) return { endpoint: name, revision: null, traffic: null, labels: null };
  const before = rollout?.startedAt ?? endpoints.deps.clock.now();
  const { analysis } = state.policy ?? defaultPolicy("blueGreen");
  const intervals = await readBaseline(endpoints.deps.store.evidence, name, { revision, before });
  const traffic = trafficOf(intervals, analysis.dispersion);
  const since = Math.min(before, ...intervals.map(({ from }) => from));
  const { feedback } = endpoints.deps.store;
  const came = await feedback.cameOf({ endpoint: name, revision, since });
  return {
    endpoint: name,
    revision: servedView(state, revision),
    traffic,
    labels:
      traffic === null || came.count === 0
        ? null
        : {
            share: Math.min(1, came.count / traffic.requests),
            delayMs: came.delayMs,
            wrong: came.judged === 0 ? null : came.bad / came.judged,
          },
  };
}
