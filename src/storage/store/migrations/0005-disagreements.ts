import type { Migration } from "./migration.ts";

/** Versions whose samples disagreed when they were last replayed. */
export const disagreementTable: Migration = {
  number: 5,
  name: "disagreements",
  kind: "schema",
  oldestCode: 4,
  up: async (transaction) => {
    await transaction.schema
      .createTable("disagreements")
      .addColumn("digest", "text", (column) => column.primaryKey())
      .addColumn("why", "text", (column) => column.notNull())
      .addColumn("at", "bigint", (column) => column.notNull())
      .execute();
  },
};
