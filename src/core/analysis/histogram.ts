import type { ArmCounts as Judged } from "../evidence/index.ts";
import { addHistograms, latencyEdgeMs, type ArmCounts } from "./interval.ts";

/** Buckets and how many fell into each. */
export type Histogram = ArmCounts["latency"][string];

/** How many there are. */
export function sizeOf(histogram: Histogram): number {
  let size = 0;
  for (const [, times] of histogram) size += times;
  return size;
}

/** How many are slower than a bucket's upper edge, of all. */
export function slowerThan(histogram: Histogram, bucket: number): Judged {
  let requests = 0;
  let bad = 0;
  for (const [at, times] of histogram) {
    requests += times;
    if (at > bucket) bad += times;
  }
  return { requests, bad };
}

/** The lowest bucket whose upper edge at most this share exceeds; null of nothing. */
export function bucketAt(histogram: Histogram, tail: number): number | null {
  const rising = histogram.toSorted(([a], [b]) => a - b);
  let above = sizeOf(rising);
  const most = tail * above;
  for (const [bucket, times] of rising) {
    above -= times;
    if (above <= most) return bucket;
  }
  return null;
}

/** A quantile, ms: the upper edge of its bucket. */
export function quantileMs(histogram: Histogram, quantile: number): number | null {
  const bucket = bucketAt(histogram, 1 - quantile);
  return bucket === null ? null : latencyEdgeMs(bucket);
}

/** All batches together: for display, never for a test. */
export function pooled(latency: ArmCounts["latency"]): Histogram {
  let sum: Histogram = [];
  for (const histogram of Object.values(latency)) sum = addHistograms(sum, histogram);
  return sum;
}
