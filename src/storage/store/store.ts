import type { z } from "zod";

import type {
  Digest,
  EndpointName,
  GoldenSample,
  manifestSchema,
  ModelName,
  ModelVersion,
  VersionStatus,
} from "../../core/version/index.ts";
import type { ChainEntry, ChainHead, HistoryDraft } from "../history/index.ts";

/** A version's manifest as it is stored: golden samples in their JSON form. */
export type StoredManifest = z.infer<typeof manifestSchema>;

/** A version without its samples and input example: what lists and decisions need. */
export type VersionRecord = Omit<ModelVersion, "golden" | "inputExample" | "reference">;

/** The heavy part of a version. */
export interface VersionSamples {
  readonly golden: readonly GoldenSample[];
  readonly inputExample: unknown;
}

/** Generation and epoch: which life of the store, which start of a control plane. */
export interface StoreOrder {
  /** Rises when the store is rebuilt or restored. */
  readonly generation: number;
  /** Rises at each start of a control plane. */
  readonly epoch: number;
}

/** A registered model. */
export interface ModelRecord {
  readonly name: ModelName;
  /** How many versions were registered: the highest sequence number, as none is ever deleted. */
  readonly versions: number;
  /** The one with the highest sequence number, or null while there is none. */
  readonly newest: { readonly name: string | null; readonly sequence: number } | null;
}

/** Registered models. */
export interface ModelStore {
  /** By name, at most `limit` of them after `after`. */
  list(page?: { after?: string; limit?: number }): Promise<readonly ModelRecord[]>;
  get(name: string): Promise<ModelRecord | null>;
  /** Those of `names` that are registered. */
  existing(names: readonly string[]): Promise<readonly string[]>;
  /** A registered name that differs from `name` in upper and lower case alone, or null. */
  sameButCase(name: string): Promise<string | null>;
}

/** Which versions of a model a list is to hold. */
export interface VersionPage {
  readonly model: string;
  readonly status?: VersionStatus;
  /** Only those beyond this sequence number, in the direction of the list. */
  readonly after?: number;
  /** At most so many; 100 when left out. */
  readonly limit?: number;
  readonly newestFirst?: boolean;
}

/** Registered versions. All are looked up by index, whatever their number. */
export interface VersionStore {
  /** Ordered by sequence. */
  list(page: VersionPage): Promise<readonly VersionRecord[]>;
  bySequence(model: string, sequence: number): Promise<VersionRecord | null>;
  byName(model: string, name: string): Promise<VersionRecord | null>;
  byAlias(model: string, alias: string): Promise<VersionRecord | null>;
  /** Every version of any model with these bytes. */
  byDigest(digest: Digest): Promise<readonly VersionRecord[]>;
  samples(model: string, sequence: number): Promise<VersionSamples | null>;
  manifest(model: string, sequence: number): Promise<StoredManifest | null>;
  /** All sequence numbers of a model. */
  sequences(model: string): Promise<readonly number[]>;
  /**
   * Stores a version under the sequence number of its manifest, `pending`, and its model where new.
   * False, and nothing stored, when the number or the name is taken.
   */
  insert(version: { manifest: StoredManifest; digest: Digest }): Promise<boolean>;
  /** The latest verdict wins. False when there is no such version. */
  mark(verdict: {
    model: string;
    sequence: number;
    status: VersionStatus;
    reason: string | null;
    at: number;
  }): Promise<boolean>;
  tag(tags: {
    model: string;
    sequence: number;
    set: Readonly<Record<string, string>>;
    unset: readonly string[];
  }): Promise<void>;
  /** All aliases of a model with the sequence number each points at. */
  aliases(model: string): Promise<Readonly<Record<string, number>>>;
  /** Points an alias at a version, taking it from where it was. */
  setAlias(model: string, alias: string, sequence: number): Promise<void>;
  /** False when there was none. */
  deleteAlias(model: string, alias: string): Promise<boolean>;
}

/** An endpoint and its state: a JSON document that only its owner reads. */
export interface EndpointRecord {
  readonly name: EndpointName;
  readonly model: ModelName;
  readonly state: unknown;
  /** Rises with each save; what the next save has to name. */
  readonly revisionOfState: number;
  /** Hash of the last history entry, or null while there is none. */
  readonly historyHead: string | null;
}

/** What saving an endpoint stores, all of it or nothing. */
export interface EndpointSave {
  readonly name: EndpointName;
  readonly model: ModelName;
  readonly state: unknown;
  /** As last read or saved; 0 for a new endpoint. */
  readonly revisionOfState: number;
  readonly entries: readonly HistoryDraft[];
}

