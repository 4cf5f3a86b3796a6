export { Proofs, type ProofSources, type Provable } from "./proofs.ts";
