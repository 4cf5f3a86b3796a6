import type { Executor } from "./executor.ts";
import type { OperationStore } from "./store.ts";

/** Answers of operations over any SQL database. */
export function operationStore(executor: Executor): OperationStore {
  return {
    get: async (key) => {
      const row = await executor
        .selectFrom("operations")
        .select(["answer", "at"])
        .where("key", "=", key)
        .executeTakeFirst();
      return row === undefined ? null : { answer: JSON.parse(row.answer) as unknown, at: row.at };
    },
    put: async ({ key, answer, at }) => {
      const inserted = await executor
        .insertInto("operations")
        .values({ key, answer: JSON.stringify(answer), at })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      return inserted.numInsertedOrUpdatedRows === 1n;
    },
  };
}
