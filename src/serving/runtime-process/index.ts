export { connectProcess } from "./process-client.ts";
export { connectUnread } from "./unread-client.ts";
export { ProcessRuntime, type ProcessRuntimeOptions } from "./process-runtime.ts";
export { runShim } from "./shim.ts";
