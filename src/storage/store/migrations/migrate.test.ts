import { DatabaseSync } from "node:sqlite";

import { Kysely, SqliteDialect, type SqliteDatabase } from "kysely";
import { expect, test } from "vitest";

import type { Tables } from "../tables.ts";
import { migrate, MIGRATIONS } from "./migrate.ts";
import type { Migration } from "./migration.ts";

function inMemory(): { raw: DatabaseSync; database: Kysely<Tables> } {
  const raw = new DatabaseSync(":memory:");
  const adapter: SqliteDatabase = {
    close: () => {
      raw.close();
    },
    prepare: (sql) => {
      const statement = raw.prepare(sql);
      return {
        reader: statement.columns().length > 0,
        all: (parameters) => statement.all(...(parameters as string[])),
        run: (parameters) => statement.run(...(parameters as string[])),
        iterate: (parameters) => statement.iterate(...(parameters as string[])),
      };
    },
  };
  return {
    raw,
    database: new Kysely<Tables>({ dialect: new SqliteDialect({ database: adapter }) }),
  };
}

function step(number: number, over: Partial<Migration> = {}): Migration {
  return {
    number,
    name: `step ${number}`,
    kind: "schema",
    oldestCode: 1,
    up: async (transaction) => {
      await transaction.schema.createTable(`step_${number}`).addColumn("x", "text").execute();
    },
    ...over,
  };
}

const numberOf = (raw: DatabaseSync, key: string): unknown =>
  raw.prepare("select value from meta where key = ?").get(key);

test("the steps are numbered without gaps and say which code may open what they leave", () => {
  expect(MIGRATIONS.map((migration) => migration.number)).toEqual(
    MIGRATIONS.map((_, index) => index + 1),
  );
  for (const { number, oldestCode } of MIGRATIONS) expect(oldestCode).toBeLessThanOrEqual(number);
});

test("only the steps that are missing are taken", async () => {
  const { raw, database } = inMemory();
  await migrate(database, [step(1)]);
  await migrate(database, [step(1), step(2, { oldestCode: 2 })]);
  await migrate(database, [step(1), step(2, { oldestCode: 2 })]);
  expect(numberOf(raw, "schema")).toEqual({ value: "2" });
  await expect(migrate(database, [step(1)])).rejects.toMatchObject({ code: "store.unavailable" });
  await database.destroy();
});

test("a step that fails leaves the store as it was before it", async () => {
  const { raw, database } = inMemory();
  const failing = step(2, {
    up: async (transaction) => {
      await step(2).up(transaction);
      throw new Error("power cut");
    },
  });
  await expect(migrate(database, [step(1), failing])).rejects.toThrow("power cut");
  expect(numberOf(raw, "schema")).toEqual({ value: "1" });
  await migrate(database, [step(1), step(2)]);
  expect(numberOf(raw, "schema")).toEqual({ value: "2" });
  await database.destroy();
});
