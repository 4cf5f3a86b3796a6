/** Which rollbacks count for the policy's `atMost` and `cooldown`: those that nobody asked for, once each. */
import { expect, test } from "vitest";

import { POLICY } from "../../../test/support/rollout-facts.ts";
import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import type { Policy } from "../policy/index.ts";
import { armsOf, coolingUntil } from "./state.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const CANARY: Policy = {
  ...POLICY,
  rollout: {
    strategy: "canary",
    steps: [
      { kind: "weight", percent: 10, until: { requests: 0, timeMs: MINUTE } },
      { kind: "weight", percent: 50, until: { requests: 0, timeMs: MINUTE } },
    ],
  },
};

/** Takes out what has just been deployed; each of them is decided by nobody. */
const BY_ITSELF: Readonly<Record<string, (of: Scenario) => Scenario>> = {
  "a hard limit at a gateway": (of) => of.settles().overridden(last(of), 1, { trigger: "limit" }),
  "a gateway's breaker": (of) => of.settles().overridden(last(of), 1, { trigger: "breaker" }),
  "a candidate that is not verified": (of) => of.succeeds().fails("status 500").settles(),
  evidence: (of) => of.settles().assessed("rollback").settles(),
};

const BY_A_PERSON: Readonly<Record<string, (of: Scenario) => Scenario>> = {
  "at the gateway alone": (of) => of.settles().overridden(last(of), 1),
  "at the gateway alone, through its API": (of) =>
    of.settles().overridden(last(of), 1, { trigger: "api" }),
  "by command": (of) => of.settles().rollsBack().settles(),
};

function last(of: Scenario): number {
  return of.state.revisions.length;
}

function goesBackThreeTimes(back: (of: Scenario) => Scenario): Scenario {
  const of = scenario().stable("v1.0");
  for (const name of ["v1.1", "v1.2", "v1.3"])
    back(of.deploys(name, { policy: CANARY })).later(MINUTE);
  return of;
}

test.each(Object.entries(BY_ITSELF))(
  "%s, three times: the next deploy waits for a person",
  (_, back) => {
    const of = goesBackThreeTimes(back);
    expect(of.state.automatic).toHaveLength(3);
    expect(() => of.deploys("v1.4")).toThrowError(
      expect.objectContaining({ code: "version.barred", hint: expect.stringContaining("--force") }),
    );
    expect(of.deploys("v1.4", { force: true }).phase).toBe("Preparing");
  },
);

test.each(Object.entries(BY_ITSELF))("%s: the next rollout cools down", (_, back) => {
  const of = back(scenario().stable("v1.0").deploys("v1.1", { policy: CANARY }));
  of.deploys("v1.2", { policy: CANARY }).settles().assessed("continue");
  const weights = (): readonly number[] => armsOf(of.state).map(({ weight }) => weight);
  of.later(10 * MINUTE - 1).assessed("continue");
  expect(weights()).toEqual([90, 10]);
  expect(of.later(1).assessed("continue").settles().phase).toBe("Progressing");
  expect(weights()).toEqual([50, 50]);
});

test.each(Object.entries(BY_A_PERSON))("a rollback %s does not count", (_, back) => {
  const of = goesBackThreeTimes(back);
  expect(of.state.automatic).toEqual([]);
  expect(of.deploys("v1.4").phase).toBe("Preparing");
});

test("what both planes took out, or two gateways, counts once", () => {
  const limit = { trigger: "limit" } as const;
  const both = scenario()
    .stable("v1.0")
    .baking("v1.1")
    .assessed("rollback")
    .overridden(2, 1, limit);
  expect(both.state.automatic).toHaveLength(1);
  const after = scenario().stable("v1.0").baking("v1.1").assessed("rollback").settles();
  expect(after.overridden(2, 1, limit).state.automatic).toHaveLength(1);
  const gateways = scenario().stable("v1.0").baking("v1.1");
  gateways.overridden(2, 1, limit).overridden(2, 1, limit);
  expect(gateways.state.automatic).toHaveLength(1);
  const wanted = scenario().stable("v1.0").canary("v1.1").assessed("rollback").fails("no answer");
  expect(wanted.overridden(2, 1, limit).state.automatic).toHaveLength(1);
  const person = scenario().stable("v1.0").baking("v1.1").rollsBack().overridden(2, 1, limit);
  expect(person.state.automatic, "the gateway did not wait for the person").toHaveLength(1);
});

test("a clock that was set back makes the next rollout wait no longer", () => {
  const of = scenario().stable("v1.0").baking("v1.1").assessed("rollback").settles();
  of.now -= HOUR;
  of.baking("v1.2").assessed("rollback").settles().deploys("v1.3", { policy: CANARY }).settles();
  expect(coolingUntil(of.state, of.now)).toBe(of.now + 10 * MINUTE);
});

test("a gateway that went nowhere has not gone back", () => {
  const of = scenario().stable("v1.0").canary("v1.1").overridden(1, 1, { trigger: "limit" });
  expect(of.state.automatic).toEqual([]);
});

test("what is heard of late counts from when it happened", () => {
  const of = scenario().stable("v1.0").baking("v1.1").assessed("rollback").settles();
  of.baking("v1.2").later(HOUR - 1);
  const { now } = of;
  of.overridden(3, 1, { trigger: "limit", at: now - 20 * MINUTE });
  expect(of.state.automatic.at(-1)).toBe(now - 20 * MINUTE);
  of.baking("v1.3").overridden(4, 1, { trigger: "limit", at: now - 30 * MINUTE });
  expect(of.state.automatic.slice(1), "in order").toEqual([now - 30 * MINUTE, now - 20 * MINUTE]);
  of.baking("v1.4", { force: true });
  expect(of.overridden(5, 1, { trigger: "limit", at: now + HOUR }).state.automatic.at(-1)).toBe(
    now,
  );
  of.deploys("v1.5", { policy: CANARY, force: true }).settles();
  expect(coolingUntil(of.state, now), "not from a clock that is ahead").toBe(now + 10 * MINUTE);
});
