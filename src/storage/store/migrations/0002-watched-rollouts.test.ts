import { expect, test } from "vitest";

import { watchedState } from "./0002-watched-rollouts.ts";

const rollout = { id: "r1", strategy: "canary", from: 1, candidate: 2, weight: 10, bakeMs: 60_000 };
const canary = { phase: "Progressing", rollout, weight: 25, switching: null };

test("a canary from before there were policies goes on, steered by hand and unwatched", () => {
  const state = watchedState({
    activity: canary,
    lastRollout: { rollout: { ...rollout, strategy: "recreate" }, phase: "Succeeded" },
    lastRollback: { before: { activity: { ...canary, phase: "Baking" } } },
  });
  expect(state).toMatchObject({
    pin: null,
    automatic: [],
    policy: null,
    activity: {
      phase: "Progressing",
      weight: 25,
      step: { index: 0, entered: null },
      standing: { held: null },
      rollout: {
        bakeMs: 60_000,
        restarts: 0,
        policy: {
          bakeMs: 60_000,
          holdback: 0,
          rollback: { automatic: false },
          rollout: { steps: [{ kind: "weight", percent: 10 }] },
        },
      },
    },
    lastRollout: { rollout: { policy: { rollout: { strategy: "recreate" } } } },
    lastRollback: { before: { activity: { standing: { held: null } } } },
  });
  expect(watchedState(state), "twice is once").toEqual(state);
});

test("an endpoint at rest, one that prepares and one on its way back are taken over as well", () => {
  const rest = { activity: { phase: "Idle" }, lastRollout: null, lastRollback: null };
  expect(watchedState(rest)).toMatchObject({ ...rest, pin: null });
  const preparing = { ...rest, activity: { phase: "Preparing", rollout, operation: "o" } };
  expect(watchedState(preparing)).toMatchObject({ activity: { rollout: { restarts: 0 } } });
  const back = { id: "b", before: { activity: canary } };
  const returning = { ...rest, activity: { phase: "RollingBack", rollout, back } };
  expect(watchedState(returning)).toMatchObject({
    activity: { back: { before: { activity: { step: { index: 0 } } } } },
  });
});
