import { contractOf, leavingRevision, type EndpointState } from "../../core/rollout/index.ts";
import {
  chooseTargets,
  type TargetChoice,
  type TargetFacts,
  type VersionFacts,
} from "../../core/target/index.ts";
import type { Proofs } from "../proof/index.ts";
import { versionFacts, type VersionCatalog } from "./version-catalog.ts";

/** A cold proof that nothing hangs on may be this old, ms. */
export const COLD_PROOF_AGE_MS = 300_000;

/** Gathers what the pure choice depends on, and lets it choose. */
export class TargetChooser {
  readonly #catalog: VersionCatalog;
  readonly #proofs: Proofs;

  constructor(catalog: VersionCatalog, proofs: Proofs) {
    this.#catalog = catalog;
    this.#proofs = proofs;
  }

  /**
   * Facts for leaving what the endpoint serves now; null while it serves nothing. Cold proofs may be
   * `maxAgeMs` old. `named` is proven too, wherever it stands.
   */
  async facts(
    state: EndpointState,
    maxAgeMs: number,
    named: VersionFacts | null = null,
  ): Promise<TargetFacts | null> {
    const leaving = leavingRevision(state);
    const contract = contractOf(state);
    if (leaving === undefined || contract === null) return null;
    const model = state.identity.model;
    const records = await this.#catalog.candidates(model, state.revisions);
    const served = new Set(state.revisions.map((revision) => revision.version.sequence));
    const worthProving = records.filter(
      (version) =>
        served.has(version.sequence) ||
        version.status === "stable" ||
        version.sequence === named?.sequence,
    );
    const proof = await this.#proofs.of(state.identity.name, worthProving, maxAgeMs);
    return {
      leaving,
      revisions: state.revisions,
      versions: records.map(versionFacts),
      contract,
      proof,
    };
  }

  /**
   * Where a rollback goes now. A warm target needs no disk; where the first would be cold, every
   * cold one is hashed anew before it is trusted.
   */
  async chooseForSwitch(state: EndpointState): Promise<TargetChoice> {
    const known = await this.choose(state, COLD_PROOF_AGE_MS);
    return known.targets[0]?.warm === true ? known : this.choose(state, 0);
  }

  /** Where a rollback would go now; empty while the endpoint serves nothing. */
  async choose(state: EndpointState, maxAgeMs: number): Promise<TargetChoice> {
    const facts = await this.facts(state, maxAgeMs);
    return facts === null ? { targets: [], passedOver: [] } : chooseTargets(facts);
  }
}
