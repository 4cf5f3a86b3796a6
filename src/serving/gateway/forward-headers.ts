import type { IncomingHttpHeaders } from "node:http";

import type { HttpExchange, MessageHeaders } from "./http-exchange.ts";
import { PROBE_HEADER } from "./probe-header.ts";

/** Headers of one connection, not of the message (RFC 9110, section 7.6.1), and what older programs send. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Those named by `connection` are of the connection too. */
function hopByHop(headers: IncomingHttpHeaders): (name: string) => boolean {
  const named = (headers.connection ?? "").split(",").map((name) => name.trim().toLowerCase());
  return (name) => HOP_BY_HOP.has(name) || named.includes(name);
}

function endToEnd(headers: IncomingHttpHeaders): MessageHeaders {
  const isOfHop = hopByHop(headers);
  const kept: MessageHeaders = {};
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && !isOfHop(name)) kept[name] = value;
  return kept;
}

/**
 * The headers that the version's server gets: the caller's, and who that was. What a proxy before us said
 * of its own caller stays true: we are only told what it makes of the request.
 */
export function requestHeaders(
  { headers: sent, remoteAddress }: Pick<HttpExchange, "headers" | "remoteAddress">,
  prefix: string,
): MessageHeaders {
  const headers = endToEnd(sent);
  const { host, "x-forwarded-for": before } = sent;
  const caller = remoteAddress ?? "unknown";
  // Expectations were met here; the others are the upstream connection's, or the gateway's own.
  for (const name of ["host", "expect", PROBE_HEADER]) delete headers[name];
  headers["x-forwarded-for"] = before === undefined ? caller : `${String(before)}, ${caller}`;
  headers["x-forwarded-proto"] ??= "http";
  const path = `${String(sent["x-forwarded-prefix"] ?? "")}${prefix}`;
  if (path !== "") headers["x-forwarded-prefix"] = path;
  if (host !== undefined) headers["x-forwarded-host"] ??= host;
  return headers;
}

/** The headers that the caller gets: the server's, but none that only we may say. */
export function responseHeaders(headers: IncomingHttpHeaders): MessageHeaders {
  const kept = endToEnd(headers);
  for (const name of Object.keys(kept)) if (name.startsWith("x-lastgood-")) delete kept[name];
  return kept;
}
