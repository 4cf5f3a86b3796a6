export { Disagreements } from "./disagreements.ts";
export { Proofs, type ProofAge, type ProofSources, type Provable } from "./proofs.ts";
