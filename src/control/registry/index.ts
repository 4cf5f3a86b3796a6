export {
  modelHistory,
  type InspectRequest,
  type RegistryDependencies,
  type RegistryLog,
} from "./dependencies.ts";
export { versionDigest } from "./digest.ts";
export { exampleToInputs } from "./input-example.ts";
export { RegistryService, type Verdict } from "./registry-service.ts";
export { type RegisteredVersion, type Registration } from "./registration.ts";
export { type Repaired } from "./repair.ts";
export { summaryOf } from "./view.ts";
