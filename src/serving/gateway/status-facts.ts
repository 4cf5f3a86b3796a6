import type { ModelFacts, StatusAddress, StatusFacts, VersionFacts } from "../protocol/index.ts";
import { notLoaded } from "./admission.ts";
import type { EndpointBook } from "./endpoint-book.ts";
import type { RoutedEndpoint, RoutedRevision } from "./routed-endpoint.ts";

/**
 * What a worker knows, for a protocol's health and metadata questions.
 * @throws `route.not-found` where the address names an endpoint or a version that is not there.
 */
export function statusFacts(
  book: EndpointBook,
  build: string,
  address: StatusAddress,
): StatusFacts {
  return {
    ready: book.isReadyForAll(),
    build,
    endpoints: book.table.names(),
    model: "endpoint" in address ? modelFacts(book, address.endpoint, address.version) : null,
  };
}

function modelFacts(book: EndpointBook, name: string | null, version: string | null): ModelFacts {
  const routed = book.find(name);
  const { endpoint } = routed.compiled;
  const loaded = [...routed.revisions()].filter((each) => book.isReady(each.key));
  const named =
    version === null
      ? null
      : routed.compiled
          .ofVersion(version)
          .flatMap((one) => loaded.filter((each) => each.revision === one))[0];
  if (named === undefined) throw notLoaded(book, routed, version ?? "");
  const shown = named ?? routed.pick(null);
  return {
    endpoint,
    versions: [...new Set(loaded.map((each) => each.label))],
    loaded: versionsOf(book, routed),
    shown: shown === null ? null : versionFacts(book, shown),
    platform: shown?.revision.runtime.kind ?? "none",
    ready: named !== null || (shown !== null && book.isEndpointReady(routed)),
    contract: shown?.revision.contract ?? { inputs: [], outputs: [] },
  };
}

function versionFacts(book: EndpointBook, { key, label, revision }: RoutedRevision): VersionFacts {
  return { label, sequence: revision.version.sequence, ready: book.isReady(key) };
}

/** Two revisions may have one version: it is ready where either is. */
function versionsOf(book: EndpointBook, routed: RoutedEndpoint): readonly VersionFacts[] {
  const versions = new Map<number, VersionFacts>();
  for (const each of routed.revisions()) {
    const facts = versionFacts(book, each);
    if (facts.ready || !versions.has(facts.sequence)) versions.set(facts.sequence, facts);
  }
  return [...versions.values()].toSorted((a, b) => a.sequence - b.sequence);
}