/** What a save led to. */
export interface EndpointSaved {
  readonly revisionOfState: number;
  /** What was appended; a draft whose key was recorded before is not among them. */
  readonly entries: readonly ChainEntry[];
  readonly historyHead: string | null;
}

/** Endpoints with their states. */
export interface EndpointStore {
  list(): Promise<readonly EndpointRecord[]>;
  get(name: string): Promise<EndpointRecord | null>;
  /**
   * State and history entries in one transaction.
   * @throws `internal` when somebody saved in between: `revisionOfState` is not the stored one.
   */
  save(save: EndpointSave): Promise<EndpointSaved>;
}

/** Append-only, hash-chained event logs. */
export interface HistoryStore {
  /** Entries after sequence number `after`, oldest first, at most `limit` (100). */
  list(endpoint: string, page?: { after?: number; limit?: number }): Promise<readonly ChainEntry[]>;
  /** The last `limit` entries, oldest first. */
  last(endpoint: string, limit: number): Promise<readonly ChainEntry[]>;
  head(endpoint: string): Promise<ChainHead | null>;
  /** Whether something with this key was recorded. */
  hasKey(endpoint: string, key: string): Promise<boolean>;
  /** What was appended; a draft whose key was recorded before is not among them. */
  append(endpoint: string, drafts: readonly HistoryDraft[]): Promise<readonly ChainEntry[]>;
}

/** Answers of operations, so that one asked twice is done once. */
export interface OperationStore {
  get(key: string): Promise<{ readonly answer: unknown; readonly at: number } | null>;
  /** False, and the first answer stays, when there is one already. */
  put(operation: { key: string; answer: unknown; at: number }): Promise<boolean>;
}

/** Cumulative totals of one key, as the link carries them. */
export interface CountRecord {
  readonly gateway: string;
  readonly incarnation: string;
  readonly worker: number;
  readonly endpoint: string;
  readonly revision: number;
  readonly arm: string;
  readonly interval: number;
  readonly requests: number;
  readonly errors: number;
  readonly rejected: number;
}

/** Sums over gateways, incarnations and workers. */
export type CountTotal = Omit<CountRecord, "gateway" | "incarnation" | "worker">;

/** Request counts. */
export interface CountStore {
  /** Keeps the larger of each total: storing twice, or in any order, changes nothing. */
  merge(counts: readonly CountRecord[]): Promise<void>;
  /** Sums per revision, arm and interval, of one endpoint. */
  totals(endpoint: string): Promise<readonly CountTotal[]>;
}

/** What one source saw of a watched rollout, once. */
export interface EvidenceRecord {
  /** Which rollout's evidence it is. */
  readonly watch: string;
  /** Who saw it; with `sequence`, what makes it one. */
  readonly source: string;
  readonly sequence: number;
  readonly endpoint: string;
  /** ms since 1970. */
  readonly at: number;
  /** JSON that only its owner reads. */
  readonly body: unknown;
}

/** A record where it stands among those of its watch. */
export interface StoredEvidence extends EvidenceRecord {
  /** From 1, without holes, in the order in which it was stored. */
  readonly position: number;
}

/** What rollouts are judged by: append-only but for its pruning. */
export interface EvidenceStore {
  /** What of it was new; the same source and sequence again changes nothing. */
  append(records: readonly EvidenceRecord[]): Promise<readonly StoredEvidence[]>;
  /** In the order of their positions, at most `limit` (1000) after position `after`. */
  list(
    watch: string,
    page?: { after?: number; limit?: number },
  ): Promise<readonly StoredEvidence[]>;
  /**
   * Forgets what an endpoint's watches saw before then (ms since 1970): those that are in `of`, where
   * it is given, and none that are in `keep`. Gives how many.
   */
  prune(
    endpoint: string,
    which: {
      readonly before: number;
      readonly of?: readonly string[];
      readonly keep?: readonly string[];
    },
  ): Promise<number>;
}

/** What a caller told of one prediction. */
export interface FeedbackRecord {
  readonly requestId: string;
  readonly endpoint: string;
  readonly revision: number;
  /** Of the prediction, minutes since 1970. */
  readonly minute: number;
  readonly kind: "correct" | "label" | "score";
  readonly value: unknown;
  /** When it arrived, ms since 1970. */
  readonly at: number;
}

/** Feedback with the prediction that it is about, where that is known. */
export interface StoredFeedback extends FeedbackRecord {
  /** What was predicted, for a label; null while it was not found. */
  readonly prediction: unknown;
}

