import type { LastgoodError } from "../../core/errors/index.ts";
import { publicText, type ProtocolAnswer } from "../protocol/index.ts";

/** An error as the protocol has it: `{"error": "<text>"}` with the status of its code. */
export function encodeError(error: LastgoodError): ProtocolAnswer {
  return {
    status: error.traits.http,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ error: publicText(error) }),
  };
}
