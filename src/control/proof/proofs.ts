import { LastgoodError } from "../../core/errors/index.ts";
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
  /** On the monotonic clock, ms: one that was set back makes no verdict young again. */
  readonly at: number;
}

/** How old the verdict on stored files may be, ms; `known`: any that there is, and no file is read. */
export type ProofAge = number | "known";

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
   * The proof of each version as the endpoint would use it. A cold verdict may be as old as `age`; 0
   * hashes the files anew. Null of a version that nothing is known of.
   */
  async of(
    endpoint: string,
    versions: readonly Provable[],
    age: ProofAge,
  ): Promise<(digest: Digest) => Proof | null> {
    const proofs = new Map<Digest, Proof | null>();
    for (const version of versions) {
      if (proofs.has(version.digest)) continue;
      const told = this.#fromGateways(endpoint, version.digest);
      // One after the other: hashing is bound by one disk, and the first proof is the likeliest used.
      proofs.set(
        version.digest,
        told ?? (await this.#disagreed(version)) ?? (await this.#coldProof(version, age)),
      );
    }
    return (digest) => proofs.get(digest) ?? null;
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

  async #coldProof(version: Provable, age: ProofAge): Promise<Proof | null> {
    const verdict = await this.#coldVerdict(version, age);
    if (verdict === null) return null;
    return verdict.why === null
      ? { holds: true, warm: false, provenAt: null }
      : { holds: false, why: verdict.why };
  }

  async #coldVerdict({ digest, files }: Provable, age: ProofAge): Promise<ColdVerdict | null> {
    const known = this.#cold.get(digest) ?? null;
    if (age === "known") return known;
    const now = this.#sources.clock.monotonic();
    if (known !== null && now - known.at < age) return known;
    const verdict = { why: await this.#hashFiles(files), at: now };
    this.#cold.set(digest, verdict);
    return verdict;
  }

  async #hashFiles(files: readonly ArtefactFile[]): Promise<string | null> {
    for (const file of files) {
      const why = await this.#whyNot(file);
      if (why !== null) return `${file.path} ${why}`;
    }
    return null;
  }

  /** One file that cannot be read says nothing against other versions: they stay targets. */
  async #whyNot({ digest }: ArtefactFile): Promise<string | null> {
    try {
      const verdict = await this.#sources.artifacts.verify(digest);
      if (verdict === "corrupt") return "does not match its digest";
      return verdict === "missing" ? "is missing from the store" : null;
    } catch (error) {
      return `cannot be read: ${LastgoodError.from(error).message}`;
    }
  }
}
