import { LastgoodError } from "../../../src/core/errors/index.ts";
import type { EndpointName, ModelName } from "../../../src/core/version/index.ts";
import {
  chainEntry,
  type ChainEntry,
  type HistoryDraft,
} from "../../../src/storage/history/index.ts";
import type {
  DisagreementStore,
  EndpointRecord,
  EndpointSave,
  EndpointSaved,
  EndpointStore,
  EvidenceRecord,
  EvidenceStore,
  HistoryStore,
  MetaStore,
  Store,
  StoredEvidence,
  StoredManifest,
  StoreNouns,
  StoreOrder,
  VersionRecord,
  VersionStore,
} from "../../../src/storage/store/store.ts";
import type { Life, VirtualTime } from "./virtual-time.ts";

/** A registered version, as the store keeps it. */
export interface KeptVersion {
  readonly manifest: StoredManifest;
  record: VersionRecord;
}

interface KeptEndpoint {
  readonly name: EndpointName;
  readonly model: ModelName;
  state: string;
  revisionOfState: number;
}

/** What of a store outlives its process. */
export class Disk {
  readonly versions: KeptVersion[] = [];
  readonly endpoints = new Map<string, KeptEndpoint>();
  readonly history = new Map<string, ChainEntry[]>();
  readonly keys = new Set<string>();
  readonly evidence = new Map<string, StoredEvidence[]>();
  readonly evidenceKeys = new Set<string>();
  readonly disagreements = new Map<string, { readonly why: string; readonly at: number }>();
  order: StoreOrder = { generation: 1, epoch: 0 };

  /** Every entry that was ever committed, as an observer beside the store saw it. */
  readonly witnessed: ChainEntry[] = [];
  onCommit: (save: EndpointSave, entries: readonly ChainEntry[]) => void = () => undefined;
  #uncommitted: (() => void)[] = [];

  /** A save that counts once its transaction is committed. */
  note(save: EndpointSave, entries: readonly ChainEntry[]): void {
    this.#uncommitted.push(() => {
      this.witnessed.push(...entries);
      this.onCommit(save, entries);
    });
  }

  settle(isCommitted: boolean): void {
    const noted = this.#uncommitted;
    this.#uncommitted = [];
    if (isCommitted) for (const tell of noted) tell();
  }

  /** A history entry at the end of its chain. */
  append(endpoint: string, drafts: readonly HistoryDraft[], undo: Undo): readonly ChainEntry[] {
    const chain = this.history.get(endpoint) ?? [];
    this.history.set(endpoint, chain);
    const entries: ChainEntry[] = [];
    for (const { key, ...draft } of drafts) {
      const known = key === undefined ? null : `${endpoint} ${key}`;
      if (known !== null && this.keys.has(known)) continue;
      if (known !== null) {
        this.keys.add(known);
        undo.push(() => this.keys.delete(known));
      }
      const entry = chainEntry(endpoint, chain.at(-1) ?? null, draft);
      chain.push(entry);
      undo.push(() => chain.pop());
      entries.push(entry);
    }
    return entries;
  }
}

type Undo = (() => unknown)[];

/** What goes wrong with a store. */
export interface StoreFaults {
  /** Virtual time until which nothing can be read or written. */
  unavailableUntil: number;
  /** How long each access takes, ms. */
  slowMs: number;
}

type Access = <T>(what: string, work: (undo: Undo) => T) => Promise<T>;

function notSimulated(): never {
  throw new LastgoodError("internal", "the simulated store does not have this");
}

function endpointsOf(disk: Disk, access: Access): EndpointStore {
  const record = (kept: KeptEndpoint): EndpointRecord => ({
    name: kept.name,
    model: kept.model,
    state: JSON.parse(kept.state) as unknown,
    revisionOfState: kept.revisionOfState,
    historyHead: disk.history.get(kept.name)?.at(-1)?.hash ?? null,
  });
  const save = (given: EndpointSave, undo: Undo): EndpointSaved => {
    const { name, model, state, revisionOfState } = given;
    const kept = disk.endpoints.get(name);
    if ((kept?.revisionOfState ?? 0) !== revisionOfState)
      throw new LastgoodError("internal", `${name} was saved by somebody else in between`);
    const next = revisionOfState + 1;
    disk.endpoints.set(name, {
      name,
      model,
      state: JSON.stringify(state),
      revisionOfState: next,
    });
    undo.push(() =>
      kept === undefined ? disk.endpoints.delete(name) : disk.endpoints.set(name, kept),
    );
    const entries = disk.append(name, given.entries, undo);
    const historyHead = disk.history.get(name)?.at(-1)?.hash ?? null;
    return { revisionOfState: next, entries, historyHead };
  };
  return {
    list: () => access("endpoints.list", () => [...disk.endpoints.values()].map(record)),
    get: (name) =>
      access("endpoints.get", () => {
        const kept = disk.endpoints.get(name);
        return kept === undefined ? null : record(kept);
      }),
    save: (given) =>
      access("endpoints.save", (undo) => {
        const saved = save(given, undo);
        disk.note(given, saved.entries);
        return saved;
      }),
  };
}

