import { compare, parse, type SemVer } from "semver";

import type { Revision } from "../endpoint/index.ts";
import type { PassedOver } from "../errors/index.ts";
import {
  contractDifferences,
  versionLabel,
  type Digest,
  type RuntimeSpec,
  type Signature,
  type VersionStatus,
} from "../version/index.ts";

/** What the choice has to know of a registered version. */
export interface VersionFacts {
  readonly name: string | null;
  readonly sequence: number;
  readonly digest: Digest;
  readonly runtime: RuntimeSpec;
  readonly signature: Signature;
  readonly status: VersionStatus;
  readonly statusReason: string | null;
}

/** Whether a version would answer rightly if it were switched to now (DESIGN.md section 6). */
export type Proof =
  | {
      readonly holds: true;
      readonly warm: boolean;
      /** ms since 1970; null: in the path. */ readonly provenAt: number | null;
    }
  | {
      readonly holds: false;
      readonly why: string;
      /** Set where the bytes are right and only golden samples disagree: `force` overrides that. */
      readonly samplesOnly?: true;
    };

/** Everything the choice of a rollback's target depends on. */
export interface TargetFacts {
  /** The revision to leave. */
  readonly leaving: Revision;
  readonly revisions: readonly Revision[];
  /** Every registered version of the endpoint's model. */
  readonly versions: readonly VersionFacts[];
  /** What the endpoint promises its callers. */
  readonly contract: Signature;
  /** Proof of a digest; warm ones are proven without reading a disk. */
  readonly proof: (digest: Digest) => Proof;
}

/** One place a rollback could go. */
export interface Target {
  /** The endpoint's own revision, or null for a version it never served. */
  readonly revision: number | null;
  readonly version: VersionFacts;
  readonly warm: boolean;
  readonly provenAt: number | null;
  /** Why it comes at this place, in words. */
  readonly why: string;
  /** A person insisted on it although its golden samples disagree: they are not asked again. */
  readonly withoutSamples?: true;
}

/** Targets in the order a rollback would take them, and what was not taken. */
export interface TargetChoice {
  readonly targets: readonly Target[];
  readonly passedOver: readonly PassedOver[];
}

interface Nominee {
  readonly revision: Revision | null;
  readonly version: VersionFacts;
  readonly why: string;
}

/** The semantic version a name spells (`v1.1`, `2.0.3`, `v2.0-rc1`), or null. */
export function semanticVersion(name: string | null): SemVer | null {
  const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?([-+].+)?$/i.exec(name ?? "");
  if (match === null) return null;
  return parse(`${match[1]}.${match[2] ?? 0}.${match[3] ?? 0}${match[4] ?? ""}`);
}

function sameContent(a: { digest: Digest; runtime: RuntimeSpec }, b: Revision): boolean {
  return a.digest === b.digest && JSON.stringify(a.runtime) === JSON.stringify(b.runtime);
}

function factsOf(revision: Revision, versions: readonly VersionFacts[]): VersionFacts {
  const registered = versions.find((version) => version.sequence === revision.version.sequence);
  return {
    name: revision.version.name,
    sequence: revision.version.sequence,
    digest: revision.digest,
    runtime: revision.runtime,
    signature: revision.signature,
    status: registered?.status ?? "pending",
    statusReason: registered?.statusReason ?? null,
  };
}

function ownRevisions(facts: TargetFacts): Nominee[] {
  const before = facts.revisions
    .filter((revision) => revision.revision < facts.leaving.revision)
    .toSorted((a, b) => b.revision - a.revision);
  const nominee =
    (why: string) =>
    (revision: Revision): Nominee => ({
      revision,
      version: factsOf(revision, facts.versions),
      why: `revision ${revision.revision}, ${why}`,
    });
  return [
    ...before.filter((r) => r.status === "stable").map(nominee("the newest stable one before")),
    ...before.filter((r) => r.status === "provisional").map(nominee("never survived a bake")),
    ...before.filter((r) => r.status !== "stable" && r.status !== "provisional").map(nominee("")),
  ];
}

/** Versions below the one to leave, highest first; of equal ones the newest. */
function lowerVersions(facts: TargetFacts): readonly VersionFacts[] {
  const { sequence, name } = facts.leaving.version;
  const newestFirst = facts.versions.toSorted((a, b) => b.sequence - a.sequence);
  const own = semanticVersion(name);
  if (own === null) return newestFirst.filter((version) => version.sequence < sequence);
  return newestFirst
    .flatMap((version) => {
      const semantic = semanticVersion(version.name);
      return semantic !== null && compare(semantic, own) < 0 ? [{ version, semantic }] : [];
    })
    .toSorted((a, b) => compare(b.semantic, a.semantic))
    .map(({ version }) => version);
}

/** The endpoint's newest revision of the version, a stable one before others. */
function laterRevision(facts: TargetFacts, sequence: number): Revision | undefined {
  const of = facts.revisions.filter((revision) => revision.version.sequence === sequence);
  return of.findLast((revision) => revision.status === "stable") ?? of.at(-1);
}

