import type { ModelName } from "../../core/version/index.ts";
import { pageLimit, type Executor } from "./executor.ts";
import type { ModelRecord, ModelStore } from "./store.ts";

/** Names as a file system without upper and lower case would see them. */
export function folded(name: string): string {
  return name.toLowerCase();
}

/** Models over any SQL database. */
export function modelStore(executor: Executor): ModelStore {
  const newest = async (name: string): Promise<ModelRecord["newest"]> => {
    const row = await executor
      .selectFrom("versions")
      .select(["name", "sequence"])
      .where("model", "=", name)
      .orderBy("sequence", "desc")
      .limit(1)
      .executeTakeFirst();
    return row ?? null;
  };
  // Versions are never deleted and numbered without gaps, so the newest number is their count.
  const record = async (name: string): Promise<ModelRecord> => {
    const last = await newest(name);
    return { name: name as ModelName, versions: last?.sequence ?? 0, newest: last };
  };
  return {
    list: async (page = {}) => {
      const rows = await executor
        .selectFrom("models")
        .select("name")
        .where("name", ">", page.after ?? "")
        .orderBy("name")
        .limit(pageLimit(page.limit))
        .execute();
      const records: ModelRecord[] = [];
      for (const row of rows) records.push(await record(row.name));
      return records;
    },
    get: async (name) => {
      const row = await executor
        .selectFrom("models")
        .select("name")
        .where("name", "=", name)
        .executeTakeFirst();
      return row === undefined ? null : record(row.name);
    },
    existing: async (names) => {
      if (names.length === 0) return [];
      const rows = await executor
        .selectFrom("models")
        .select("name")
        .where("name", "in", names)
        .execute();
      return rows.map((row) => row.name);
    },
    sameButCase: async (name) => {
      const row = await executor
        .selectFrom("models")
        .select("name")
        .where("folded", "=", folded(name))
        .where("name", "!=", name)
        .executeTakeFirst();
      return row?.name ?? null;
    },
  };
}
