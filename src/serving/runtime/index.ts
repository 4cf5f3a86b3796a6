export { configuredRemote } from "./configured-remote.ts";
export { generateSamples } from "./generate-samples.ts";
export { replayGolden } from "./replay-golden.ts";
export { RequestBound } from "./request-bound.ts";
export {
  ModelDied,
  UNLOADED,
  OWN_REQUESTS,
  type Beside,
  type Forwarded,
  type ForwardingClient,
  type ForwardRequest,
  type InferResult,
  type InspectRequest,
  type LoadedModel,
  type LoadProof,
  type MlflowForm,
  type ModelAddress,
  type ModelClient,
  type RunFrame,
  type Runtime,
  type UpstreamAddress,
} from "./runtime.ts";
