import type { LastgoodError } from "../../core/errors/index.ts";
import type { ProtocolAnswer } from "../protocol/index.ts";

function errorText(error: LastgoodError): string {
  // What nobody foresaw may hold paths or data in its message: it goes to the log, not to callers.
  if (error.code === "internal") return error.traits.title;
  return error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
}

/** An error as the protocol has it: `{"error": "<text>"}` with the status of its code. */
export function encodeError(error: LastgoodError): ProtocolAnswer {
  return {
    status: error.traits.http,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ error: errorText(error) }),
  };
}
