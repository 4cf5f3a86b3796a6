import type { Server } from "node:net";
import { setImmediate as turnOfTheLoop } from "node:timers/promises";

/** Turns of the loop without a new connection after which none waits to be accepted. */
const QUIET_TURNS = 3;
/** Callers that never stop coming are not waited out, ms. */
const ACCEPT_MS = 1_000;

/**
 * Accepts the connections that the system holds for a listener, so that closing it resets none of them.
 * libuv accepts one in each turn of its loop (since 1.45).
 */
export async function acceptWhatWaits(listener: Server): Promise<void> {
  let quiet = 0;
  const came = (): void => {
    quiet = 0;
  };
  listener.on("connection", came);
  const until = performance.now() + ACCEPT_MS;
  while (quiet < QUIET_TURNS && performance.now() < until) {
    quiet += 1;
    await turnOfTheLoop();
  }
  listener.off("connection", came);
}
