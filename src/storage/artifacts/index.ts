export { openLocalArtifacts } from "./local/local-artifacts.ts";
export type { Artifacts, ManifestFile } from "./artifacts.ts";
