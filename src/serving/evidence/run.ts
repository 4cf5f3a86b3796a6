import { batchRows, latencyBucket } from "../../core/analysis/index.ts";
import type { InferResult } from "../runtime/index.ts";
import type { LatencySlot } from "./tally.ts";

/**
 * What an answer took, and what its version had to do meanwhile. Requests that come while it is being
 * answered slow it down at a server that shares its processor, and the busier arm has more of them: they
 * count for a candidate that is compared, which must not be blamed for its share of the traffic. Not those
 * that are left at its end: what takes long ends when the others of its burst have gone.
 */
export function runOf(
  { modelMs, batch, frame, beside }: Omit<InferResult, "outputs">,
  isCompared: boolean,
): LatencySlot {
  const { atStart, most } = beside ?? { atStart: 0, most: 0 };
  const others = isCompared ? most : atStart;
  return {
    rows: batchRows(frame?.rows ?? batch),
    beside: others > 0 ? batchRows(others) : 0,
    bucket: latencyBucket(modelMs),
  };
}
