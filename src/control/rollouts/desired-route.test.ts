/** What gateways are asked to watch. */
import { expect, test } from "vitest";

import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import type { Watch } from "../../link/route/index.ts";
import { desiredRoute } from "./desired-route.ts";

function watchOf(of: Scenario): Watch | null {
  return desiredRoute({
    state: of.state,
    order: { generation: 1, epoch: 1, sequence: 1 },
    historyHead: null,
    choice: of.choice(),
    now: of.now,
    manifests: new Map(),
  }).watch;
}

test("a reinstated rollout is watched as before, under a name of its own, while its switch is verified and after it", () => {
  const of = scenario().stable("v1.0").canary("v1.1", 25);
  const before = watchOf(of);
  expect(before).toMatchObject({ candidate: 2, stable: 1, candidateShare: 0.25 });
  of.rollsBack();
  expect(watchOf(of), "on its way back nothing is compared").toBeNull();
  of.settles();
  expect(watchOf(of)).toMatchObject({ candidate: 1, stable: null });
  const again = { ...before, rollout: `${before?.rollout}.1` };
  of.reinstates();
  expect(of.phase).toBe("RollingBack");
  expect(watchOf(of)).toEqual(again);
  of.settles();
  expect(of.phase).toBe("Progressing");
  expect(watchOf(of)).toEqual(again);
});