function versionsOf(disk: Disk, access: Access): VersionStore {
  const find = (sequence: number): KeptVersion | undefined => disk.versions[sequence - 1];
  return {
    list: ({ limit = 100, newestFirst = false }) =>
      access("versions.list", () => {
        const records = disk.versions.map(({ record }) => record);
        return (newestFirst ? records.toReversed() : records).slice(0, limit);
      }),
    bySequence: (_model, sequence) =>
      access("versions.bySequence", () => find(sequence)?.record ?? null),
    byName: (_model, name) =>
      access(
        "versions.byName",
        () => disk.versions.find(({ record }) => record.name === name)?.record ?? null,
      ),
    manifest: (_model, sequence) =>
      access("versions.manifest", () => find(sequence)?.manifest ?? null),
    mark: ({ sequence, status, reason, at }) =>
      access("versions.mark", (undo) => {
        const kept = find(sequence);
        if (kept === undefined) return false;
        const before = kept.record;
        kept.record = { ...before, status, statusReason: reason, statusAt: at };
        undo.push(() => {
          kept.record = before;
        });
        return true;
      }),
    byAlias: () => Promise.resolve(null),
    aliases: () => Promise.resolve({}),
    byDigest: notSimulated,
    samples: notSimulated,
    sequences: notSimulated,
    insert: notSimulated,
    tag: notSimulated,
    setAlias: notSimulated,
    deleteAlias: notSimulated,
  };
}

function evidenceOf(disk: Disk, access: Access): EvidenceStore {
  const append = (record: EvidenceRecord, undo: Undo): readonly StoredEvidence[] => {
    const { watch, source, sequence } = record;
    const key = `${watch} ${source} ${sequence}`;
    if (disk.evidenceKeys.has(key)) return [];
    disk.evidenceKeys.add(key);
    const records = disk.evidence.get(watch) ?? [];
    disk.evidence.set(watch, records);
    const body = JSON.parse(JSON.stringify(record.body)) as unknown;
    const stored = { ...record, body, position: records.length + 1 };
    records.push(stored);
    undo.push(() => {
      disk.evidenceKeys.delete(key);
      records.pop();
    });
    return [stored];
  };
  return {
    append: (records) =>
      access("evidence.append", (undo) => records.flatMap((record) => append(record, undo))),
    list: (watch, { after = 0, limit = 1_000 } = {}) =>
      access("evidence.list", () => (disk.evidence.get(watch) ?? []).slice(after, after + limit)),
    prune: notSimulated,
  };
}

function disagreementsOf({ disagreements }: Disk, access: Access): DisagreementStore {
  return {
    get: (digest) => access("disagreements.get", () => disagreements.get(digest) ?? null),
    put: ({ digest, why, at }) =>
      access("disagreements.put", () => void disagreements.set(digest, { why, at })),
    forget: (digest) => access("disagreements.forget", () => void disagreements.delete(digest)),
  };
}

function historyOf(disk: Disk, access: Access): HistoryStore {
  return {
    list: (endpoint, { after = 0, limit = 100 } = {}) =>
      access("history.list", () => (disk.history.get(endpoint) ?? []).slice(after, after + limit)),
    last: notSimulated,
    head: notSimulated,
    hasKey: notSimulated,
    append: notSimulated,
  };
}

function nounsOf(disk: Disk, access: Access): StoreNouns {
  return {
    versions: versionsOf(disk, access),
    endpoints: endpointsOf(disk, access),
    evidence: evidenceOf(disk, access),
    history: historyOf(disk, access),
    counts: {
      merge: () => access("counts.merge", () => undefined),
      totals: () => access("counts.totals", () => []),
    },
    models: {
      list: notSimulated,
      existing: notSimulated,
      sameButCase: notSimulated,
      get: (name) =>
        access("models.get", () => ({
          name: name as ModelName,
          versions: disk.versions.length,
          newest: disk.versions.at(-1)?.record ?? null,
        })),
    },
    operations: { get: notSimulated, put: notSimulated },
    feedback: {
      put: notSimulated,
      waiting: notSimulated,
      join: notSimulated,
      count: notSimulated,
      cameOf: notSimulated,
      prune: notSimulated,
    },
    disagreements: disagreementsOf(disk, access),
    cursors: { get: notSimulated, advance: notSimulated, prune: notSimulated },
  };
}

function metaOf(disk: Disk, access: Access): MetaStore {
  const raise = (change: (order: StoreOrder) => StoreOrder): Promise<StoreOrder> =>
    access("meta", () => {
      disk.order = change(disk.order);
      return disk.order;
    });
  return {
    order: () => access("meta.order", () => disk.order),
    beginEpoch: () => raise((order) => ({ ...order, epoch: order.epoch + 1 })),
    raiseGenerationAbove: (generation) =>
      raise((order) => ({ ...order, generation: Math.max(order.generation, generation + 1) })),
  };
}

/** A process' connection to the store: one access at a time, each atomic, the process may die at either side of it. */
export function openStore(
  disk: Disk,
  {
    life,
    time,
    faults,
  }: { readonly life: Life; readonly time: VirtualTime; readonly faults: StoreFaults },
): Store {
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work, work);
    turn = done.catch(() => undefined);
    return life.given(done);
  };
  const check = (): void => {
    if (time.now >= faults.unavailableUntil) return;
    throw new LastgoodError("store.unavailable", "the disk takes nothing");
  };
  const begin = async (): Promise<void> => {
    life.step();
    if (faults.slowMs > 0) await life.timers.pause(faults.slowMs);
    check();
  };
  const access: Access = (_what, work) =>
    inTurn(async () => {
      await begin();
      const result = work([]);
      disk.settle(true);
      life.step();
      return result;
    });
  return {
    ...nounsOf(disk, access),
    meta: metaOf(disk, access),
    rebuilt: null,
    transaction: (work) =>
      inTurn(async () => {
        const undo: Undo = [];
        try {
          await begin();
          const inside: Access = (_what, one) => Promise.resolve().then(() => one(undo));
          const result = await work(nounsOf(disk, inside));
          check();
          life.step();
          // Committed: what dies from here on is stored.
          undo.length = 0;
          disk.settle(true);
          life.step();
          return result;
        } catch (error) {
          disk.settle(false);
          for (const back of undo.toReversed()) back();
          throw error;
        }
      }),
    close: () => Promise.resolve(),
  };
}
