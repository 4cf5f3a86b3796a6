import { LastgoodError } from "../../core/errors/index.ts";
import type { EndpointBook } from "./endpoint-book.ts";
import type { Exchange } from "./exchange.ts";
import { parseProbeHeader, PROBE_HEADER } from "./probe-header.ts";
import type { RoutedEndpoint, RoutedRevision } from "./routed-endpoint.ts";

/** The revision that a request is given to, and as what it counts. */
export interface Admission {
  readonly routed: RoutedRevision;
  readonly arm: "assigned" | "targeted" | "probe";
}

/**
 * Chooses the revision of one request: that of a probe of ours, the version that its address names, or
 * what the split assigns, by chance or by the caller's key.
 * @throws `runtime.unavailable` while the endpoint serves nothing, `route.not-found` for a version that
 * is not loaded there.
 */
export function admit(
  book: EndpointBook,
  endpoint: RoutedEndpoint,
  request: {
    readonly exchange: Exchange;
    readonly version: string | null;
    readonly probeToken: string;
  },
): Admission {
  const { exchange, version, probeToken } = request;
  const probe = exchange.header(PROBE_HEADER);
  if (probe !== null) {
    const wanted = parseProbeHeader(probe, probeToken);
    // Where the split has one arm, that is what callers get, whoever is probed for.
    const isOnly = endpoint.compiled.arms.length === 1 && wanted?.apart !== true;
    const only = isOnly ? endpoint.pick(null) : null;
    const routed = only ?? (wanted === null ? undefined : endpoint.get(wanted.revision));
    if (wanted !== null && routed !== undefined) return { routed, arm: "probe" };
  }
  if (version !== null) return { routed: ofVersion(book, endpoint, version), arm: "targeted" };
  const picked = endpoint.pick(exchange.header("x-lastgood-key"));
  if (picked !== null) return { routed: picked, arm: "assigned" };
  throw new LastgoodError(
    "runtime.unavailable",
    `${endpoint.compiled.endpoint} serves no version yet`,
    { hint: "deploy one: lastgood deploy MODEL@VERSION" },
  );
}

function ofVersion(book: EndpointBook, endpoint: RoutedEndpoint, version: string): RoutedRevision {
  for (const { revision } of endpoint.compiled.ofVersion(version)) {
    const routed = endpoint.get(revision);
    if (routed !== undefined && book.isReady(routed.key)) return routed;
  }
  throw notLoaded(book, endpoint, version);
}

/** The error of a version that is not loaded at the endpoint, naming those that are. */
export function notLoaded(
  book: EndpointBook,
  endpoint: RoutedEndpoint,
  version: string,
): LastgoodError {
  const loaded = [...endpoint.revisions()].filter((each) => book.isReady(each.key));
  return new LastgoodError(
    "route.not-found",
    `version "${version}" is not loaded at ${endpoint.compiled.endpoint}; loaded: ${loaded.map((each) => each.label).join(", ") || "none"}`,
  );
}
