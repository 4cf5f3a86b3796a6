import type { IncomingMessage, ServerResponse } from "node:http";

import type { LastgoodError } from "../../core/errors/index.ts";
import type { ProtocolAnswer } from "../protocol/index.ts";
import type { RoutedRevision } from "./routed-endpoint.ts";

const RETRY_AFTER_S = "1";

/** Writes a whole answer at once. A caller who has gone gets nothing. */
export function writeAnswer(
  response: ServerResponse,
  answer: ProtocolAnswer,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.destroyed || response.headersSent) return;
  const { body } = answer;
  const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  response.writeHead(answer.status, {
    ...answer.headers,
    ...headers,
    "content-length": String(length),
  });
  // Text, not a Buffer: node:http then sends head and body in one write. ASCII goes out as it lies in
  // memory, and a header that is not ASCII as it came in.
  response.end(body, length === body.length ? "latin1" : "utf8");
}

/** Headers every answer has: the caller's own id comes back unchanged. */
export function echoHeaders(request: IncomingMessage): Record<string, string> {
  const own = request.headers["x-request-id"];
  return typeof own === "string" ? { "x-request-id": own } : {};
}

/** Headers that say who answered. */
export function answeredBy(
  request: IncomingMessage,
  routed: RoutedRevision,
  requestId: string,
): Record<string, string> {
  const headers = echoHeaders(request);
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
