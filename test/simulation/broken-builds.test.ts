/** A build that lacks a law's mechanism is found out within the usual number of histories. */
import fc from "fast-check";
import { expect, test } from "vitest";

import { BROKEN_BUILDS } from "./broken-builds.ts";
import { history } from "./world/happenings.ts";
import { LawBroken, runHistory } from "./world/run-history.ts";
import type { Sabotage } from "./world/world.ts";

const HISTORIES = 400;
/** Always the same ones: that they find it is no matter of luck. */
const SEED = 20_260_728;

/** The first law that one of the histories breaks with the broken build, or null. */
async function findsOut(sabotage: Sabotage, says: RegExp): Promise<string | null> {
  for (const one of fc.sample(history, { numRuns: HISTORIES, seed: SEED })) {
    try {
      await runHistory(one, sabotage);
    } catch (error) {
      if (error instanceof LawBroken && says.test(error.message)) return error.message;
    }
  }
  return null;
}

test.each(BROKEN_BUILDS)(
  "$what: it is found",
  async ({ sabotage, says }) => {
    expect(await findsOut(sabotage, says)).toMatch(says);
  },
  600_000,
);
