export { connectModel } from "./model-client.ts";
export { runModelProcess } from "./model-process.ts";
export { OnnxRuntime, type OnnxRuntimeOptions } from "./onnx-runtime.ts";
