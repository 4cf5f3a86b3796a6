export { folderOffers } from "./folder-source.ts";
export { gitOffers } from "./git-source.ts";
export { importVersions, type ImportedVersion } from "./import-versions.ts";
export { MlflowClient } from "./mlflow-client.ts";
export { mlflowOffers, parseModelsUri } from "./mlflow-source.ts";
export type { OfferedVersion } from "./offered-version.ts";
