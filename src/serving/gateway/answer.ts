import type { LastgoodError } from "../../core/errors/index.ts";
import type { Exchange } from "./exchange.ts";
import type { RoutedRevision } from "./routed-endpoint.ts";

const RETRY_AFTER_S = "1";

/** Headers every answer has: the caller's own id comes back unchanged. */
export function echoHeaders(exchange: Exchange): Record<string, string> {
  const own = exchange.header("x-request-id");
  return own === null ? {} : { "x-request-id": own };
}

/** Headers that say who answered. */
export function answeredBy(
  exchange: Exchange,
  routed: RoutedRevision,
  requestId: string,
): Record<string, string> {
  const headers = echoHeaders(exchange);
  headers["x-lastgood-version"] = routed.label;
  headers["x-lastgood-revision"] = routed.number;
  headers["x-lastgood-request-id"] = requestId;
  return headers;
}

/** Headers an error brings along. */
export function errorHeaders(error: LastgoodError): Record<string, string> {
  const { http } = error.traits;
  return http === 429 || http === 503 ? { "retry-after": RETRY_AFTER_S } : {};
}
