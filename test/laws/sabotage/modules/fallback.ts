/** Law 5 taken out: what the candidate fails, the caller gets. */
import type * as original from "../../../../src/serving/gateway/fallback.ts";

// What the sabotage does not replace.
export * from "../../../../src/serving/gateway/fallback.ts";

export class Fallback {
  ask({ error }: original.FailedRequest): original.FailedRequest["error"] {
    return error;
  }
}
