export {
  blobPath,
  parseAlias,
  parseDigest,
  parseEndpointName,
  parseModelName,
  parseVersionName,
  type Digest,
  type EndpointName,
  type ModelName,
  type VersionName,
} from "./name.ts";
export {
  parseVersionReference,
  parseVersionSelector,
  type VersionReference,
  type VersionSelector,
} from "./reference.ts";
export {
  contractDifferences,
  describeSpec,
  type MapsSpec,
  type OutputSpec,
  type Signature,
  type TensorSpec,
} from "./signature.ts";
export { GOLDEN_TOLERANCE, goldenDifference, halfToNumber, type GoldenSample } from "./golden.ts";
export {
  describeRuntime,
  versionLabel,
  type ArtefactFile,
  type Batching,
  type EngineStamp,
  type ModelVersion,
  type RuntimeSpec,
  type VersionManifest,
  type VersionStatus,
} from "./version.ts";
export {
  artefactFileSchema,
  batchingSchema,
  digestSchema,
  endpointNameSchema,
  engineStampSchema,
  manifestSchema,
  modelNameSchema,
  runtimeSpecSchema,
  sampleFromWire,
  sampleToWire,
  signatureSchema,
  tensorSpecSchema,
  versionNameSchema,
} from "./schema.ts";
