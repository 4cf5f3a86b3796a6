import { expect, test } from "vitest";

import { stateWithWanted } from "./0004-wanted-returns.ts";

const switching = { id: "r1:3", operation: null, done: null };
const canary = { phase: "Progressing", rollout: { id: "r1" }, weight: 25, switching };

test("nothing is wanted yet, and no switch waits for the end of an outage", () => {
  const state = stateWithWanted({
    activity: canary,
    lastRollback: { id: "b1", before: { activity: canary } },
  });
  expect(state).toMatchObject({
    wanted: null,
    activity: { weight: 25, switching: { id: "r1:3", outage: null } },
    lastRollback: { id: "b1", before: { activity: { switching: { outage: null } } } },
  });
  expect(stateWithWanted(state), "twice is once").toEqual(state);
});

test("an endpoint at rest and one on its way back are taken over as well", () => {
  const rest = { activity: { phase: "Idle" }, lastRollback: null };
  expect(stateWithWanted(rest)).toEqual({ ...rest, wanted: null });
  const back = { id: "b2", before: { activity: canary } };
  expect(stateWithWanted({ ...rest, activity: { phase: "RollingBack", back } })).toMatchObject({
    activity: { back: { before: { activity: { switching: { outage: null } } } } },
  });
});
