import { createHash } from "node:crypto";

import { canonicalJson } from "./canonical.ts";

/** Something that happened, before it has its place in a chain. */
export interface HistoryDraft {
  /** ms since 1970. */
  readonly at: number;
  readonly kind: string;
  readonly actor: string;
  readonly reason: string | null;
  /** A JSON object. */
  readonly data: Readonly<Record<string, unknown>>;
  /** Set where the same thing could arrive twice: of two drafts with one key the first is kept. */
  readonly key?: string | undefined;
}

/** One entry of a chain; `hash` covers everything else, `previous` is the hash before it. */
export interface ChainEntry {
  /** Whose chain: an endpoint's name, or `model:` and a model's name. */
  readonly endpoint: string;
  /** 1, 2, 3… without gaps. */
  readonly sequence: number;
  readonly at: number;
  readonly kind: string;
  readonly actor: string;
  readonly reason: string | null;
  readonly data: Readonly<Record<string, unknown>>;
  /** Null for the first. */
  readonly previous: string | null;
  /** SHA-256 of the canonical JSON of the rest, 64 hex digits. */
  readonly hash: string;
}

/** The end of a chain. */
export interface ChainHead {
  readonly sequence: number;
  readonly hash: string;
}

/** What recomputing a chain found. */
export type ChainVerdict =
  | { readonly ok: true; readonly entries: number; readonly head: string | null }
  | {
      readonly ok: false;
      readonly entries: number;
      readonly head: string | null;
      /** Sequence of the first entry that is not as it was written; the one missing, for a gap. */
      readonly firstAltered: number;
      /** In words: what differs. */
      readonly problem: string;
    };

/** A hash function: text to lower-case hex. */
export type HashText = (text: string) => string;

/** SHA-256 of UTF-8 text, 64 hex digits. */
export function sha256Hex(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

function hashOf(entry: Omit<ChainEntry, "hash">, hash: HashText): string {
  const { endpoint, sequence, at, kind, actor, reason, data, previous } = entry;
  return hash(canonicalJson({ endpoint, sequence, at, kind, actor, reason, data, previous }));
}

/**
 * The entry that follows `head` (null: the chain begins). Its data is as JSON would carry it, so
 * that what is stored and read back hashes the same.
 */
export function chainEntry(
  endpoint: string,
  head: ChainHead | null,
  draft: HistoryDraft,
  hash: HashText = sha256Hex,
): ChainEntry {
  const rest = {
    endpoint,
    sequence: (head?.sequence ?? 0) + 1,
    at: draft.at,
    kind: draft.kind,
    actor: draft.actor,
    reason: draft.reason,
    data: JSON.parse(canonicalJson(draft.data)) as Readonly<Record<string, unknown>>,
    previous: head?.hash ?? null,
  };
  return { ...rest, hash: hashOf(rest, hash) };
}

function entryProblem(
  entry: ChainEntry,
  expected: {
    readonly endpoint: string;
    readonly sequence: number;
    readonly previous: string | null;
  },
  hash: HashText,
): string | null {
  if (entry.endpoint !== expected.endpoint)
    return `it belongs to ${entry.endpoint}, not to ${expected.endpoint}`;
  if (entry.sequence !== expected.sequence)
    return entry.sequence > expected.sequence
      ? `it is missing: the next entry is number ${entry.sequence}`
      : `number ${entry.sequence} stands in its place`;
  const recomputed = hashOf(entry, hash);
  if (entry.previous !== expected.previous)
    return `it names ${entry.previous ?? "nothing"} as the entry before, which is ${expected.previous ?? "nothing"}`;
  if (entry.hash !== recomputed)
    return `its hash is ${entry.hash}, its content gives ${recomputed}`;
  return null;
}

/**
 * Recomputes a whole chain, oldest entry first. Names the first entry that was altered, taken out
 * or put in; a cut tail shows only against `expectHead`, the hash of the last entry as somebody
 * noted it elsewhere (a later one is fine if it is still in the chain).
 */
export function verifyChain(
  entries: readonly ChainEntry[],
  expectHead: string | null = null,
  hash: HashText = sha256Hex,
): ChainVerdict {
  const endpoint = entries[0]?.endpoint ?? "";
  const head = entries.at(-1)?.hash ?? null;
  let previous: string | null = null;
  for (const [index, entry] of entries.entries()) {
    const problem = entryProblem(entry, { endpoint, sequence: index + 1, previous }, hash);
    if (problem !== null)
      return { ok: false, entries: entries.length, head, firstAltered: index + 1, problem };
    previous = entry.hash;
  }
  if (expectHead !== null && !entries.some((entry) => entry.hash === expectHead)) {
    return {
      ok: false,
      entries: entries.length,
      head,
      firstAltered: entries.length + 1,
      problem: `no entry has the expected hash ${expectHead}: entries were cut off the end, or all were written anew`,
    };
  }
  return { ok: true, entries: entries.length, head };
}
