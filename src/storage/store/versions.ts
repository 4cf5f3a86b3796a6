import type { Selectable } from "kysely";
import type { z } from "zod";

import {
  sampleFromWire,
  type Digest,
  type manifestSchema,
  type VersionStatus,
} from "../../core/version/index.ts";
import { atomically, pageLimit, type Executor } from "./executor.ts";
import { folded } from "./models.ts";
import type { StoredManifest, VersionRecord, VersionStore } from "./store.ts";
import type { Tables } from "./tables.ts";

type Stored = z.infer<typeof manifestSchema>;
type Manifest = Omit<Stored, "golden" | "inputExample" | "reference">;
/** Rows of releases before reference sets have none. */
type Samples = Pick<Stored, "golden" | "inputExample"> & Partial<Pick<Stored, "reference">>;
type Row = Selectable<Omit<Tables["versions"], "samples">>;

const COLUMNS = [
  "model",
  "sequence",
  "name",
  "digest",
  "status",
  "status_reason",
  "status_at",
  "manifest",
] as const;

interface Beside {
  readonly tags: Readonly<Record<string, string>>;
  readonly aliases: readonly string[];
}

function recordOf(row: Row, beside: Beside): VersionRecord {
  return {
    ...(JSON.parse(row.manifest) as Manifest),
    digest: row.digest as Digest,
    status: row.status,
    statusReason: row.status_reason,
    statusAt: row.status_at,
    tags: beside.tags,
    aliases: beside.aliases,
  };
}

/** Tags and aliases of the rows, which are all of one model. */
async function recordsOf(executor: Executor, rows: readonly Row[]): Promise<VersionRecord[]> {
  const model = rows[0]?.model;
  if (model === undefined) return [];
  const numbers = rows.map((row) => row.sequence);
  const range = [Math.min(...numbers), Math.max(...numbers)] as const;
  const tags = await executor
    .selectFrom("tags")
    .select(["sequence", "key", "value"])
    .where("model", "=", model)
    .where("sequence", ">=", range[0])
    .where("sequence", "<=", range[1])
    .orderBy("key")
    .execute();
  const aliases = await executor
    .selectFrom("aliases")
    .select(["sequence", "alias"])
    .where("model", "=", model)
    .where("sequence", ">=", range[0])
    .where("sequence", "<=", range[1])
    .orderBy("alias")
    .execute();
  const tagsOf = Map.groupBy(tags, (tag) => tag.sequence);
  const aliasesOf = Map.groupBy(aliases, (alias) => alias.sequence);
  return rows.map((row) =>
    recordOf(row, {
      tags: Object.fromEntries((tagsOf.get(row.sequence) ?? []).map((tag) => [tag.key, tag.value])),
      aliases: (aliasesOf.get(row.sequence) ?? []).map((alias) => alias.alias),
    }),
  );
}

type VersionReads = Pick<
  VersionStore,
  | "list"
  | "bySequence"
  | "byName"
  | "byAlias"
  | "byDigest"
  | "samples"
  | "manifest"
  | "sequences"
  | "aliases"
>;

function oneVersion(executor: Executor): Pick<VersionStore, "bySequence" | "byName" | "byAlias"> {
  const first = async (rows: readonly Row[]): Promise<VersionRecord | null> =>
    (await recordsOf(executor, rows))[0] ?? null;
  const ofModel = (model: string) =>
    executor.selectFrom("versions").select(COLUMNS).where("model", "=", model);
  return {
    bySequence: async (model, sequence) =>
      first(await ofModel(model).where("sequence", "=", sequence).execute()),
    byName: async (model, name) => first(await ofModel(model).where("name", "=", name).execute()),
    byAlias: async (model, alias) =>
      first(
        await ofModel(model)
          .where("sequence", "=", (query) =>
            query
              .selectFrom("aliases")
              .select("aliases.sequence")
              .where("aliases.model", "=", model)
              .where("aliases.alias", "=", alias),
          )
          .execute(),
      ),
  };
}

function sequencesAndAliases(executor: Executor): Pick<VersionStore, "sequences" | "aliases"> {
  return {
    sequences: async (model) => {
      const rows = await executor
        .selectFrom("versions")
        .select("sequence")
        .where("model", "=", model)
        .orderBy("sequence")
        .execute();
      return rows.map((row) => row.sequence);
    },
    aliases: async (model) => {
      const rows = await executor
        .selectFrom("aliases")
        .select(["alias", "sequence"])
        .where("model", "=", model)
        .orderBy("alias")
        .execute();
      return Object.fromEntries(rows.map((row) => [row.alias, row.sequence]));
    },
  };
}

