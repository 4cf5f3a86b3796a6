import { LastgoodError } from "../../core/errors/index.ts";

/** Hosts under which the API may be addressed, in lower case, with the port. */
export function allowedHosts(host: string, port: number): ReadonlySet<string> {
  const named = host.includes(":") ? `[${host}]` : host;
  const names = ["127.0.0.1", "localhost", "[::1]", named.toLowerCase()];
  // Clients leave the default port of HTTP out.
  return new Set(
    names.flatMap((name) => (port === 80 ? [name, `${name}:80`] : [`${name}:${port}`])),
  );
}

/**
 * Refuses a foreign Host: a page of another site that had its own name point at this machine (DNS
 * rebinding) still sends that name.
 * @throws `host.forbidden`
 */
export function checkHost(host: string | undefined, allowed: ReadonlySet<string>): void {
  if (host !== undefined && allowed.has(host.toLowerCase())) return;
  throw new LastgoodError(
    "host.forbidden",
    host === undefined
      ? "the Host header is missing"
      : `the Host header "${host.slice(0, 200)}" is not accepted`,
    { hint: `accepted are ${[...allowed].join(", ")}`, details: { accepted: [...allowed] } },
  );
}

/**
 * Refuses requests that a browser sends on behalf of another origin.
 * @throws `origin.forbidden`
 */
export function checkOrigin(origin: string | undefined, host: string | undefined): void {
  if (origin === undefined) return;
  if (origin.toLowerCase() === `http://${host?.toLowerCase() ?? ""}`) return;
  throw new LastgoodError(
    "origin.forbidden",
    `requests of the origin "${origin.slice(0, 200)}" are not accepted`,
    { hint: "leave the Origin header out, or send requests from this server's own address" },
  );
}

/** What a browser says of a request in headers that no page can set (Fetch Metadata, W3C). */
export interface FetchMetadata {
  readonly site: string | undefined;
  readonly mode: string | undefined;
  readonly dest: string | undefined;
}

/**
 * Refuses what a page of another site has a browser fetch: images, scripts, frames and the like carry
 * no Origin. A person may follow a link here.
 * @throws `origin.forbidden`
 */
export function checkFetchSite({ site, mode, dest }: FetchMetadata): void {
  if (site === undefined || site === "same-origin" || site === "none") return;
  if (mode === "navigate" && dest === "document") return;
  throw new LastgoodError("origin.forbidden", "requests of other sites' pages are not accepted", {
    hint: "open the address itself, or send requests from this server's own address",
  });
}

/**
 * Insists on a content type that no HTML form can send.
 * @throws `content-type.unsupported`
 */
export function checkContentType(header: string | undefined, accepted: string): void {
  const [type, ...parameters] = (header ?? "")
    .toLowerCase()
    .split(";")
    .map((part) => part.trim());
  const charset = parameters.find((part) => part.startsWith("charset="))?.slice("charset=".length);
  const utf8 = charset === undefined || /^"?utf-?8"?$/.test(charset);
  if (type === accepted && utf8) return;
  throw new LastgoodError(
    "content-type.unsupported",
    header === undefined || header === ""
      ? "the Content-Type header is missing"
      : `the content type "${header.slice(0, 200)}" is not accepted here`,
    { hint: `send content-type: ${accepted}`, details: { accepted: [accepted] } },
  );
}
