/** What the history keeps of the look at the evidence that changed something. */
import { expect, test } from "vitest";

import { POLICY } from "../../../test/support/rollout-facts.ts";
import { scenario } from "../../../test/support/rollout-scenario.ts";
import type { Policy } from "../policy/index.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const CANARY: Policy = {
  ...POLICY,
  rollout: {
    strategy: "canary",
    steps: [
      { kind: "weight", percent: 10, until: { requests: 100, timeMs: MINUTE } },
      { kind: "weight", percent: 50, until: { requests: 500, timeMs: 2 * MINUTE } },
    ],
  },
};

test("what a look changes is noted with what was looked at, and nothing else is", () => {
  const look = { id: "evidence", position: 7 };
  const of = scenario().stable("v1.0").deploys("v1.1", { policy: CANARY }).settles();
  of.assessed("continue").assessed("hold", { look });
  expect(of.lastHistory).toMatchObject([{ kind: "rollout.held", data: { look } }]);
  of.assessed("continue", { look });
  expect(of.lastHistory).toMatchObject([{ kind: "rollout.released", data: { look } }]);
  of.requests = 100;
  of.later(MINUTE).assessed("continue", { look }).settles();
  const looked = of.history.filter(({ data }) => "look" in data);
  expect(looked.map(({ kind }) => kind)).toEqual([
    "rollout.held",
    "rollout.released",
    "rollout.advanced",
  ]);
});

test("what makes it stable by a look is noted with its verdict, be it the evidence or the deadline", () => {
  const evidence = { id: "evidence", position: 7, assessment: { logE: -1 } };
  const good = scenario().stable("v1.0").baking("v1.1").later(HOUR);
  good.assessed("continue", { evidence });
  expect(good.lastHistory).toMatchObject([{ kind: "rollout.succeeded", data: { evidence } }]);
  const inconclusive = { action: "promote" as const, deadlineMs: HOUR };
  const policy = { ...POLICY, analysis: { ...POLICY.analysis, inconclusive } };
  const undecided = scenario().stable("v1.0").deploys("v1.1", { policy }).settles();
  undecided.assessed("hold").later(HOUR).assessed("hold", { evidence });
  expect(undecided.lastHistory).toMatchObject([{ kind: "rollout.succeeded", data: { evidence } }]);
  const byHand = scenario().stable("v1.0").baking("v1.1").promotes();
  expect(byHand.lastHistory.at(-1)?.kind).toBe("rollout.succeeded");
  expect(byHand.lastHistory.at(-1)?.data).not.toHaveProperty("evidence");
});