function versionReads(executor: Executor): VersionReads {
  const samplesRow = async (
    model: string,
    sequence: number,
  ): Promise<{ manifest: Manifest; samples: Samples } | null> => {
    const row = await executor
      .selectFrom("versions")
      .select(["manifest", "samples"])
      .where("model", "=", model)
      .where("sequence", "=", sequence)
      .executeTakeFirst();
    if (row === undefined) return null;
    return {
      manifest: JSON.parse(row.manifest) as Manifest,
      samples: JSON.parse(row.samples) as Samples,
    };
  };
  return {
    ...oneVersion(executor),
    ...sequencesAndAliases(executor),
    list: async (page) => {
      const direction = page.newestFirst === true ? "desc" : "asc";
      let query = executor
        .selectFrom("versions")
        .select(COLUMNS)
        .where("model", "=", page.model)
        .orderBy("sequence", direction)
        .limit(pageLimit(page.limit));
      if (page.status !== undefined) query = query.where("status", "=", page.status);
      if (page.after !== undefined)
        query = query.where("sequence", direction === "asc" ? ">" : "<", page.after);
      return recordsOf(executor, await query.execute());
    },
    byDigest: async (digest) => {
      const rows = await executor
        .selectFrom("versions")
        .select(COLUMNS)
        .where("digest", "=", digest)
        .orderBy("model")
        .orderBy("sequence")
        .execute();
      const records: VersionRecord[] = [];
      for (const ofModel of Map.groupBy(rows, (row) => row.model).values())
        records.push(...(await recordsOf(executor, ofModel)));
      return records;
    },
    samples: async (model, sequence) => {
      const found = await samplesRow(model, sequence);
      if (found === null) return null;
      return {
        golden: found.samples.golden.map(sampleFromWire),
        inputExample: found.samples.inputExample ?? null,
      };
    },
    manifest: async (model, sequence) => {
      const found = await samplesRow(model, sequence);
      if (found === null) return null;
      const { golden, inputExample, reference = null } = found.samples;
      return { ...found.manifest, golden, inputExample, reference };
    },
  };
}

async function insertVersion(
  transaction: Executor,
  manifest: StoredManifest,
  digest: Digest,
): Promise<boolean> {
  const { golden, inputExample, reference, ...rest } = manifest;
  await transaction
    .insertInto("models")
    .values({ name: manifest.model, folded: folded(manifest.model) })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .execute();
  const status: VersionStatus = "pending";
  const inserted = await transaction
    .insertInto("versions")
    .values({
      model: manifest.model,
      sequence: manifest.sequence,
      name: manifest.name,
      digest,
      status,
      status_reason: null,
      status_at: manifest.registeredAt,
      manifest: JSON.stringify(rest),
      samples: JSON.stringify({ golden, inputExample, reference }),
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return inserted.numInsertedOrUpdatedRows === 1n;
}

/** Versions over any SQL database. */
export function versionStore(executor: Executor): VersionStore {
  return {
    ...versionReads(executor),
    insert: async ({ manifest, digest }) =>
      atomically(executor, async (transaction) => insertVersion(transaction, manifest, digest)),
    mark: async ({ model, sequence, status, reason, at }) => {
      const updated = await executor
        .updateTable("versions")
        .set({ status, status_reason: reason, status_at: at })
        .where("model", "=", model)
        .where("sequence", "=", sequence)
        .executeTakeFirst();
      return updated.numUpdatedRows > 0n;
    },
    tag: async ({ model, sequence, set, unset }) => {
      await atomically(executor, async (transaction) => {
        for (const [key, value] of Object.entries(set)) {
          await transaction
            .insertInto("tags")
            .values({ model, sequence, key, value })
            .onConflict((conflict) =>
              conflict.columns(["model", "sequence", "key"]).doUpdateSet({ value }),
            )
            .execute();
        }
        for (const key of unset) {
          await transaction
            .deleteFrom("tags")
            .where("model", "=", model)
            .where("sequence", "=", sequence)
            .where("key", "=", key)
            .execute();
        }
      });
    },
    setAlias: async (model, alias, sequence) => {
      await executor
        .insertInto("aliases")
        .values({ model, alias, sequence })
        .onConflict((conflict) => conflict.columns(["model", "alias"]).doUpdateSet({ sequence }))
        .execute();
    },
    deleteAlias: async (model, alias) => {
      const deleted = await executor
        .deleteFrom("aliases")
        .where("model", "=", model)
        .where("alias", "=", alias)
        .executeTakeFirst();
      return deleted.numDeletedRows > 0n;
    },
  };
}
