/** A build that lacks a law's mechanism is found out within the usual number of histories. */
import fc from "fast-check";
import { expect, test } from "vitest";

import { BROKEN_BUILDS, type BrokenBuild } from "./broken-builds.ts";
import { history } from "./world/happenings.ts";
import { LawBroken, runHistory } from "./world/run-history.ts";

const HISTORIES = 400;

/** The first law that one of the histories breaks with the broken build, or null. */
async function findsOut({ sabotage, says, seed }: BrokenBuild): Promise<string | null> {
  for (const one of fc.sample(history, { numRuns: HISTORIES, seed })) {
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
  async (broken) => {
    expect(await findsOut(broken)).toMatch(broken.says);
  },
  600_000,
);
