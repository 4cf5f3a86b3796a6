/** Facts for the choice of a target, in a few words. */
import type { Revision, RevisionStatus } from "../../src/core/endpoint/index.ts";
import type { Proof, TargetFacts, VersionFacts } from "../../src/core/target/index.ts";
import {
  parseModelName,
  type RuntimeSpec,
  type VersionStatus,
} from "../../src/core/version/index.ts";
import { digestOf, signatureOf, versionOf } from "./rollout-facts.ts";

/** What holds now. */
export const proven: Proof = { holds: true, warm: true, provenAt: 1 };

/** A revision of the version with a status of its own. */
export function revision(
  number: number,
  version: VersionFacts,
  status: RevisionStatus,
  reason: string | null = null,
): Revision {
  return {
    revision: number,
    version: { model: parseModelName("fraud"), name: version.name, sequence: version.sequence },
    digest: version.digest,
    runtime: version.runtime,
    signature: version.signature,
    changedVersion: true,
    status,
    reason,
    createdAt: 0,
    carriedAllAt: status === "stable" || status === "provisional" ? 0 : null,
    stableAt: status === "stable" ? 0 : null,
  };
}

/** A registered version, and what became of it here if it was served. */
export interface Served {
  readonly name: string | null;
  readonly revision?: RevisionStatus;
  readonly version?: VersionStatus;
  readonly reason?: string;
  readonly runtime?: RuntimeSpec;
  readonly digest?: number;
  readonly dtype?: "FP32" | "FP64";
  readonly proof?: Proof;
}

/** Facts from a list of versions in the order they were registered; those served get revisions 1, 2, 3… */
export function facts(leaving: string, ...served: readonly Served[]): TargetFacts {
  const versions = served.map((each, index): VersionFacts => ({
    ...versionOf(index + 1, each.name),
    ...(each.digest === undefined ? {} : { digest: digestOf(each.digest) }),
    ...(each.runtime === undefined ? {} : { runtime: each.runtime }),
    signature: signatureOf(each.dtype),
    status: each.version ?? "pending",
    statusReason: each.version === "failed" ? (each.reason ?? null) : null,
  }));
  const revisions = served.flatMap((each, index): Revision[] => {
    const version = versions[index];
    if (each.revision === undefined || version === undefined) return [];
    const number = served.slice(0, index + 1).filter((other) => other.revision).length;
    return [revision(number, version, each.revision, each.reason ?? null)];
  });
  const left = revisions.find((each) => each.version.name === leaving);
  if (left === undefined) throw new Error(`${leaving} was never served`);
  return {
    leaving: left,
    revisions,
    versions,
    contract: left.signature,
    proof: (digest) => {
      const index = versions.findIndex((version) => version.digest === digest);
      return served[index]?.proof ?? proven;
    },
  };
}
