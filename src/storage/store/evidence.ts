import { atomically, type Executor } from "./executor.ts";
import type { EvidenceRecord, EvidenceStore, StoredEvidence } from "./store.ts";

async function append(
  transaction: Executor,
  records: readonly EvidenceRecord[],
): Promise<readonly StoredEvidence[]> {
  const stored: StoredEvidence[] = [];
  for (const record of records) {
    const { watch, source, sequence, endpoint, at, body } = record;
    const last = await transaction
      .selectFrom("evidence")
      .select(({ fn }) => fn.max("position").as("position"))
      .where("watch", "=", watch)
      .executeTakeFirst();
    const position = (last?.position ?? 0) + 1;
    const inserted = await transaction
      .insertInto("evidence")
      .values({ watch, position, source, sequence, endpoint, at, body: JSON.stringify(body) })
      .onConflict((conflict) => conflict.columns(["watch", "source", "sequence"]).doNothing())
      .executeTakeFirst();
    if (inserted.numInsertedOrUpdatedRows === 1n) stored.push({ ...record, position });
  }
  return stored;
}

/** What rollouts are judged by, over any SQL database. */
export function evidenceStore(executor: Executor): EvidenceStore {
  return {
    append: async (records) => {
      if (records.length === 0) return [];
      return atomically(executor, async (transaction) => append(transaction, records));
    },
    list: async (watch, { after = 0, limit = 1_000 } = {}) => {
      const rows = await executor
        .selectFrom("evidence")
        .selectAll()
        .where("watch", "=", watch)
        .where("position", ">", after)
        .orderBy("position")
        .limit(limit)
        .execute();
      return rows.map((row) => ({ ...row, body: JSON.parse(row.body) as unknown }));
    },
    prune: async (endpoint, { before, of, keep = [] }) => {
      let query = executor
        .deleteFrom("evidence")
        .where("endpoint", "=", endpoint)
        .where("at", "<", before);
      if (of !== undefined) query = query.where("watch", "in", of);
      if (keep.length > 0) query = query.where("watch", "not in", keep);
      const { numDeletedRows } = await query.executeTakeFirst();
      return Number(numDeletedRows);
    },
  };
}
