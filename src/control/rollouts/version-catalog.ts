import type { Revision } from "../../core/endpoint/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { VersionFacts } from "../../core/target/index.ts";
import type { StoredManifest, Store, VersionRecord } from "../../storage/store/index.ts";

/** Versions looked at for a rollback beside those the endpoint has served. */
const LOOKED_AT = 200;

/** Manifests never change, so each is read once; the store may be gone when it is needed again. */
export class VersionCatalog {
  readonly #store: Store;
  readonly #manifests = new Map<string, StoredManifest>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** @throws `version.not-found` when the registry has no such version. */
  async manifest(model: string, sequence: number): Promise<StoredManifest> {
    const key = `${model} ${sequence}`;
    const known = this.#manifests.get(key);
    if (known !== undefined) return known;
    const manifest = await this.#store.versions.manifest(model, sequence);
    if (manifest === null)
      throw new LastgoodError("version.not-found", `${model} has no version #${sequence}`);
    this.#manifests.set(key, manifest);
    return manifest;
  }

  /** The newest versions of the model and those of the given revisions. */
  async candidates(
    model: string,
    revisions: readonly Revision[],
  ): Promise<readonly VersionRecord[]> {
    const newest = await this.#store.versions.list({ model, limit: LOOKED_AT, newestFirst: true });
    const known = new Set(newest.map((version) => version.sequence));
    const older: VersionRecord[] = [];
    for (const revision of revisions) {
      if (known.has(revision.version.sequence)) continue;
      known.add(revision.version.sequence);
      const version = await this.#store.versions.bySequence(model, revision.version.sequence);
      if (version !== null) older.push(version);
    }
    return [...newest, ...older];
  }
}

/** What the choice of a target has to know of a version. */
export function versionFacts(version: VersionRecord): VersionFacts {
  return {
    name: version.name,
    sequence: version.sequence,
    digest: version.digest,
    runtime: version.runtime,
    signature: version.signature,
    status: version.status,
    statusReason: version.statusReason,
  };
}
