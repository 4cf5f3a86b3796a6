import { sql, type Transaction } from "kysely";

import type { Tables } from "../tables.ts";
import type { Migration } from "./migration.ts";

async function registry(transaction: Transaction<Tables>): Promise<void> {
  const schema = transaction.schema;
  await schema
    .createTable("models")
    .addColumn("name", "text", (column) => column.primaryKey())
    .addColumn("folded", "text", (column) => column.notNull().unique())
    .execute();
  await schema
    .createTable("versions")
    .addColumn("model", "text", (column) => column.notNull())
    .addColumn("sequence", "integer", (column) => column.notNull())
    .addColumn("name", "text")
    .addColumn("digest", "text", (column) => column.notNull())
    .addColumn("status", "text", (column) => column.notNull())
    .addColumn("status_reason", "text")
    .addColumn("status_at", "bigint", (column) => column.notNull())
    .addColumn("manifest", "text", (column) => column.notNull())
    .addColumn("samples", "text", (column) => column.notNull())
    .addPrimaryKeyConstraint("versions_key", ["model", "sequence"])
    .addUniqueConstraint("versions_name", ["model", "name"])
    .execute();
  await schema.createIndex("versions_digest").on("versions").column("digest").execute();
  await schema
    .createIndex("versions_status")
    .on("versions")
    .columns(["model", "status", "sequence"])
    .execute();
  await schema
    .createTable("tags")
    .addColumn("model", "text", (column) => column.notNull())
    .addColumn("sequence", "integer", (column) => column.notNull())
    .addColumn("key", "text", (column) => column.notNull())
    .addColumn("value", "text", (column) => column.notNull())
    .addPrimaryKeyConstraint("tags_key", ["model", "sequence", "key"])
    .execute();
  await schema
    .createTable("aliases")
    .addColumn("model", "text", (column) => column.notNull())
    .addColumn("alias", "text", (column) => column.notNull())
    .addColumn("sequence", "integer", (column) => column.notNull())
    .addPrimaryKeyConstraint("aliases_key", ["model", "alias"])
    .execute();
  await schema
    .createIndex("aliases_sequence")
    .on("aliases")
    .columns(["model", "sequence"])
    .execute();
}

async function endpoints(transaction: Transaction<Tables>): Promise<void> {
  const schema = transaction.schema;
  await schema
    .createTable("endpoints")
    .addColumn("name", "text", (column) => column.primaryKey())
    .addColumn("model", "text", (column) => column.notNull())
    .addColumn("state", "text", (column) => column.notNull())
    .addColumn("revision_of_state", "integer", (column) => column.notNull())
    .execute();
  await schema
    .createTable("history")
    .addColumn("endpoint", "text", (column) => column.notNull())
    .addColumn("sequence", "integer", (column) => column.notNull())
    .addColumn("at", "bigint", (column) => column.notNull())
    .addColumn("kind", "text", (column) => column.notNull())
    .addColumn("actor", "text", (column) => column.notNull())
    .addColumn("reason", "text")
    .addColumn("data", "text", (column) => column.notNull())
    .addColumn("previous", "text")
    .addColumn("hash", "text", (column) => column.notNull())
    .addColumn("once", "text")
    .addPrimaryKeyConstraint("history_key", ["endpoint", "sequence"])
    .addUniqueConstraint("history_once", ["endpoint", "once"])
    .execute();
}

async function bookkeeping(transaction: Transaction<Tables>): Promise<void> {
  const schema = transaction.schema;
  await schema
    .createTable("operations")
    .addColumn("key", "text", (column) => column.primaryKey())
    .addColumn("answer", "text", (column) => column.notNull())
    .addColumn("at", "bigint", (column) => column.notNull())
    .execute();
  const counts = schema
    .createTable("counts")
    .addColumn("endpoint", "text", (column) => column.notNull())
    .addColumn("revision", "integer", (column) => column.notNull())
    .addColumn("arm", "text", (column) => column.notNull())
    .addColumn("interval", "integer", (column) => column.notNull())
    .addColumn("gateway", "text", (column) => column.notNull())
    .addColumn("incarnation", "text", (column) => column.notNull())
    .addColumn("worker", "integer", (column) => column.notNull())
    .addColumn("requests", "bigint", (column) => column.notNull())
    .addColumn("errors", "bigint", (column) => column.notNull())
    .addColumn("rejected", "bigint", (column) => column.notNull());
  await counts
    .addPrimaryKeyConstraint("counts_key", [
      "endpoint",
      "revision",
      "arm",
      "interval",
      "gateway",
      "incarnation",
      "worker",
    ])
    .execute();
}

/** What the registry, the endpoints and their histories need. */
export const firstTables: Migration = {
  number: 1,
  name: "first tables",
  kind: "schema",
  oldestCode: 1,
  up: async (transaction) => {
    await registry(transaction);
    await endpoints(transaction);
    await bookkeeping(transaction);
    for (const change of ["update", "delete"]) {
      await sql`create trigger ${sql.ref(`history_no_${change}`)} before ${sql.raw(change)} on history
        begin select raise(abort, 'history is append-only'); end`.execute(transaction);
    }
  },
};
