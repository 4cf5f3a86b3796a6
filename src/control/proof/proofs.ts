import type { Proof } from "../../core/target/index.ts";
import type { Clock } from "../../core/time/index.ts";
import type { ArtefactFile, Digest, RuntimeSpec } from "../../core/version/index.ts";
import type { RevisionState } from "../../link/message/index.ts";
import type { Artifacts } from "../../storage/artifacts/index.ts";

/** What there is to prove of a version. */
export interface Provable {
  readonly digest: Digest;
  readonly files: readonly ArtefactFile[];
  readonly runtime: RuntimeSpec;
}

/** What a proof is drawn from. */
export interface ProofSources {
  readonly artifacts: Artifacts;
  /** What the gateways last said of every revision. */
  readonly revisionStates: () => readonly RevisionState[];
  /** Why the samples of these bytes disagreed when they were last replayed, or null. */
  readonly disagreement: (digest: Digest) => Promise<string | null>;
  readonly clock: Clock;
}

interface ColdVerdict {
  readonly why: string | null;
  readonly at: number;
}

/**
 * Whether versions would answer rightly if they were switched to now (DESIGN.md section 6): a loaded
 * one by its gateway's own digest and samples, a cold one by hashing its stored files, unless its
 * samples disagreed when they were last replayed.
 */
export class Proofs {
  readonly #sources: ProofSources;
  readonly #cold = new Map<Digest, ColdVerdict>();

  constructor(sources: ProofSources) {
    this.#sources = sources;
  }

  /**
   * The proof of each version as the endpoint would use it. A cold verdict may be `maxAgeMs` old; 0
   * hashes the files anew.
   */
  async of(
    endpoint: string,
    versions: readonly Provable[],
    maxAgeMs: number,
  ): Promise<(digest: Digest) => Proof> {
    const proofs = new Map<Digest, Proof>();
    for (const version of versions) {
      if (proofs.has(version.digest)) continue;
      const told = this.#fromGateways(endpoint, version.digest);
      // One after the other: hashing is bound by one disk, and the first proof is the likeliest used.
      proofs.set(
        version.digest,
        told ?? (await this.#disagreed(version)) ?? (await this.#coldProof(version, maxAgeMs)),
      );
    }
    return (digest) => proofs.get(digest) ?? { holds: false, why: "it was not looked at" };
  }

  /**
   * What gateways say of a revision they load: proven where all have it ready, not holding where one
   * found it bad; null where none has it.
   */
  #fromGateways(endpoint: string, digest: Digest): Proof | null {
    const states = this.#sources
      .revisionStates()
      .filter((state) => state.endpoint === endpoint && state.digest === digest);
    const failed = states.find((state) => state.state === "failed");
    if (failed !== undefined) {
      const why = failed.why ?? "it could not be loaded";
      return failed.code === "preflight.rejected"
        ? { holds: false, why, samplesOnly: true }
        : { holds: false, why };
    }
    const settled = states.filter((state) => state.state !== "loading");
    if (settled.length === 0 || settled.some((state) => state.state !== "ready")) return null;
    return {
      holds: true,
      warm: true,
      provenAt: Math.min(...settled.map((state) => state.provenAt ?? 0)),
    };
  }

  /** What was found by a gateway that is gone: its bytes may be right and its answers are not. */
  async #disagreed({ digest }: Provable): Promise<Proof | null> {
    const why = await this.#sources.disagreement(digest);
    return why === null ? null : { holds: false, why, samplesOnly: true };
  }

  async #coldProof(version: Provable, maxAgeMs: number): Promise<Proof> {
    const now = this.#sources.clock.now();
    const known = this.#cold.get(version.digest);
    const verdict =
      known !== undefined && now - known.at < maxAgeMs
        ? known
        : { why: await this.#hashFiles(version.files), at: now };
    this.#cold.set(version.digest, verdict);
    return verdict.why === null
      ? { holds: true, warm: false, provenAt: null }
      : { holds: false, why: verdict.why };
  }

  async #hashFiles(files: readonly ArtefactFile[]): Promise<string | null> {
    for (const file of files) {
      const verdict = await this.#sources.artifacts.verify(file.digest);
      if (verdict === "corrupt") return `${file.path} does not match its digest`;
      if (verdict === "missing") return `${file.path} is missing from the store`;
    }
    return null;
  }
}
