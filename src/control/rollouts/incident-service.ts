import type { Incident, Incidents } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { ChainEntry } from "../../storage/history/index.ts";
import type { HistoryStore } from "../../storage/store/index.ts";
import { allRecords } from "./baseline.ts";
import type { Endpoints, RunningEndpoint } from "./endpoints.ts";
import { baselineId } from "./evidence-record.ts";
import { assembleIncident } from "./incident.ts";
import { rollbacksIn, type ToldRollback } from "./rollback-reader.ts";

const PAGE = 1_000;
/** Shorter beginnings of an id say too little. */
const SHORTEST_ID = 4;

/** A rollback with the endpoint it was at. */
interface Found {
  readonly running: RunningEndpoint;
  readonly told: ToldRollback;
}

/** The whole history of an endpoint, oldest first. */
export async function wholeHistory(
  store: Pick<HistoryStore, "list">,
  endpoint: string,
): Promise<readonly ChainEntry[]> {
  const entries: ChainEntry[] = [];
  for (;;) {
    const after = entries.at(-1)?.sequence ?? 0;
    const page = await store.list(endpoint, { after, limit: PAGE });
    entries.push(...page);
    if (page.length < PAGE) return entries;
  }
}

async function rollbacksAt(
  endpoints: Endpoints,
  running: RunningEndpoint,
): Promise<readonly Found[]> {
  const { name } = running.controller.state.identity;
  const entries = await wholeHistory(endpoints.deps.store.history, name);
  return rollbacksIn(entries).map((told) => ({ running, told }));
}

/** Rollbacks, the newest first; of all endpoints where none is named. */
export async function listIncidents(
  endpoints: Endpoints,
  endpoint: string | null,
): Promise<Incidents> {
  const asked = endpoint === null ? endpoints.all() : [endpoints.find(endpoint)];
  const found: Found[] = [];
  for (const running of asked) found.push(...(await rollbacksAt(endpoints, running)));
  return {
    incidents: found.map(({ told }) => told.summary).toSorted((a, b) => b.at - a.at),
  };
}

/** Of things with ids, the one that is meant by an id or its beginning; the first of those that share it. */
export function meantBy<T>(
  id: string,
  all: readonly T[],
  idsOf: (one: T) => readonly (string | null)[],
): T | null {
  const exact = all.find((one) => idsOf(one).includes(id));
  if (exact !== undefined) return exact;
  if (id.length < SHORTEST_ID) return null;
  const starting = all.filter((one) => idsOf(one).some((each) => each?.startsWith(id) === true));
  const full = new Set(
    starting.flatMap((one) => idsOf(one).filter((each) => each?.startsWith(id) === true)),
  );
  // A rollout and its revert begin alike, and are the same incident.
  const roots = new Set([...full].map((each) => (each ?? "").replace(/[:.].*$/, "")));
  return roots.size > 1 ? ambiguous(id, [...roots]) : (starting[0] ?? null);
}

function ambiguous(id: string, ids: readonly string[]): never {
  throw new LastgoodError("incident.not-found", `more than one id begins with ${id}`, {
    hint: "type more of it: `lastgood incident` lists them",
    details: { ids },
  });
}

/** The rollback with that id, or of the rollout with it. @throws `incident.not-found`. */
async function findRollback(endpoints: Endpoints, id: string): Promise<Found> {
  const all: Found[] = [];
  for (const running of endpoints.all()) all.push(...(await rollbacksAt(endpoints, running)));
  const found = meantBy(id, all, ({ told: { summary, watch } }) => [
    summary.id,
    summary.rollout,
    watch,
  ]);
  if (found !== null) return found;
  throw new LastgoodError("incident.not-found", `no rollback and no rollout has the id ${id}`, {
    hint:
      all.length === 0
        ? "nothing was ever rolled back here"
        : "`lastgood incident` lists them; the beginning of an id is enough",
  });
}

/** Everything that is known of a rollback. @throws `incident.not-found`. */
export async function showIncident(endpoints: Endpoints, id: string): Promise<Incident> {
  const { running, told } = await findRollback(endpoints, id);
  const { deps } = endpoints;
  const { state } = running.controller;
  const { name, model } = state.identity;
  const { summary } = told;
  const watch = told.watch ?? baselineId(name, summary.from.revision ?? 0);
  const records = await allRecords(deps.store.evidence, watch);
  // At rest nothing ends with the rollback: what was seen after it is no part of it.
  const until = told.watch === null ? (told.arrival?.at ?? Infinity) : Infinity;
  const last = state.lastRollback;
  return assembleIncident({
    model,
    told,
    watch,
    records: records.filter(({ at }) => at <= until),
    // While it is under way, what the signals have read so far.
    logLines: told.logLines ?? (await deps.signals.recentLogLines({ rollout: watch })),
    isLast: last?.id === summary.id && last.changesAfter === state.changes,
  });
}
