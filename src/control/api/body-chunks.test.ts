import { setTimeout as sleep } from "node:timers/promises";

import { expect, test } from "vitest";

import { bodyChunks, type BodyPace } from "./body-chunks.ts";

const CHUNKS = 8;
const CHUNK_BYTES = 1_000;
const PAUSE_MS = 60;

/** Bytes of a body that comes steadily, in longer than the pace's whole time. */
async function taken(pace: BodyPace): Promise<number> {
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      await sleep(PAUSE_MS);
      if (sent === CHUNKS) return controller.close();
      sent += 1;
      controller.enqueue(new Uint8Array(CHUNK_BYTES));
    },
  });
  let bytes = 0;
  for await (const chunk of bodyChunks(body, pace)) bytes += chunk.byteLength;
  return bytes;
}

const PACE = { idleMs: 10_000, totalMs: 5 * PAUSE_MS };

test("a body that takes longer than its time is refused", async () => {
  await expect(taken(PACE)).rejects.toMatchObject({ code: "input.invalid" });
});

test("what came fast enough earns a long body the time that it takes", async () => {
  expect(await taken({ ...PACE, leastBytesPerMs: 1 })).toBe(CHUNKS * CHUNK_BYTES);
});
