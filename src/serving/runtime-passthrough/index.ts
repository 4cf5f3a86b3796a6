export { connectPassThrough, type PassThroughOptions } from "./passthrough-client.ts";
export {
  inspectedUnread,
  PassThroughRuntime,
  readyAnswer,
  UNREAD_ENGINE,
  type PassThroughSettings,
} from "./passthrough-runtime.ts";
