import { setTimeout as pause } from "node:timers/promises";

import type { LastgoodClient } from "../../client/index.ts";

/** Longest wait for models to be loaded before the server is announced all the same, ms. */
const READY_MS = 15_000;
const READY_EVERY_MS = 15;
const ANSWER_MS = 2_000;

/**
 * Waits until everything that was served before is loaded: `late` where that takes longer than a person
 * is left without a word, `ended` once the server is to end.
 */
export async function whenReady(
  client: Pick<LastgoodClient, "isReady">,
  ended: Promise<unknown>,
): Promise<"ready" | "late" | "ended"> {
  const end = ended.then(() => "ended" as const);
  for (const until = performance.now() + READY_MS; ;) {
    const isReady = await Promise.race([end, client.isReady(ANSWER_MS)]);
    if (isReady === "ended") return "ended";
    if (isReady) return "ready";
    if (performance.now() >= until) return "late";
    await Promise.race([end, pause(READY_EVERY_MS)]);
  }
}
