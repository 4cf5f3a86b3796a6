export { openLocalArtifacts } from "./local/local-artifacts.ts";
export type {
  Artifacts,
  ArtifactVerdict,
  ManifestFile,
  Manifests,
  PutArtifact,
  PutOptions,
} from "./artifacts.ts";
