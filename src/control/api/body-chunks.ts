import { LastgoodError } from "../../core/errors/index.ts";

/** Bounds on how slowly a body may come. */
export interface BodyPace {
  /** Between one chunk and the next, ms. */
  readonly idleMs: number;
  /** From the first to the last, ms. */
  readonly totalMs: number;
  /** What has come earns more time at this rate. */
  readonly leastBytesPerMs?: number;
}

/**
 * Chunks of a request's body. A connection that ends in the middle, stalls or crawls is the
 * caller's mistake, and holds nothing here beyond its time.
 * @throws `input.invalid`
 */
export async function* bodyChunks(
  body: ReadableStream<Uint8Array> | null,
  pace: BodyPace,
): AsyncGenerator<Uint8Array, void> {
  if (body === null) return;
  const reader = body.getReader();
  let until = performance.now() + pace.totalMs;
  try {
    for (;;) {
      const waitMs = Math.min(pace.idleMs, until - performance.now());
      const part = await readWithin(reader, waitMs);
      if (part.done) return;
      if (pace.leastBytesPerMs !== undefined) until += part.value.byteLength / pace.leastBytesPerMs;
      yield part.value;
    }
  } finally {
    // Nothing waits for the rest any more, whether or not the other side hears it.
    reader.cancel().catch(() => undefined);
  }
}

async function readWithin(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  waitMs: number,
): ReturnType<typeof reader.read> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new LastgoodError("input.invalid", "the body came too slowly")),
      waitMs,
    );
  });
  try {
    return await Promise.race([reader.read(), late]);
  } catch (cause) {
    if (cause instanceof LastgoodError) throw cause;
    throw new LastgoodError("input.invalid", "the body ended before it was complete", { cause });
  } finally {
    clearTimeout(timer);
  }
}
