import { contractOf, leavingRevision, type EndpointState } from "../../core/rollout/index.ts";
import {
  chooseTargets,
  type Proof,
  type TargetChoice,
  type TargetFacts,
} from "../../core/target/index.ts";
import type { Digest } from "../../core/version/index.ts";
import type { VersionRecord } from "../../storage/store/index.ts";
import type { ProofAge, Proofs } from "../proof/index.ts";
import { versionFacts, type VersionCatalog } from "./version-catalog.ts";

/** A cold proof that nothing hangs on may be this old, ms. */
export const COLD_PROOF_AGE_MS = 300_000;
/** Targets that are proven and kept in order; a rollback that fails on all of them has no fourth. */
const PROVEN_TARGETS = 3;

const NOT_LOOKED_AT: Proof = { holds: false, why: "it was not looked at" };

type UnprovenFacts = Omit<TargetFacts, "proof">;

interface Gathered {
  readonly facts: UnprovenFacts;
  readonly records: readonly VersionRecord[];
}

/** Gathers what the pure choice depends on, and lets it choose. */
export class TargetChooser {
  readonly #catalog: VersionCatalog;
  readonly #proofs: Proofs;

  constructor(catalog: VersionCatalog, proofs: Proofs) {
    this.#catalog = catalog;
    this.#proofs = proofs;
  }

  /**
   * Facts for leaving what the endpoint serves now, with the proof of one version in them; null while
   * the endpoint serves nothing.
   */
  async factsAbout(
    state: EndpointState,
    version: VersionRecord,
    maxAgeMs: number,
  ): Promise<TargetFacts | null> {
    const gathered = await this.#gather(state);
    if (gathered === null) return null;
    const proof = await this.#proofs.of(state.identity.name, [version], maxAgeMs);
    return { ...gathered.facts, proof: (digest) => proof(digest) ?? NOT_LOOKED_AT };
  }

  /**
   * Where a rollback goes now. A warm target needs no disk, and what comes after it is not waited for:
   * its gateway hashes it when it loads it. Where the first would be cold, every cold one is hashed anew
   * before it is trusted.
   */
  async chooseForSwitch(state: EndpointState): Promise<TargetChoice> {
    const known = await this.#choose(state, "known", () => true);
    return known.targets[0]?.warm === true ? known : this.choose(state, 0);
  }

  /**
   * Where a rollback would go now; empty while the endpoint serves nothing. Cold proofs may be as old
   * as `age`; where only what is `known` counts, versions of which nothing is known are left out. Only as
   * many versions are proven as a rollback would try.
   */
  choose(state: EndpointState, age: ProofAge): Promise<TargetChoice> {
    return this.#choose(state, age, (proof) => proof !== null);
  }

  async #choose(
    state: EndpointState,
    age: ProofAge,
    isTarget: (proof: Proof | null) => boolean,
  ): Promise<TargetChoice> {
    const gathered = await this.#gather(state);
    if (gathered === null) return { targets: [], passedOver: [] };
    const { facts, records } = gathered;
    const proven = new Map<Digest, Proof | null>();
    const supposed: Proof = { holds: true, warm: false, provenAt: null };
    // Ends: each round proves at least one more of finitely many versions.
    for (;;) {
      const choice = chooseTargets({ ...facts, proof: (digest) => proven.get(digest) ?? supposed });
      const first = choice.targets.slice(0, PROVEN_TARGETS);
      const open = new Set(
        first.map((target) => target.version.digest).filter((digest) => !proven.has(digest)),
      );
      if (open.size === 0) {
        const targets = first.filter(({ version }) => isTarget(proven.get(version.digest) ?? null));
        return { targets, passedOver: choice.passedOver };
      }
      const versions = records.filter((version) => open.has(version.digest));
      const proof = await this.#proofs.of(state.identity.name, versions, age);
      for (const digest of open) proven.set(digest, proof(digest));
    }
  }

  async #gather(state: EndpointState): Promise<Gathered | null> {
    const leaving = leavingRevision(state);
    const contract = contractOf(state);
    if (leaving === undefined || contract === null) return null;
    const { model } = state.identity;
    const records = await this.#catalog.candidates(model, state.revisions);
    const versions = records.map(versionFacts);
    return { facts: { leaving, revisions: state.revisions, versions, contract }, records };
  }
}
