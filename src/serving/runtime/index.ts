export { generateSamples } from "./generate-samples.ts";
export { replayGolden } from "./replay-golden.ts";
export {
  ModelDied,
  UNLOADED,
  OWN_REQUESTS,
  type Forwarded,
  type ForwardingClient,
  type ForwardRequest,
  type InferResult,
  type InspectRequest,
  type LoadedModel,
  type LoadProof,
  type ModelAddress,
  type ModelClient,
  type RunFrame,
  type Runtime,
} from "./runtime.ts";
