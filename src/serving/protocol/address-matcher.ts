import { pathSegments, type Address, type PathResource } from "./address.ts";
import type { ScoringProtocol } from "./call.ts";

const REMEMBERED_PATHS = 1024;

function ownProbe(segments: readonly string[]): PathResource | null {
  const [first] = segments;
  if (segments.length !== 1 || (first !== "healthz" && first !== "readyz")) return null;
  return { method: "GET", address: { kind: first } };
}

interface KnownPath {
  readonly get: Address;
  readonly post: Address;
  readonly other: Address;
}

function knownPath({ method, address }: PathResource): KnownPath {
  const other: Address = {
    kind: "method-not-allowed",
    protocol: "protocol" in address ? address.protocol : null,
    allow: method === "GET" ? "GET, HEAD" : "POST",
  };
  return method === "GET"
    ? { get: address, post: other, other }
    : { get: other, post: address, other };
}

/**
 * Gives the function that says what a method and a path (without query) name; null is a 404. It
 * remembers the paths it has seen, up to a bound, so that a known path costs one look-up.
 */
export function addressMatcher(
  protocols: readonly Pick<ScoringProtocol, "address">[],
): (method: string, pathname: string) => Address | null {
  const known = new Map<string, KnownPath>();
  const resolve = (pathname: string): KnownPath | null => {
    const segments = pathSegments(pathname);
    if (segments === null) return null;
    for (const find of [ownProbe, ...protocols.map((protocol) => protocol.address)]) {
      const resource = find(segments);
      if (resource !== null) return knownPath(resource);
    }
    return null;
  };
  return (method, pathname) => {
    let path = known.get(pathname) ?? null;
    if (path === null) {
      path = resolve(pathname);
      if (path === null) return null;
      if (known.size >= REMEMBERED_PATHS) known.clear();
      known.set(pathname, path);
    }
    if (method === "POST") return path.post;
    return method === "GET" || method === "HEAD" ? path.get : path.other;
  };
}
