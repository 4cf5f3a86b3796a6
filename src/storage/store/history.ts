import type { Selectable } from "kysely";

import {
  chainEntry,
  type ChainEntry,
  type ChainHead,
  type HistoryDraft,
} from "../history/index.ts";
import { atomically, pageLimit, type Executor } from "./executor.ts";
import type { HistoryStore } from "./store.ts";
import type { Tables } from "./tables.ts";

/**
 * What an entry tells. Of one that somebody altered past reading the text as it stands: its hash then
 * speaks against it like that of any other, and those around it are read all the same.
 */
function dataOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const data: unknown = JSON.parse(text);
    if (typeof data === "object" && data !== null && !Array.isArray(data))
      return data as Readonly<Record<string, unknown>>;
  } catch {
    // Not JSON at all.
  }
  return { unreadable: text };
}

function entryOf(row: Selectable<Tables["history"]>): ChainEntry {
  const { data, once: _, ...rest } = row;
  return { ...rest, data: dataOf(data) };
}

async function headOf(executor: Executor, endpoint: string): Promise<ChainHead | null> {
  const row = await executor
    .selectFrom("history")
    .select(["sequence", "hash"])
    .where("endpoint", "=", endpoint)
    .orderBy("sequence", "desc")
    .limit(1)
    .executeTakeFirst();
  return row ?? null;
}

async function hasKey(executor: Executor, endpoint: string, key: string): Promise<boolean> {
  const row = await executor
    .selectFrom("history")
    .select("sequence")
    .where("endpoint", "=", endpoint)
    .where("once", "=", key)
    .executeTakeFirst();
  return row !== undefined;
}

async function append(
  transaction: Executor,
  endpoint: string,
  drafts: readonly HistoryDraft[],
): Promise<ChainEntry[]> {
  if (drafts.length === 0) return [];
  const appended: ChainEntry[] = [];
  let head = await headOf(transaction, endpoint);
  for (const draft of drafts) {
    if (draft.key !== undefined && (await hasKey(transaction, endpoint, draft.key))) continue;
    const entry = chainEntry(endpoint, head, draft);
    await transaction
      .insertInto("history")
      .values({ ...entry, data: JSON.stringify(entry.data), once: draft.key ?? null })
      .execute();
    appended.push(entry);
    head = entry;
  }
  return appended;
}

/** Hash-chained histories over any SQL database. */
export function historyStore(executor: Executor): HistoryStore {
  return {
    list: async (endpoint, page = {}) => {
      const rows = await executor
        .selectFrom("history")
        .selectAll()
        .where("endpoint", "=", endpoint)
        .where("sequence", ">", page.after ?? 0)
        .orderBy("sequence")
        .limit(pageLimit(page.limit))
        .execute();
      return rows.map(entryOf);
    },
    last: async (endpoint, limit) => {
      const rows = await executor
        .selectFrom("history")
        .selectAll()
        .where("endpoint", "=", endpoint)
        .orderBy("sequence", "desc")
        .limit(pageLimit(limit))
        .execute();
      return rows.map(entryOf).toReversed();
    },
    head: async (endpoint) => headOf(executor, endpoint),
    hasKey: async (endpoint, key) => hasKey(executor, endpoint, key),
    append: async (endpoint, drafts) =>
      atomically(executor, async (transaction) => append(transaction, endpoint, drafts)),
  };
}
