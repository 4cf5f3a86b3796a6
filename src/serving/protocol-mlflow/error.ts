import type { LastgoodError } from "../../core/errors/index.ts";
import { publicText, type ProtocolAnswer } from "../protocol/index.ts";

/** MLflow's error codes for HTTP statuses; its client derives the same ones where a body has none. */
const CODES: Readonly<Record<number, string>> = {
  400: "BAD_REQUEST",
  403: "PERMISSION_DENIED",
  404: "RESOURCE_DOES_NOT_EXIST",
  405: "ENDPOINT_NOT_FOUND",
  409: "RESOURCE_CONFLICT",
  429: "REQUEST_LIMIT_EXCEEDED",
  503: "TEMPORARILY_UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
};

function codeOf(error: LastgoodError): string {
  if (error.code === "route.not-found") return "ENDPOINT_NOT_FOUND";
  const { http } = error.traits;
  return CODES[http] ?? (http < 500 ? "BAD_REQUEST" : "INTERNAL_ERROR");
}

/**
 * An error as MLflow's scoring server has it: `{"error_code", "message"}`, but plain text for a content
 * type that is not accepted. Unlike there, a model that fails answers 500, not 400 (the contract
 * decides whose fault it is), a timeout is JSON too, and no stack trace ever leaves.
 */
export function encodeError(error: LastgoodError): ProtocolAnswer {
  const message = publicText(error);
  if (error.code === "content-type.unsupported") {
    return { status: 415, headers: { "content-type": "text/plain" }, body: message };
  }
  return {
    status: error.traits.http,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ error_code: codeOf(error), message }),
  };
}
