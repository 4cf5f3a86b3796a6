import {
  redactedTensors,
  redactedUnread,
  type RedactedInputs,
  type UnreadRequest,
} from "../../core/redaction/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import type { ErrorTally } from "./tally.ts";

/** Errors of one rollout whose inputs one worker keeps. */
const MOST_KEPT = 100;

/** What a request came with: its inputs, or how to look at one that is passed on unread. */
export type Given = readonly Tensor[] | (() => UnreadRequest);

/** A request that the candidate failed; its inputs are held as long as it is under way. */
export interface FailedRequest {
  readonly given: Given | null;
  readonly requestId: string | null;
}

/** Of each distinct error of one rollout, in one worker, the redacted inputs of one request. */
export class KeptInputs {
  readonly #messages = new Set<string>();

  /** Adds the inputs of a request that failed so, where none are kept of this error yet. */
  add(error: ErrorTally, { given, requestId }: FailedRequest): void {
    if (given === null || this.#messages.size >= MOST_KEPT) return;
    if (this.#messages.has(error.message)) return;
    this.#messages.add(error.message);
    error.inputs = redacted(given);
    error.requestId = requestId;
  }
}

function redacted(given: Given): RedactedInputs {
  return typeof given === "function" ? redactedUnread(given()) : redactedTensors(given);
}
