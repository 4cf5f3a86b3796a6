/** What a load generator's thread is started with. */
export interface LoadSettings {
  readonly host: string;
  readonly port: number;
  /** Whole HTTP requests, sent in turn. */
  readonly requests: readonly string[];
  readonly connections: number;
  /** Between an answer and the next request on the same connection, ms; 0 sends at once. */
  readonly pauseMs: number;
  /** Answers with status 200, and failures: two 32-bit numbers. */
  readonly totals: SharedArrayBuffer;
  /** Answers by how long they took: see `bucketOf`. */
  readonly latencies: SharedArrayBuffer;
}

const BUCKETS_PER_MS = 50;
/** Answers that took longer than a second share this bucket. */
export const LAST_BUCKET = 1_000 * BUCKETS_PER_MS;

/** The bucket of a latency. */
export function bucketOf(ms: number): number {
  return Math.min(LAST_BUCKET, Math.floor(ms * BUCKETS_PER_MS));
}

/** The latency in the middle of a bucket, ms. */
export function msOf(bucket: number): number {
  return (bucket + 0.5) / BUCKETS_PER_MS;
}
