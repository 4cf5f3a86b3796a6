import type { ArmCounts as Judged } from "../evidence/index.ts";
import { addHistograms, latencyEdgeMs, rising, type ArmCounts } from "./interval.ts";

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
  let above = sizeOf(histogram);
  const most = tail * above;
  for (const [bucket, times] of rising(histogram)) {
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

/** How many are slower than each of some buckets' upper edges, and how many there are. */
export function tailsOf(
  histogram: Histogram,
  buckets: readonly number[],
): { readonly size: number; readonly tails: readonly number[] } {
  let size = 0;
  const tails = buckets.map(() => 0);
  for (const [at, times] of histogram) {
    size += times;
    for (let index = 0; index < buckets.length; index += 1)
      if (at > (buckets[index] ?? Infinity)) tails[index] = (tails[index] ?? 0) + times;
  }
  return { size, tails };
}

/** All batches together: for display, never for a test. */
export function pooled(latency: ArmCounts["latency"]): Histogram {
  let sum: Histogram = [];
  for (const histogram of Object.values(latency)) sum = addHistograms(sum, histogram);
  return sum;
}
