export { Disagreements } from "./disagreements.ts";
export { Proofs, type ProofSources, type Provable } from "./proofs.ts";
