import { LastgoodError } from "../../core/errors/index.ts";
import { atomically, type Executor } from "./executor.ts";
import type { CursorStore, StoredCursor } from "./store.ts";

async function read(executor: Executor, watch: string): Promise<StoredCursor | null> {
  const row = await executor
    .selectFrom("cursors")
    .select(["sequence", "body"])
    .where("watch", "=", watch)
    .executeTakeFirst();
  return row === undefined
    ? null
    : { sequence: row.sequence, body: JSON.parse(row.body) as unknown };
}

/** How far sources were read, over any SQL database. */
export function cursorStore(executor: Executor): CursorStore {
  return {
    get: async (watch) => read(executor, watch),
    advance: async ({ watch, from, body, at }) =>
      atomically(executor, async (transaction) => {
        const stored = (await read(transaction, watch))?.sequence ?? 0;
        if (stored !== from) {
          throw new LastgoodError(
            "internal",
            `what was read for ${watch} from ${from} was counted already: it is at ${stored}`,
          );
        }
        const row = { watch, sequence: from + 1, body: JSON.stringify(body), at };
        await transaction
          .insertInto("cursors")
          .values(row)
          .onConflict((conflict) => conflict.column("watch").doUpdateSet(row))
          .execute();
      }),
    prune: async (before) => {
      const deleted = await executor
        .deleteFrom("cursors")
        .where("at", "<", before)
        .executeTakeFirst();
      return Number(deleted.numDeletedRows);
    },
  };
}
