import { expect, test } from "vitest";

import { intervalOf } from "../../../test/support/watch.ts";
import { noArmCounts } from "./index.ts";
import { checkSplit, NO_SPLIT } from "./split-check.ts";

const arm = (requests: number, shed = 0) => ({ ...noArmCounts(), requests, shed });

function mismatches(candidate: ReturnType<typeof arm>): boolean {
  let check = NO_SPLIT;
  for (let at = 0; at < 100; at += 1)
    check = checkSplit(check, intervalOf(at, { candidateShare: 0.5, candidate, stable: arm(100) }));
  return check.mismatched;
}

test("gateways that tell in turn have one share: what each saw adds up", () => {
  let check = NO_SPLIT;
  for (let at = 0; at < 400; at += 1)
    check = checkSplit(
      check,
      intervalOf(at, { split: at % 2, candidateShare: 0.5, candidate: arm(20), stable: arm(25) }),
    );
  expect(check.mismatched).toBe(true);
});

test("requests that were let go were assigned: a candidate that is too slow does not fake a mismatch", () => {
  expect(mismatches(arm(80, 20))).toBe(false);
  // As if nobody had counted them: the comparison would be void, and nothing could go back any more.
  expect(mismatches(arm(80))).toBe(true);
});
