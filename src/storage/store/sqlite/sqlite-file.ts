import { existsSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";

import type { SqliteDatabase, SqliteStatement } from "kysely";

import type { StoreRebuilt } from "../store.ts";
import { readGenerationFile, syncFolder, writeGenerationFile } from "./generation-file.ts";
import { asUnavailable } from "./unavailable.ts";

/** How long a statement waits for another process's lock; it blocks the event loop meanwhile. */
const BUSY_TIMEOUT_MS = 150;
const CACHED_STATEMENTS = 300;

interface Inodes {
  readonly database: bigint | null;
  readonly log: bigint | null;
}

function inode(path: string): bigint | null {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null;
}

/**
 * Moves whatever stands in the database's place out of the way, with its log unless `ownLog` says
 * that the log is another file's; null when nothing stands there.
 */
export function keepAside(path: string, why: string, ownLog = true): string | null {
  const aside = `${path}.${why}-${new Date().toISOString().replaceAll(":", "")}`;
  rmSync(`${path}-shm`, { force: true });
  if (ownLog && existsSync(`${path}-wal`)) renameSync(`${path}-wal`, `${aside}-wal`);
  if (!existsSync(path)) return null;
  renameSync(path, aside);
  return aside;
}

/**
 * A SQLite file as Kysely wants its driver's database, which also notices when the file vanishes
 * from under the process: an open handle goes on writing into nothing. Before anything outside a
 * transaction the inodes of database and write-ahead log are compared with those of the handle; what
 * the handle still holds is then written into a new file.
 */
export class SqliteFile implements SqliteDatabase {
  readonly #path: string;
  readonly #onRebuilt: (rebuilt: StoreRebuilt) => void;
  readonly #statements = new Map<string, SqliteStatement>();
  #handle: DatabaseSync | null;
  #inodes: Inodes = { database: null, log: null };

  constructor(path: string, onRebuilt: (rebuilt: StoreRebuilt) => void) {
    this.#path = path;
    this.#onRebuilt = onRebuilt;
    this.#handle = this.#open();
  }

  /** @throws `store.unavailable`. */
  prepare(sql: string): SqliteStatement {
    return this.#guarded(() => {
      const handle = this.#present();
      if (sql === "begin") return this.#statement(handle, "begin immediate");
      // A full disk makes SQLite end the transaction by itself.
      if (sql === "rollback" && !handle.isTransaction) return NOTHING;
      return this.#statement(handle, sql);
    });
  }

  close(): void {
    this.#statements.clear();
    this.#handle?.close();
    this.#handle = null;
  }

  #guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw asUnavailable(error, this.#path);
    }
  }

  #statement(handle: DatabaseSync, sql: string): SqliteStatement {
    const cached = this.#statements.get(sql);
    if (cached !== undefined) return cached;
    if (this.#statements.size >= CACHED_STATEMENTS) this.#statements.clear();
    const prepared: StatementSync = handle.prepare(sql);
    const statement: SqliteStatement = {
      reader: prepared.columns().length > 0,
      all: (parameters) => this.#guarded(() => prepared.all(...(parameters as SQLInputValue[]))),
      run: (parameters) => this.#guarded(() => prepared.run(...(parameters as SQLInputValue[]))),
      iterate: (parameters) => prepared.iterate(...(parameters as SQLInputValue[])),
    };
    this.#statements.set(sql, statement);
    return statement;
  }

  #open(): DatabaseSync {
    const handle = new DatabaseSync(this.#path, { timeout: BUSY_TIMEOUT_MS });
    try {
      handle.exec(
        "pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on;",
      );
    } catch (error) {
      handle.close();
      throw error;
    }
    this.#statements.clear();
    this.#inodes = this.#now();
    return handle;
  }

  #now(): Inodes {
    return { database: inode(this.#path), log: inode(`${this.#path}-wal`) };
  }

  #present(): DatabaseSync {
    const handle = this.#handle;
    if (handle === null) {
      this.#handle = this.#open();
      return this.#handle;
    }
    if (handle.isTransaction) return handle;
    const now = this.#now();
    const known = this.#inodes;
    // The log is made by the first statement after opening.
    if (now.database === known.database && (known.log === null || now.log === known.log)) {
      if (known.log === null && now.log !== null) this.#inodes = now;
      return handle;
    }
    return this.#rebuild(handle, now);
  }

  #rebuild(handle: DatabaseSync, now: Inodes): DatabaseSync {
    const fresh = `${this.#path}.fresh`;
    rmSync(fresh, { force: true });
    handle.prepare("vacuum into ?").run(fresh);
    const generation = raiseGeneration(fresh, readGenerationFile(this.#path)?.generation ?? 0);
    const replaced = now.database !== null && now.database !== this.#inodes.database;
    const theirLog = now.log !== this.#inodes.log;
    const keptAside = replaced ? keepAside(this.#path, "replaced", theirLog) : null;
    for (const ending of ["-wal", "-shm"]) rmSync(`${this.#path}${ending}`, { force: true });
    renameSync(fresh, this.#path);
    syncFolder(dirname(this.#path));
    this.#handle = null;
    handle.close();
    this.#handle = this.#open();
    const place = replaced
      ? `another file stood in the place of ${this.#path}; it is kept as ${keptAside}`
      : `${this.#path} was deleted`;
    this.#onRebuilt({
      why: replaced ? "replaced" : "vanished",
      message: `${place}. The store was written anew from what the running server holds; nothing is lost`,
      keptAside,
      generation,
    });
    return this.#handle;
  }
}

const NOTHING: SqliteStatement = {
  reader: false,
  all: () => [],
  run: () => ({ changes: 0, lastInsertRowid: 0 }),
  iterate: () => [][Symbol.iterator](),
};

function raiseGeneration(path: string, noted: number): number {
  const handle = new DatabaseSync(path);
  try {
    const read = handle.prepare("select cast(value as integer) as value from meta where key = ?");
    const stored = Number(read.get("generation")?.["value"] ?? 0);
    const epoch = Number(read.get("epoch")?.["value"] ?? 0);
    const generation = Math.max(stored, noted) + 1;
    handle
      .prepare(
        "insert into meta (key, value) values ('generation', ?) on conflict (key) do update set value = excluded.value",
      )
      .run(String(generation));
    writeGenerationFile(path, { generation, epoch });
    return generation;
  } finally {
    handle.close();
  }
}
