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
export {
  GOLDEN_TOLERANCE,
  goldenDifference,
  halfToNumber,
  notFiniteIn,
  notFiniteObjection,
  type GoldenSample,
} from "./golden.ts";
export {
  describeRuntime,
  pipelineSteps,
  versionLabel,
  type ArtefactFile,
  type Batching,
  type EngineStamp,
  type ModelVersion,
  type PipelineStep,
  type RuntimeSpec,
  type VersionManifest,
  type VersionStatus,
} from "./version.ts";
export {
  digestSchema,
  endpointNameSchema,
  modelNameSchema,
  versionNameSchema,
} from "./name-schema.ts";
export {
  binCount,
  binLabel,
  binning,
  featureBinsSchema,
  featureValue,
  LEAST_REFERENCE_ROWS,
  MOST_FEATURES,
  referenceSetSchema,
  summariseInputs,
  type FeatureBins,
  type ReferenceSet,
} from "./reference-set.ts";
export {
  artefactFileSchema,
  batchingSchema,
  engineStampSchema,
  manifestSchema,
  runtimeSpecSchema,
  sampleFromWire,
  sampleToWire,
  signatureSchema,
  startedProcessSchema,
  tensorSpecSchema,
} from "./schema.ts";