/** What callers tell of predictions. */
export interface FeedbackStore {
  /** The last one told of a request wins until it is counted; then it is ignored. Gives how many of each. */
  put(
    records: readonly FeedbackRecord[],
  ): Promise<{ readonly taken: number; readonly counted: number }>;
  /**
   * What is not counted yet, of predictions from that minute on, the oldest first: with all that it
   * needs to be counted (`joined`), or labels that still need their prediction.
   */
  waiting(of: {
    readonly endpoint: string;
    readonly revisions: readonly number[];
    readonly sinceMinute: number;
    readonly joined: boolean;
    readonly limit: number;
  }): Promise<readonly StoredFeedback[]>;
  /** Gives labels the predictions that they are about. */
  join(
    found: readonly { readonly requestId: string; readonly prediction: unknown }[],
  ): Promise<void>;
  /** Marks what was counted. */
  count(requestIds: readonly string[]): Promise<void>;
  /**
   * What came since then of one revision: how many, the mean time from the request's minute, ms, and of
   * those that say by themselves how good the answer was (`correct`, `score`) the sum of what was not.
   */
  cameOf(of: {
    readonly endpoint: string;
    readonly revision: number;
    readonly since: number;
  }): Promise<{
    readonly count: number;
    readonly delayMs: number;
    readonly judged: number;
    readonly bad: number;
  }>;
  /** Forgets what is about predictions before that minute. Gives how many. */
  prune(beforeMinute: number): Promise<number>;
}

/** How far the sources of one watch were read. */
export interface StoredCursor {
  /** Rises with each change. */
  readonly sequence: number;
  /** JSON that only its owner reads. */
  readonly body: unknown;
}

/** How far sources of evidence were read and given, so that nothing is counted twice. */
export interface CursorStore {
  get(watch: string): Promise<StoredCursor | null>;
  /**
   * Goes on from the sequence number that was read, 0 where there was none.
   * @throws `internal` when somebody went on from it before.
   */
  advance(cursor: {
    readonly watch: string;
    readonly from: number;
    readonly body: unknown;
    readonly at: number;
  }): Promise<void>;
  /** Forgets what has not moved since then, ms since 1970. Gives how many. */
  prune(before: number): Promise<number>;
}

/** Versions whose golden samples disagreed when a gateway last replayed them, by their bytes. */
export interface DisagreementStore {
  get(digest: Digest): Promise<{ readonly why: string; readonly at: number } | null>;
  /** `at` in ms since 1970. */
  put(disagreement: {
    readonly digest: Digest;
    readonly why: string;
    readonly at: number;
  }): Promise<void>;
  forget(digest: Digest): Promise<void>;
}

/** Everything that can be read and written within one transaction. */
export interface StoreNouns {
  readonly models: ModelStore;
  readonly versions: VersionStore;
  readonly endpoints: EndpointStore;
  readonly history: HistoryStore;
  readonly operations: OperationStore;
  readonly counts: CountStore;
  readonly evidence: EvidenceStore;
  readonly feedback: FeedbackStore;
  readonly cursors: CursorStore;
  readonly disagreements: DisagreementStore;
}

/** The rising numbers. */
export interface MetaStore {
  order(): Promise<StoreOrder>;
  /** Once at each start of a control plane: the epoch is one higher than ever before, durably. */
  beginEpoch(): Promise<StoreOrder>;
  /** Raises the generation above one that a gateway still knows; no change when it is. */
  raiseGenerationAbove(generation: number): Promise<StoreOrder>;
}

/** Why a store was made anew, and where what was found in its place is kept. */
export interface StoreRebuilt {
  /** `missing` and `unreadable` at a start: only what manifests hold is left. The others under a running server: nothing is lost. */
  readonly why: "missing" | "unreadable" | "older" | "vanished" | "replaced";
  /** In words, for the alarm. */
  readonly message: string;
  /** Path of the file that was found in the store's place, or null. */
  readonly keptAside: string | null;
  readonly generation: number;
}

/**
 * The truth about intent. Each method is atomic on its own; every one
 * @throws `store.unavailable` when the store cannot be read or written (full, busy, read-only, gone).
 */
export interface Store extends StoreNouns {
  readonly meta: MetaStore;
  /** What was last found to be wrong with it, at opening or since, or null. */
  readonly rebuilt: StoreRebuilt | null;
  /**
   * Runs `work` so that all it writes is stored, or nothing. Inside, only the nouns it is given may
   * be used, and nothing else may be waited for: every other user of the store waits meanwhile.
   */
  transaction<T>(work: (nouns: StoreNouns) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
