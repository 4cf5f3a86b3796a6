export { connectPassThrough } from "./passthrough-client.ts";
export {
  inspectedUnread,
  PassThroughRuntime,
  UNREAD_ENGINE,
  type PassThroughSettings,
} from "./passthrough-runtime.ts";
