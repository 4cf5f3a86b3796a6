import type { OipAddress, OipRemote } from "./oip-remote.ts";

/** A model at a remote server. Its HTTP library is loaded by the first one: most servers have none. */
export async function openRemote(address: OipAddress): Promise<OipRemote> {
  const module = await import("./oip-remote.ts");
  return new module.OipRemote(address);
}
