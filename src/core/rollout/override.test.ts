/** What gateways did on their own. */
import { expect, test } from "vitest";

import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { pendingEffects } from "./transition.ts";

const OVERRIDDEN: Record<
  string,
  { make: () => Scenario; from: number; to: number; after: string }
> = {
  "at rest": {
    make: () => scenario().stable("v1.0").stable("v1.1"),
    from: 2,
    to: 1,
    after: "v1.0 stable, v1.1 failed",
  },
  preparing: {
    make: () => scenario().stable("v1.0").stable("v1.1").deploys("v1.2"),
    from: 2,
    to: 1,
    after: "v1.0 stable, v1.1 failed, v1.2 aborted",
  },
  "in a canary": {
    make: () => scenario().stable("v1.0").canary("v1.1"),
    from: 2,
    to: 1,
    after: "v1.0 stable, v1.1 failed",
  },
  baking: {
    make: () => scenario().stable("v1.0").baking("v1.1"),
    from: 2,
    to: 1,
    after: "v1.0 stable, v1.1 failed",
  },
  "taking over": {
    make: () => scenario().stable("v1.0").deploys("v1.1").succeeds(),
    from: 2,
    to: 1,
    after: "v1.0 stable, v1.1 failed",
  },
  "rolling back the same way": {
    make: () => scenario().stable("v1.0").stable("v1.1").rollsBack(),
    from: 2,
    to: 1,
    after: "v1.0 stable, v1.1 failed",
  },
  "rolling back, and going further": {
    make: () => scenario().stable("v1.0").stable("v1.1").stable("v1.2").rollsBack(),
    from: 2,
    to: 1,
    after: "v1.0 stable, v1.1 failed, v1.2 failed",
  },
};

for (const [what, { make, from, to, after }] of Object.entries(OVERRIDDEN))
  test(`what a gateway did alone wins ${what}, and is in history once`, () => {
    const of = make();
    const started = of.history.length;
    of.overridden(from, to, { id: "alone" });
    expect(of.phase).toBe("Idle");
    expect(of.state.current).toBe(to);
    expect(of.statuses).toBe(after);
    expect(of.state.lastRollback).toMatchObject({ id: "alone", via: "gateway", from, to });
    const told = of.state;
    of.overridden(from, to, { id: "alone" });
    expect(of.state, "I9: told twice is once").toBe(told);
    expect(of.effects).toEqual([{ do: "publish" }]);
    expect(of.history.slice(started)).toMatchObject([{ kind: "rollback.completed", key: "alone" }]);
    expect(of.state.acknowledged).toEqual(["alone"]);
    expect(pendingEffects(of.state)).toEqual([{ do: "publish" }]);
  });

test("who waited for the way a gateway went alone hears that it is there", () => {
  const of = scenario().stable("v1.0").stable("v1.1").rollsBack();
  expect(of.overridden(2, 1).outcome()).toMatchObject({ did: "returned", record: { to: 1 } });
  const other = scenario().stable("v1.0").deploys("v1.1").succeeds();
  expect(other.overridden(2, 1).outcome()).toMatchObject({ error: { code: "rollout.superseded" } });
});

test("an override that keeps statuses leaves no candidate behind", () => {
  const of = scenario().stable("v1.0").canary("v1.1").overridden(2, 1, { keepStatus: true });
  expect(of.statuses).toBe("v1.0 stable, v1.1 aborted");
  expect(of.version("v1.1").status).toBe("pending");
});

test("a gateway that went nowhere judges nobody, and ends what was under way", () => {
  const of = scenario().stable("v1.0").canary("v1.1").overridden(1, 1);
  expect(of.statuses).toBe("v1.0 stable, v1.1 aborted");
  expect(of.version("v1.0").status).toBe("stable");
  expect(of.serving).toBe("v1.0");
});

test("what a gateway did alone can be reinstated, even when both planes did it", () => {
  const of = scenario().stable("v1.0").stable("v1.1").rollsBack().settles().overridden(2, 1);
  of.reinstates().settles();
  expect(of.statuses).toBe("v1.0 stable, v1.1 stable");
  expect(of.serving).toBe("v1.1");
});

test("an override of revisions that the store does not know raises an alarm and is acknowledged", () => {
  const of = scenario().stable("v1.0").overridden(7, 8, { id: "strange" });
  expect(of.alarms).toEqual(["override.unknown"]);
  expect(of.state).toMatchObject({ current: 1, acknowledged: ["strange"] });
});

test("only the newest 256 overrides are remembered", () => {
  const of = scenario().stable("v1.0").stable("v1.1");
  for (let index = 0; index < 260; index += 1)
    of.overridden(index % 2 === 0 ? 2 : 1, index % 2 === 0 ? 1 : 2, { id: `o${index}` });
  expect(of.state.acknowledged).toHaveLength(256);
  expect(of.state.acknowledged.at(-1)).toBe("o259");
});

test("however many there are, each is taken in once and acknowledged", () => {
  const of = scenario().stable("v1.0").stable("v1.1");
  const made = Array.from({ length: 100 }, (_, number) => ({
    from: number % 2 === 0 ? 2 : 1,
    to: number % 2 === 0 ? 1 : 2,
    id: `alone-${number}`,
  }));
  for (const { from, to, id } of made) of.overridden(from, to, { id });
  const { length } = of.history;
  for (const { from, to, id } of made) of.overridden(from, to, { id });
  expect(of.history.length).toBe(length);
  expect(of.state.acknowledged).toEqual(made.map(({ id }) => id));
});