/** A version that was served here after the one to leave goes back to that revision of its own. */
function otherVersions(facts: TargetFacts, looked: ReadonlySet<number>): Nominee[] {
  const order =
    semanticVersion(facts.leaving.version.name) === null
      ? "the highest lower sequence"
      : "the highest lower version";
  return lowerVersions(facts)
    .filter((version) => !looked.has(version.sequence))
    .map((version): Nominee => {
      const later = laterRevision(facts, version.sequence);
      const where =
        later === undefined ? "this endpoint never served it" : `revision ${later.revision}`;
      return {
        revision: later ?? null,
        version: later === undefined ? version : factsOf(later, facts.versions),
        why: `a stable version of the model, ${order}; ${where}`,
      };
    });
}

function because(status: string, reason: string | null): string {
  return reason === null ? status : `${status}: ${reason}`;
}

/** Why a nominee is no target, or null when it is one as far as content, status and signature go. */
function objection(nominee: Nominee, facts: TargetFacts): string | null {
  const { version } = nominee;
  if (sameContent(version, facts.leaving)) return "the same content as the one to leave";
  return statusObjection(nominee, facts) ?? signatureObjection(version, facts);
}

/** A revision's own status at this endpoint goes before its version's summary. */
function statusObjection({ version, revision }: Nominee, facts: TargetFacts): string | null {
  if (version.status === "archived") return because("archived", version.statusReason);
  if (revision?.status === "stable") return null;
  const earlier = revision !== null && revision.revision < facts.leaving.revision;
  if (revision?.status === "provisional" && earlier) return null;
  if (revision !== null && revision.status !== "provisional")
    return because(revision.status, revision.reason);
  return version.status === "stable" ? null : because(version.status, version.statusReason);
}

function signatureObjection(version: VersionFacts, facts: TargetFacts): string | null {
  const differences = contractDifferences(version.signature, facts.contract);
  return differences.length === 0 ? null : `signature: ${differences.join("; ")}`;
}

function contentKey(version: VersionFacts): string {
  return `${version.sequence} ${version.digest} ${JSON.stringify(version.runtime)}`;
}

/**
 * Which revisions a rollback would take, in order (DESIGN.md section 2): the endpoint's newest
 * stable revision before the one to leave, its newest provisional one, a stable version of the model
 * below it. Each must be proven, not failed, aborted or archived, of other content, and take what
 * the contract promises. A revision's own status at this endpoint goes before its version's summary.
 * Content that is a target already is not named again.
 */
export function chooseTargets(facts: TargetFacts): TargetChoice {
  const targets: Target[] = [];
  const passedOver: PassedOver[] = [];
  const taken = new Set<string>();
  const own = ownRevisions(facts);
  const looked = new Set(own.map((nominee) => nominee.version.sequence));
  for (const nominee of [...own, ...otherVersions(facts, looked)]) {
    const { revision, version } = nominee;
    if (taken.has(contentKey(version))) continue;
    const passOver = (why: string): void => {
      const label = versionLabel(version);
      if (!passedOver.some((known) => known.version === label && known.why === why))
        passedOver.push({ version: label, why });
    };
    const objected = objection(nominee, facts);
    if (objected !== null) {
      passOver(objected);
      continue;
    }
    const proof = facts.proof(version.digest);
    if (!proof.holds) {
      passOver(proof.why);
      continue;
    }
    taken.add(contentKey(version));
    targets.push({
      revision: revision?.revision ?? null,
      version,
      warm: proof.warm,
      provenAt: proof.provenAt,
      why: nominee.why,
    });
  }
  return { targets, passedOver };
}

/** What may be overlooked for a version that a person named. */
export interface NamedOptions {
  /** Overrides status, signature and golden samples; never a digest. */
  readonly force: boolean;
}

/**
 * Why a version that a person named cannot be gone back to, or null when it can. The proof is asked
 * for last, so that status and signature are named first.
 */
export function namedObjection(
  version: VersionFacts,
  revision: Revision | null,
  facts: TargetFacts,
  options: NamedOptions,
): string | null {
  if (!options.force) {
    const objected = namedStatusObjection(version, revision) ?? signatureObjection(version, facts);
    if (objected !== null) return objected;
  }
  const proof = facts.proof(version.digest);
  if (proof.holds || (options.force && proof.samplesOnly === true)) return null;
  return proof.why;
}

/** A person may name what was never judged; what was judged bad takes `force`. */
function namedStatusObjection(version: VersionFacts, revision: Revision | null): string | null {
  if (version.status === "archived") return because("archived", version.statusReason);
  if (revision !== null)
    return ["failed", "aborted", "rejected"].includes(revision.status)
      ? because(revision.status, revision.reason)
      : null;
  return version.status === "failed" ? because("failed", version.statusReason) : null;
}
