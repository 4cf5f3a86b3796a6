/** Law 2 taken out: every version that is not loaded is taken for proven. */
import {
  Proofs as Original,
  type ProofAge,
  type Provable,
} from "../../../../src/control/proof/proofs.ts";
import type { Proof } from "../../../../src/core/target/index.ts";
import type { Digest } from "../../../../src/core/version/index.ts";

// What the sabotage does not replace.
export * from "../../../../src/control/proof/proofs.ts";

export class Proofs extends Original {
  override async of(
    endpoint: string,
    versions: readonly Provable[],
    age: ProofAge,
  ): Promise<(digest: Digest) => Proof | null> {
    const proof = await super.of(endpoint, versions, age);
    return (digest) => {
      const found = proof(digest);
      return found?.holds === true ? found : { holds: true, warm: false, provenAt: null };
    };
  }
}
