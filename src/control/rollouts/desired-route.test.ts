/** What gateways are asked to watch, and told of the last rollback. */
import { expect, test } from "vitest";

import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import type { ErrorInputs } from "../../core/redaction/index.ts";
import type { Route, Watch } from "../../link/route/index.ts";
import { desiredRoute } from "./desired-route.ts";

function routeOf(of: Scenario, errorInputs: ErrorInputs = "none"): Route {
  return desiredRoute({
    state: of.state,
    order: { generation: 1, epoch: 1, sequence: 1 },
    historyHead: null,
    choice: of.choice(),
    now: of.now,
    manifests: new Map(),
    errorInputs,
  });
}

function watchOf(of: Scenario): Watch | null {
  return routeOf(of).watch;
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

test("inputs of what the candidate fails are kept where the operator allows it, and never at rest", () => {
  const of = scenario().stable("v1.0");
  expect(routeOf(of, "redacted").watch).not.toHaveProperty("errorInputs");
  of.canary("v1.1", 25);
  expect(routeOf(of, "redacted").watch).toMatchObject({ errorInputs: "redacted" });
  expect(routeOf(of).watch).not.toHaveProperty("errorInputs");
});

test("a gateway is told by which commands it was rolled back, while that is under way and after it", () => {
  const of = scenario().stable("v1.0").stable("v1.1");
  of.rollsBack({ operation: "k1 12ab" }).rollsBack({ operation: "k2 34cd" });
  const operations = ["k1 12ab", "k2 34cd"];
  expect(routeOf(of).rolledBack).toMatchObject({ operations, measured: null });
  of.succeeds().pins();
  expect(routeOf(of).rolledBack).toMatchObject({ operations, measured: { verified: true } });
});
