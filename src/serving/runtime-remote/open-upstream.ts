import type { UpstreamAddress } from "../runtime/index.ts";
import type { Upstream, UpstreamOptions } from "./upstream.ts";

/** A model at another server. Its HTTP library is loaded by the first one: most gateways have none. */
export async function openUpstream(
  address: UpstreamAddress,
  options: UpstreamOptions = {},
): Promise<Upstream> {
  const module = await import("./upstream.ts");
  return new module.Upstream(address, options);
}
