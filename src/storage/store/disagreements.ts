import type { Executor } from "./executor.ts";
import type { DisagreementStore } from "./store.ts";

/** Versions whose samples disagreed, over any SQL database. */
export function disagreementStore(executor: Executor): DisagreementStore {
  return {
    get: async (digest) =>
      (await executor
        .selectFrom("disagreements")
        .select(["why", "at"])
        .where("digest", "=", digest)
        .executeTakeFirst()) ?? null,
    put: async (row) => {
      await executor
        .insertInto("disagreements")
        .values(row)
        .onConflict((conflict) => conflict.column("digest").doUpdateSet(row))
        .execute();
    },
    forget: async (digest) => {
      await executor.deleteFrom("disagreements").where("digest", "=", digest).execute();
    },
  };
}
