import type { VersionSummary, VersionView } from "../../core/api/index.ts";
import type { StoredManifest, VersionRecord } from "../../storage/store/index.ts";

/** A version's row in a list, as the API gives it. */
export function summaryOf(version: VersionRecord): VersionSummary {
  return {
    model: version.model,
    name: version.name,
    sequence: version.sequence,
    digest: version.digest,
    status: version.status,
    statusReason: version.statusReason,
    statusAt: version.statusAt,
    aliases: [...version.aliases],
    tags: { ...version.tags },
    metrics: { ...version.metrics },
    registeredAt: version.registeredAt,
    registeredBy: version.registeredBy,
  };
}

/** Everything about a version, as the API gives it. */
export function viewOf(
  version: VersionRecord,
  manifest: StoredManifest,
  known: Pick<VersionView, "servedBy" | "servers">,
): VersionView {
  return {
    ...manifest,
    ...summaryOf(version),
    inputExample: manifest.inputExample ?? null,
    ...known,
  };
}
