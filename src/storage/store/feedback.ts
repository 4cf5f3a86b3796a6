import { sql, type Selectable } from "kysely";

import { atomically, type Executor } from "./executor.ts";
import type { FeedbackRecord, FeedbackStore, StoredFeedback } from "./store.ts";
import type { Tables } from "./tables.ts";

/** Parameters of one statement stay well below what any database takes. */
const IDS_AT_ONCE = 500;

function storedOf(row: Selectable<Tables["feedback"]>): StoredFeedback {
  return {
    requestId: row.request_id,
    endpoint: row.endpoint,
    revision: row.revision,
    minute: row.minute,
    kind: row.kind,
    value: JSON.parse(row.value) as unknown,
    prediction: row.prediction === null ? null : (JSON.parse(row.prediction) as unknown),
    at: row.at,
  };
}

/** False where the request's feedback is counted already. */
async function putOne(transaction: Executor, record: FeedbackRecord): Promise<boolean> {
  const { requestId, endpoint, revision, minute, kind, at } = record;
  const given = { kind, value: JSON.stringify(record.value), at };
  const inserted = await transaction
    .insertInto("feedback")
    .values({
      request_id: requestId,
      endpoint,
      revision,
      minute,
      ...given,
      prediction: null,
      counted: 0,
    })
    .onConflict((conflict) =>
      conflict.column("request_id").doUpdateSet(given).where("feedback.counted", "=", 0),
    )
    .executeTakeFirst();
  return inserted.numInsertedOrUpdatedRows === 1n;
}

async function count(transaction: Executor, requestIds: readonly string[]): Promise<void> {
  for (let from = 0; from < requestIds.length; from += IDS_AT_ONCE) {
    await transaction
      .updateTable("feedback")
      .set({ counted: 1 })
      .where("request_id", "in", requestIds.slice(from, from + IDS_AT_ONCE))
      .execute();
  }
}

async function cameOf(
  executor: Executor,
  { endpoint, revision, since }: Parameters<FeedbackStore["cameOf"]>[0],
): ReturnType<FeedbackStore["cameOf"]> {
  const row = await executor
    .selectFrom("feedback")
    .select(({ fn }) => [
      fn.countAll<number>().as("count"),
      fn.avg<number | null>(sql`at - minute * 60000`).as("delayMs"),
      fn.sum<number | null>(sql`case when kind = 'label' then 0 else 1 end`).as("judged"),
      fn
        .sum<number | null>(
          sql`case when kind = 'correct' and value = 'false' then 1.0
            when kind = 'score' then 1 - cast(value as real) else 0 end`,
        )
        .as("bad"),
    ])
    .where("endpoint", "=", endpoint)
    .where("revision", "=", revision)
    .where("at", ">=", since)
    .executeTakeFirstOrThrow();
  return {
    count: row.count,
    delayMs: Math.max(0, Math.round(row.delayMs ?? 0)),
    judged: row.judged ?? 0,
    bad: row.bad ?? 0,
  };
}

/** Feedback over any SQL database. */
export function feedbackStore(executor: Executor): FeedbackStore {
  return {
    put: async (records) =>
      atomically(executor, async (transaction) => {
        let taken = 0;
        for (const record of records) taken += (await putOne(transaction, record)) ? 1 : 0;
        return { taken, counted: records.length - taken };
      }),
    waiting: async ({ endpoint, revisions, sinceMinute, joined, limit }) => {
      const rows = await executor
        .selectFrom("feedback")
        .selectAll()
        .where("endpoint", "=", endpoint)
        .where("counted", "=", 0)
        .where("revision", "in", revisions)
        .where("minute", ">=", sinceMinute)
        .where((where) => {
          const lacks = where.and([where("kind", "=", "label"), where("prediction", "is", null)]);
          return joined ? where.not(lacks) : lacks;
        })
        .orderBy("minute")
        .orderBy("request_id")
        .limit(limit)
        .execute();
      return rows.map(storedOf);
    },
    join: async (found) => {
      await atomically(executor, async (transaction) => {
        for (const { requestId, prediction } of found) {
          await transaction
            .updateTable("feedback")
            .set({ prediction: JSON.stringify(prediction) })
            .where("request_id", "=", requestId)
            .execute();
        }
      });
    },
    count: async (requestIds) =>
      atomically(executor, async (transaction) => count(transaction, requestIds)),
    cameOf: (of) => cameOf(executor, of),
    prune: async (beforeMinute) => {
      const deleted = await executor
        .deleteFrom("feedback")
        .where("minute", "<", beforeMinute)
        .executeTakeFirst();
      return Number(deleted.numDeletedRows);
    },
  };
}
