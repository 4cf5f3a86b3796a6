export { connectPassThrough } from "./connect.ts";
export { PassThroughRuntime, type PassThroughSettings } from "./passthrough-runtime.ts";
