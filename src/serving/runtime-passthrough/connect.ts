import type { ForwardingClient, ModelAddress } from "../runtime/index.ts";

type PassThroughAddress = Extract<ModelAddress, { readonly kind: "passthrough" }>;

/** A worker's connection to a server that speaks something of its own. */
export async function connectPassThrough(address: PassThroughAddress): Promise<ForwardingClient> {
  const { PassThroughClient } = await import("./passthrough-client.ts");
  return new PassThroughClient(address);
}
