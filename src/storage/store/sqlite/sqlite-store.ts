import { AsyncLocalStorage } from "node:async_hooks";
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";

import { Kysely, SqliteDialect } from "kysely";

import { LastgoodError } from "../../../core/errors/index.ts";
import type { Executor } from "../executor.ts";
import { readOrder, writeOrder } from "../meta.ts";
import { migrate } from "../migrations/migrate.ts";
import { nounsOver } from "../nouns.ts";
import type { MetaStore, Store, StoreOrder, StoreRebuilt } from "../store.ts";
import type { Tables } from "../tables.ts";
import { readGenerationFile, writeGenerationFile } from "./generation-file.ts";
import { keepAside, SqliteFile } from "./sqlite-file.ts";
import { asUnavailable, isUnreadable } from "./unavailable.ts";

/** Where a SQLite store lies and whom to tell. */
export interface SqliteStoreOptions {
  /** Path of the database file; `generation` lies beside it. */
  readonly path: string;
  /** Called when the file vanished or was replaced under the running server. */
  readonly onRebuilt?: (rebuilt: StoreRebuilt) => void;
}

interface Opened {
  readonly database: Executor;
  readonly rebuilt: StoreRebuilt | null;
}

async function connect(options: SqliteStoreOptions): Promise<Executor> {
  const file = new SqliteFile(options.path, (rebuilt) => options.onRebuilt?.(rebuilt));
  const database = new Kysely<Tables>({ dialect: new SqliteDialect({ database: file }) });
  try {
    await migrate(database);
    return database;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** A new store in the place of one that is missing or unreadable, one generation later. */
async function afresh(
  options: SqliteStoreOptions,
  why: "missing" | "unreadable",
  noted: StoreOrder,
): Promise<Opened> {
  const keptAside = keepAside(options.path, why);
  const database = await connect(options);
  const order = { generation: noted.generation + 1, epoch: noted.epoch };
  await writeOrder(database, order);
  writeGenerationFile(options.path, order);
  const what = why === "missing" ? "was missing" : `could not be read; it is kept as ${keptAside}`;
  const message = `${options.path} ${what}. A new store was begun: versions come back from their manifests; statuses, endpoints and histories do not`;
  return { database, rebuilt: { why, message, keptAside, generation: order.generation } };
}

/** Compares the store with the note beside it: an older copy may have been put in its place. */
async function reconcile(database: Executor, path: string): Promise<StoreRebuilt | null> {
  const stored = await readOrder(database);
  const noted = readGenerationFile(path) ?? stored;
  const older =
    noted.generation > stored.generation ||
    (noted.generation === stored.generation && noted.epoch > stored.epoch);
  const order = {
    generation: older ? noted.generation + 1 : Math.max(stored.generation, 1),
    epoch: Math.max(stored.epoch, noted.epoch),
  };
  await writeOrder(database, order);
  writeGenerationFile(path, order);
  if (!older) return null;
  const message = `${path} is an older copy than the one this data folder had: what happened since is not in it`;
  return { why: "older", message, keptAside: null, generation: order.generation };
}

async function openDatabase(options: SqliteStoreOptions): Promise<Opened> {
  mkdirSync(dirname(options.path), { recursive: true });
  const noted = readGenerationFile(options.path);
  if (!existsSync(options.path) && noted !== null) return afresh(options, "missing", noted);
  try {
    const database = await connect(options);
    return { database, rebuilt: await reconcile(database, options.path) };
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return afresh(options, "unreadable", noted ?? { generation: 0, epoch: 0 });
  }
}

function storeOver(path: string, database: Executor, rebuilt: () => StoreRebuilt | null): Store {
  const inTransaction = new AsyncLocalStorage<true>();
  const nouns = nounsOver(database);
  // There is one connection: asked from within its own transaction it would wait for ever.
  const outside = <T>(value: T): T => {
    if (inTransaction.getStore() === undefined) return value;
    throw new LastgoodError(
      "internal",
      "inside a transaction only the nouns it was given may be used",
    );
  };
  return {
    get rebuilt() {
      return rebuilt();
    },
    meta: metaOver(path, () => outside(database)),
    get models() {
      return outside(nouns.models);
    },
    get versions() {
      return outside(nouns.versions);
    },
    get endpoints() {
      return outside(nouns.endpoints);
    },
    get history() {
      return outside(nouns.history);
    },
    get operations() {
      return outside(nouns.operations);
    },
    get feedback() {
      return outside(nouns.feedback);
    },
    get cursors() {
      return outside(nouns.cursors);
    },
    get disagreements() {
      return outside(nouns.disagreements);
    },
    get evidence() {
      return outside(nouns.evidence);
    },
    get counts() {
      return outside(nouns.counts);
    },
    transaction: async (work) =>
      outside(database)
        .transaction()
        .execute((transaction) => inTransaction.run(true, () => work(nounsOver(transaction)))),
    close: async () => {
      await database.destroy();
    },
  };
}

function metaOver(path: string, database: () => Executor): MetaStore {
  const raise = async (change: (order: StoreOrder) => StoreOrder): Promise<StoreOrder> => {
    const order = await database()
      .transaction()
      .execute(async (transaction) => {
        const raised = change(await readOrder(transaction));
        await writeOrder(transaction, raised);
        return raised;
      });
    try {
      writeGenerationFile(path, order);
    } catch (error) {
      throw asUnavailable(error, path);
    }
    return order;
  };
  return {
    order: async () => readOrder(database()),
    beginEpoch: async () => raise((order) => ({ ...order, epoch: order.epoch + 1 })),
    raiseGenerationAbove: async (generation) =>
      raise((order) => ({
        ...order,
        generation: Math.max(order.generation, generation + 1),
      })),
  };
}

/**
 * Opens the store of a data folder, and makes it where there is none (generation 1). WAL, every
 * commit synced, 150 ms of waiting for a lock; one process at a time, which the caller sees to.
 * @throws `store.unavailable` when the place does not allow it or newer code is needed.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  let latest: StoreRebuilt | null = null;
  const onRebuilt = (rebuilt: StoreRebuilt): void => {
    latest = rebuilt;
    options.onRebuilt?.(rebuilt);
  };
  try {
    const { database, rebuilt } = await openDatabase({ ...options, onRebuilt });
    return storeOver(options.path, database, () => latest ?? rebuilt);
  } catch (error) {
    throw asUnavailable(error, options.path);
  }
}
