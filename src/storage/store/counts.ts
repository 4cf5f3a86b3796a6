import { sql, type RawBuilder } from "kysely";

import { atomically, type Executor } from "./executor.ts";
import type { CountRecord, CountStore } from "./store.ts";

const KEY = [
  "endpoint",
  "revision",
  "arm",
  "interval",
  "gateway",
  "incarnation",
  "worker",
] as const;

type Total = "requests" | "errors" | "rejected";

function larger(column: Total): RawBuilder<number> {
  const known = sql.ref<number>(`counts.${column}`);
  const arrived = sql.ref<number>(`excluded.${column}`);
  return sql<number>`case when ${arrived} > ${known} then ${arrived} else ${known} end`;
}

async function merge(transaction: Executor, count: CountRecord): Promise<void> {
  const { requests, errors, rejected } = count;
  const key = {
    endpoint: count.endpoint,
    revision: count.revision,
    arm: count.arm,
    interval: count.interval,
    gateway: count.gateway,
    incarnation: count.incarnation,
    worker: count.worker,
  };
  await transaction
    .insertInto("counts")
    .values({ ...key, requests, errors, rejected })
    .onConflict((conflict) =>
      conflict.columns(KEY).doUpdateSet({
        requests: larger("requests"),
        errors: larger("errors"),
        rejected: larger("rejected"),
      }),
    )
    .execute();
}

/** Request counts over any SQL database. */
export function countStore(executor: Executor): CountStore {
  return {
    merge: async (counts) => {
      if (counts.length === 0) return;
      await atomically(executor, async (transaction) => {
        for (const count of counts) await merge(transaction, count);
      });
    },
    totals: async (endpoint) => {
      const rows = await executor
        .selectFrom("counts")
        .select(({ fn }) => [
          "endpoint",
          "revision",
          "arm",
          "interval",
          fn.sum<number>("requests").as("requests"),
          fn.sum<number>("errors").as("errors"),
          fn.sum<number>("rejected").as("rejected"),
        ])
        .where("endpoint", "=", endpoint)
        .groupBy(["endpoint", "revision", "arm", "interval"])
        .orderBy("interval")
        .orderBy("revision")
        .orderBy("arm")
        .execute();
      return rows.map((row) => ({
        ...row,
        requests: row.requests,
        errors: row.errors,
        rejected: row.rejected,
      }));
    },
  };
}
