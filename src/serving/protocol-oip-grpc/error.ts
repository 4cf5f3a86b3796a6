import type { LastgoodError } from "../../core/errors/index.ts";
import { publicText, type ProtocolAnswer } from "../protocol/index.ts";

/** Status codes of gRPC, by number (https://grpc.io/docs/guides/status-codes/). */
const CODES = {
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

/** For HTTP statuses of error codes; others are by their class. */
const OF_HTTP: Readonly<Record<number, number>> = {
  404: CODES.notFound,
  409: CODES.failedPrecondition,
  413: CODES.resourceExhausted,
  429: CODES.resourceExhausted,
  501: CODES.unimplemented,
  503: CODES.unavailable,
  504: CODES.deadlineExceeded,
};

/** Most of a text, bytes as it travels: callers take 8 KiB of trailers in all, and drop a call with more. */
const LONGEST_TEXT = 4096;

function bounded(text: string): string {
  const whole = text.toWellFormed();
  if (encodeURI(whole).length <= LONGEST_TEXT) return whole;
  let kept = "";
  let bytes = 0;
  for (const char of whole) {
    bytes += encodeURI(char).length;
    if (bytes > LONGEST_TEXT) break;
    kept += char;
  }
  return `${kept}…`;
}

/** An error as a gRPC status: its code, and the text as the body, cut where callers would not take it. */
export function encodeError(error: LastgoodError): ProtocolAnswer {
  const { http } = error.traits;
  const status = OF_HTTP[http] ?? (http < 500 ? CODES.invalidArgument : CODES.internal);
  return { status, headers: {}, body: bounded(publicText(error)) };
}
