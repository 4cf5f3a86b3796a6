import type { EndpointBook } from "./endpoint-book.ts";
import type { RoutedEndpoint } from "./routed-endpoint.ts";

/** Where a request below `/endpoints/E/` goes. */
export interface PassedPath {
  readonly endpoint: string;
  /** What the caller's path has before the server's own: `/endpoints/E`. */
  readonly prefix: string;
  /** The server's own path and the query, as the caller wrote them. */
  readonly path: string;
}

const PREFIX = "/endpoints/";
/**
 * A part that would leave the server's own path, also for servers that decode slashes first, take
 * backslashes for them, or leave out what follows a semicolon.
 */
const DOTS = /(?:^|[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:[/\\;]|%2f|%5c|%3b|$)/i;

/** What a URL of the serving port names below an endpoint, or null where it is no such path. */
export function passedPath(url: string): PassedPath | null {
  if (!url.startsWith(PREFIX)) return null;
  const query = url.indexOf("?");
  const pathname = query === -1 ? url : url.slice(0, query);
  const slash = pathname.indexOf("/", PREFIX.length);
  const end = slash === -1 ? pathname.length : slash;
  const endpoint = pathname.slice(PREFIX.length, end);
  const path = pathname.slice(end);
  if (endpoint === "" || DOTS.test(path)) return null;
  const search = query === -1 ? "" : url.slice(query);
  return { endpoint, prefix: pathname.slice(0, end), path: `${path === "" ? "/" : path}${search}` };
}

/** The only path without an endpoint's name: a drop-in for `mlflow models serve` is asked there. */
const SCORING = "/invocations";

function isScoring(url: string): boolean {
  return url === SCORING || url.startsWith(`${SCORING}?`);
}

function routedAt(book: EndpointBook, name: string | null): RoutedEndpoint | null {
  try {
    return book.find(name);
  } catch {
    return null;
  }
}

/** The same, and MLflow's own path of the default endpoint, where its requests are passed on unread; else null. */
export function passedTo(book: EndpointBook, url: string): PassedPath | null {
  const to = passedPath(url);
  if (to === null && !isScoring(url)) return null;
  const routed = routedAt(book, to?.endpoint ?? null);
  if (routed === null || !routed.isPassedThrough) return null;
  return to ?? { endpoint: routed.compiled.endpoint, prefix: "", path: url };
}
