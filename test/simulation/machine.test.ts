/** The pure machine through thousands of random lives; a failure prints the seed and the shortest of them. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";

import { Life, life } from "./life.ts";
import { simulationRun } from "./simulation-run.ts";

// Thousands of refusals are meant to happen; their stacks are most of what they cost.
const { stackTraceLimit } = Error;
beforeAll(() => void (Error.stackTraceLimit = 0));
afterAll(() => void (Error.stackTraceLimit = stackTraceLimit));

const { seed, runs, timeoutMs } = simulationRun(10_000);

test(
  `no life of an endpoint breaks an invariant (${runs} from seed ${seed})`,
  () => {
    fc.assert(
      fc.property(life, ([environment, happenings]) => {
        const one = new Life(environment);
        for (const what of happenings) one.happens(what);
        one.comesToRest();
      }),
      { seed, numRuns: runs },
    );
  },
  timeoutMs,
);

test("the lives that are tried reach every phase and every end", () => {
  const phases = new Set<string>();
  const ends = new Set<string>();
  const kinds = new Set<string>();
  for (const [environment, happenings] of fc.sample(life, { numRuns: 150, seed: 7 })) {
    const one = new Life(environment);
    for (const what of happenings) {
      one.happens(what);
      phases.add(one.of.phase);
      if (one.of.state.lastRollout !== null) ends.add(one.of.state.lastRollout.phase);
      if (one.of.state.lastRollback !== null) kinds.add(one.of.state.lastRollback.kind);
    }
  }
  expect([...phases].toSorted()).toEqual([
    "Baking",
    "Idle",
    "Preparing",
    "Progressing",
    "RollingBack",
  ]);
  expect([...ends].toSorted()).toEqual([
    "Aborted",
    "NoTarget",
    "Rejected",
    "RolledBack",
    "Succeeded",
  ]);
  expect([...kinds].toSorted()).toEqual(["abort", "reinstate", "revert", "rollback"]);
}, 60_000);
