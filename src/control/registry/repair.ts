import { LastgoodError } from "../../core/errors/index.ts";
import type { RegistryDependencies } from "./dependencies.ts";
import { versionDigest } from "./digest.ts";
import { storeRow } from "./registration.ts";

/** What bringing manifests and rows together did. */
export interface Repaired {
  /** Rows made from manifests: a crash, or the loss of the store. */
  readonly inserted: number;
  /** Manifests written from rows. */
  readonly rewritten: number;
  /** In words: what could not be repaired. */
  readonly problems: readonly string[];
}

type Parts = Pick<RegistryDependencies, "store" | "artifacts">;

async function attempt(work: () => Promise<void>): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (error) {
    const known = LastgoodError.from(error);
    if (known.code === "store.unavailable") throw error;
    return known.message;
  }
}

async function insertFrom(
  { store, artifacts }: Parts,
  model: string,
  sequence: number,
): Promise<void> {
  const manifest = await artifacts.manifests.read(model, sequence);
  if (manifest === null) return;
  const digest = versionDigest(manifest.files, manifest.runtime);
  await storeRow({ store }, { manifest, digest, tags: {} });
}

async function rewrite(
  { store, artifacts }: Parts,
  model: string,
  sequence: number,
): Promise<void> {
  const manifest = await store.versions.manifest(model, sequence);
  if (manifest !== null) await artifacts.manifests.write(manifest);
}

async function modelNames({ store, artifacts }: Parts): Promise<Set<string>> {
  const names = new Set(await artifacts.manifests.models());
  let after = "";
  for (;;) {
    const page = await store.models.list({ after, limit: 1_000 });
    for (const model of page) names.add(model.name);
    const last = page.at(-1);
    if (last === undefined) return names;
    after = last.name;
  }
}

/**
 * Brings manifests and rows together, as a crash between the two writes, or the loss of either,
 * may have left them apart: a manifest without its row gets one (`pending`), a row without its
 * manifest has it written again. Safe to repeat.
 * @throws `store.unavailable`.
 */
export async function repairRegistry(parts: Parts): Promise<Repaired> {
  const problems: string[] = [];
  let inserted = 0;
  let rewritten = 0;
  for (const model of await modelNames(parts)) {
    const onDisk = new Set(await parts.artifacts.manifests.sequences(model));
    const inStore = new Set(await parts.store.versions.sequences(model));
    for (const sequence of onDisk) {
      if (inStore.has(sequence)) continue;
      const problem = await attempt(async () => insertFrom(parts, model, sequence));
      if (problem === null) inserted += 1;
      else problems.push(`${model} number ${sequence}: ${problem}`);
    }
    for (const sequence of inStore) {
      if (onDisk.has(sequence)) continue;
      const problem = await attempt(async () => rewrite(parts, model, sequence));
      if (problem === null) rewritten += 1;
      else problems.push(`${model} number ${sequence}: ${problem}`);
    }
  }
  return { inserted, rewritten, problems };
}
