import { batchRows, latencyBucket } from "../../core/analysis/index.ts";
import type { InferResult } from "../runtime/index.ts";
import type { LatencySlot } from "./tally.ts";

/**
 * What an answer took, and what its version had to do meanwhile. `isBusier`: a candidate that may have more
 * of the traffic than stable. Requests that come while one is being answered slow it down at a server that
 * shares its processor; stable's go by what they were sent beside all the same, which can only make it look
 * slower than it is. Where the candidate has more of them, those of its times that they fell into are kept
 * apart: the others tend to be its short ones, which can only make it look faster.
 */
export function runOf(
  { modelMs, batch, frame, beside }: Omit<InferResult, "outputs">,
  isBusier: boolean,
): LatencySlot {
  const { atStart, moreCame } = beside ?? { atStart: 0, moreCame: false };
  return {
    rows: batchRows(frame?.rows ?? batch),
    beside: atStart > 0 ? batchRows(atStart) : 0,
    moreCame: isBusier && moreCame,
    bucket: latencyBucket(modelMs),
  };
}
