export { readyPathOf } from "./dialect.ts";
export { openUpstream } from "./open-upstream.ts";
export { connectRemoteModel } from "./remote-client.ts";
export { RemoteRuntime, type RemoteSettings } from "./remote-runtime.ts";
export type { RemoteAnswer, Upstream } from "./upstream.ts";
export {
  inspectUpstream,
  openRevision,
  proveUpstream,
  type OpenedUpstream,
  type UpstreamContext,
} from "./upstream-model.ts";
