export { connectRemoteModel } from "./remote-client.ts";
export { RemoteRuntime, type RemoteSettings } from "./remote-runtime.ts";
