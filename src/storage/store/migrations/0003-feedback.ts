import type { Transaction } from "kysely";

import type { Tables } from "../tables.ts";
import type { Migration } from "./migration.ts";

async function feedback(transaction: Transaction<Tables>): Promise<void> {
  const { schema } = transaction;
  await schema
    .createTable("feedback")
    .addColumn("request_id", "text", (column) => column.primaryKey())
    .addColumn("endpoint", "text", (column) => column.notNull())
    .addColumn("revision", "integer", (column) => column.notNull())
    .addColumn("minute", "integer", (column) => column.notNull())
    .addColumn("kind", "text", (column) => column.notNull())
    .addColumn("value", "text", (column) => column.notNull())
    .addColumn("prediction", "text")
    .addColumn("counted", "integer", (column) => column.notNull())
    .addColumn("at", "bigint", (column) => column.notNull())
    .execute();
  await schema
    .createIndex("feedback_waiting")
    .on("feedback")
    .columns(["endpoint", "counted", "revision", "minute"])
    .execute();
  await schema.createIndex("feedback_minute").on("feedback").column("minute").execute();
}

async function cursors(transaction: Transaction<Tables>): Promise<void> {
  await transaction.schema
    .createTable("cursors")
    .addColumn("watch", "text", (column) => column.primaryKey())
    .addColumn("sequence", "bigint", (column) => column.notNull())
    .addColumn("body", "text", (column) => column.notNull())
    .addColumn("at", "bigint", (column) => column.notNull())
    .execute();
}

/** What callers tell of predictions, and how far each source of evidence was read. */
export const feedbackTables: Migration = {
  number: 3,
  name: "feedback",
  kind: "schema",
  oldestCode: 2,
  up: async (transaction) => {
    await feedback(transaction);
    await cursors(transaction);
  },
};
