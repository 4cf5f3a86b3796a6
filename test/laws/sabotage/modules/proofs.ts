/** Law 2 taken out: every version that is not loaded is taken for proven. */
import { Proofs as Original, type Provable } from "../../../../src/control/proof/proofs.ts";
import type { Proof } from "../../../../src/core/target/index.ts";
import type { Digest } from "../../../../src/core/version/index.ts";

// What the sabotage does not replace.
export * from "../../../../src/control/proof/proofs.ts";

export class Proofs extends Original {
  override async of(
    endpoint: string,
    versions: readonly Provable[],
    maxAgeMs: number,
  ): Promise<(digest: Digest) => Proof> {
    const proof = await super.of(endpoint, versions, maxAgeMs);
    return (digest) => {
      const found = proof(digest);
      return found.holds ? found : { holds: true, warm: false, provenAt: null };
    };
  }
}
