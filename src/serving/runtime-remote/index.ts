export { readyPathOf } from "./dialect.ts";
export { connectRemoteModel } from "./remote-client.ts";
export { RemoteRuntime, type RemoteSettings } from "./remote-runtime.ts";
export { resultOf, Upstream, type RemoteAnswer } from "./upstream.ts";
export {
  inspectUpstream,
  openRevision,
  proveUpstream,
  type OpenedUpstream,
  type UpstreamContext,
} from "./upstream-model.ts";
