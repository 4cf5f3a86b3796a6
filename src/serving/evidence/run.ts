import { batchRows, latencyBucket } from "../../core/analysis/index.ts";
import type { Watch } from "../../link/route/index.ts";
import type { Beside, InferResult } from "../runtime/index.ts";
import type { LatencySlot } from "./tally.ts";

/**
 * Which other requests a time goes by: those that its server had when it was sent; those, and whether any
 * came until it was answered; or those that both versions' servers had when it was sent.
 */
export type Company = "sent" | "meanwhile" | "both";

const NOBODY: Beside = { atStart: 0, moreCame: false, elsewhere: 0, alone: true };

/**
 * What the times of both versions go by, so that an equal candidate cannot look slower, whether the servers
 * have something in common or not.
 *
 * With the larger part of the traffic, or where nobody knows its part, it may have the busier server: times go
 * by what the own one had. Requests that come meanwhile slow one down where a processor is shared; those of
 * the candidate's that any came beside are kept apart and compared with nothing. What is left tends to be
 * short, which is in its favour.
 *
 * With the smaller part it may still wait for stable's, on a processor that both share, while stable's server
 * has little to do only when nobody asks anything: times go by what both had then, and which of the two a
 * request comes to is chance.
 */
export function companyOf(watch: Pick<Watch, "candidate" | "stable" | "candidateShare">): {
  readonly candidate: Company;
  readonly stable: Company;
} {
  const { candidate, stable, candidateShare } = watch;
  if (stable === null || stable === candidate) return { candidate: "sent", stable: "sent" };
  return candidateShare === null || candidateShare > 0.5
    ? { candidate: "meanwhile", stable: "sent" }
    : { candidate: "both", stable: "both" };
}

/**
 * What an answer of a pair took; null where it was not alone at its endpoint's servers. A copy begins when
 * another request ends, and its server is asked less or more often: beside as many others, too, equal
 * versions would differ.
 */
export function runAlone({
  modelMs,
  batch,
  frame,
  beside,
}: Omit<InferResult, "outputs">): Pick<LatencySlot, "rows" | "bucket"> | null {
  if (beside?.alone === false) return null;
  return { rows: batchRows(frame?.rows ?? batch), bucket: latencyBucket(modelMs) };
}

/** What an answer took, and what its version had to do meanwhile. */
export function runOf(
  { modelMs, batch, frame, beside }: Omit<InferResult, "outputs">,
  company: Company,
): LatencySlot {
  const { atStart, elsewhere, moreCame } = beside ?? NOBODY;
  const others = company === "both" ? atStart + elsewhere : atStart;
  return {
    rows: batchRows(frame?.rows ?? batch),
    beside: others > 0 ? batchRows(others) : 0,
    moreCame: company === "meanwhile" && moreCame,
    bucket: latencyBucket(modelMs),
  };
}
