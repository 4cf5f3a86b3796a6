import type { Kysely } from "kysely";

import { LastgoodError } from "../../../core/errors/index.ts";
import type { Tables } from "../tables.ts";
import { firstTables } from "./0001-first-tables.ts";
import { watchedRollouts } from "./0002-watched-rollouts.ts";
import { feedbackTables } from "./0003-feedback.ts";
import { wantedReturns } from "./0004-wanted-returns.ts";
import { disagreementTable } from "./0005-disagreements.ts";
import type { Migration } from "./migration.ts";

/** Every step, in order. */
export const MIGRATIONS: readonly Migration[] = [
  firstTables,
  watchedRollouts,
  feedbackTables,
  wantedReturns,
  disagreementTable,
];

async function numberInMeta(database: Kysely<Tables>, key: string): Promise<number> {
  const row = await database
    .selectFrom("meta")
    .select("value")
    .where("key", "=", key)
    .executeTakeFirst();
  return Number(row?.value ?? 0);
}

async function setInMeta(database: Kysely<Tables>, key: string, value: number): Promise<void> {
  await database
    .insertInto("meta")
    .values({ key, value: String(value) })
    .onConflict((conflict) => conflict.column("key").doUpdateSet({ value: String(value) }))
    .execute();
}

/**
 * Brings a store to the form this code knows, each step in a transaction of its own. A store that
 * newer code has changed is opened as it is where that code says an older one may.
 * @throws `store.unavailable` when the store needs newer code.
 */
export async function migrate(
  database: Kysely<Tables>,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  await database.schema
    .createTable("meta")
    .ifNotExists()
    .addColumn("key", "text", (column) => column.primaryKey())
    .addColumn("value", "text", (column) => column.notNull())
    .execute();
  const known = migrations.at(-1)?.number ?? 0;
  const stored = await numberInMeta(database, "schema");
  const oldestCode = await numberInMeta(database, "oldestCode");
  if (oldestCode > known) {
    throw new LastgoodError(
      "store.unavailable",
      `the store was changed by a newer lastgood: it has form ${stored} and needs code that knows form ${oldestCode}; this one knows ${known}`,
      {
        hint: "start the newer version again, or restore a backup of the data folder made before it",
        details: { stored, oldestCode, known },
      },
    );
  }
  for (const migration of migrations) {
    if (migration.number <= stored) continue;
    await database.transaction().execute(async (transaction) => {
      await migration.up(transaction);
      await setInMeta(transaction, "schema", migration.number);
      await setInMeta(transaction, "oldestCode", migration.oldestCode);
    });
  }
}
