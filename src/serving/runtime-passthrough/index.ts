export { connectPassThrough } from "./passthrough-client.ts";
export { PassThroughRuntime, type PassThroughSettings } from "./passthrough-runtime.ts";
