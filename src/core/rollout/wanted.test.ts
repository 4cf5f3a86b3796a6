/** A way back that the machine decided and that no target could be verified for is not given up. */
import { expect, test } from "vitest";

import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { isReturnDue } from "./wanted.ts";

const SECOND = 1_000;
const NOWHERE = { targets: [], passedOver: [] };

/** Sent back by its evidence while no target answered. */
function lost(): Scenario {
  const of = scenario().stable("v1.0").canary("v1.1").assessed("rollback");
  return of.fails("no answer");
}

/** Time goes by; what is wanted is tried when it is due. */
function after(of: Scenario, ms: number): Scenario {
  of.now += ms;
  return isReturnDue(of.state, of.now) ? of.retries() : of;
}

test("a rollback by itself that no target could be verified for is tried again and ends on the good one", () => {
  const of = lost();
  expect(of.phase).toBe("Idle");
  expect(of.serving).toBe("v1.1");
  expect(of.state.lastRollout?.phase).toBe("NoTarget");
  expect(of.alarms).toEqual(["rollback.no-target-left"]);
  expect(after(of, 4_999).phase).toBe("Idle");
  expect(after(of, 1).phase).toBe("RollingBack");
  of.settles();
  expect(of.serving).toBe("v1.0");
  expect(of.statuses).toBe("v1.0 stable, v1.1 failed");
  expect(of.version("v1.1").status).toBe("failed");
  expect(of.state).toMatchObject({
    wanted: null,
    alarms: [],
    lastRollout: { phase: "RolledBack" },
    lastRollback: { trigger: "analysis", reason: "the evidence says rollback" },
  });
  expect(of.state.automatic, "it counts once").toHaveLength(1);
});

test("each try waits twice as long as the one before, up to five minutes, and is not told again", () => {
  const of = lost();
  const waits = Array.from({ length: 9 }, () => {
    const { nextAt } = of.state.wanted ?? { nextAt: 0 };
    const waited = nextAt - of.now;
    after(of, waited).fails("no answer");
    return waited / SECOND;
  });
  expect(waits).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300]);
  expect(of.alarms).toEqual(["rollback.no-target-left"]);
  expect(of.state.alarms, "it is one alarm, and derived from what is wanted").toEqual([]);
});

test("while no target can be verified no traffic moves and nothing is recorded", () => {
  const of = lost();
  of.now += 5 * SECOND;
  const { history } = of;
  const recorded = history.length;
  of.retries({ choice: NOWHERE });
  expect(of.serving).toBe("v1.1");
  expect(history).toHaveLength(recorded);
  expect(of.effects).toEqual([]);
  expect(of.state.wanted).toMatchObject({ tries: 2, nextAt: of.now + 10 * SECOND });
});

test("a clock that was set back makes nobody wait for it to catch up", () => {
  expect(after(lost(), -3_600 * SECOND).phase).toBe("RollingBack");
});

test("a switch forward that fails and whose way back fails too stays wanted", () => {
  const of = scenario().stable("v1.0").deploys("v1.1").succeeds().fails("wrong").fails("no answer");
  expect(of.state.wanted).toMatchObject({ from: 2, trigger: "health" });
  expect(after(of, 5 * SECOND).settles().statuses).toBe("v1.0 stable, v1.1 failed");
});

test("a rollback or an abort by hand that fails is answered, and nothing is done behind anybody's back", () => {
  const back = scenario().stable("v1.0").canary("v1.1").rollsBack().fails("no answer");
  const abort = scenario().stable("v1.0").canary("v1.1").aborts().fails("no answer");
  for (const each of [back, abort]) {
    expect(each.state.wanted).toBeNull();
    expect(each.state.alarms).toHaveLength(1);
  }
});

test("a person who tries the same in vain does not end it; one who succeeds does", () => {
  const of = lost().rollsBack().fails("no answer");
  expect(of.state.wanted).toMatchObject({ from: 2, tries: 2 });
  expect(of.outcome()).toMatchObject({ error: { code: "rollback.no-target-left" } });
  expect(of.rollsBack().settles().state.wanted).toBeNull();
  expect(of.serving).toBe("v1.0");
});

test("a pin keeps it from being tried, and what comes after the pin does not", () => {
  const of = lost().pins(60 * SECOND);
  expect(after(of, 59 * SECOND).phase).toBe("Idle");
  of.retries();
  expect(of.phase, "not even when it is asked for").toBe("Idle");
  expect(after(of, 2 * SECOND).phase).toBe("RollingBack");
});

test("promote says that what serves is good: it is stable and nothing is wanted", () => {
  const of = lost().promotes();
  expect(of.outcome()).toMatchObject({ did: "steered", done: expect.stringContaining("stable") });
  expect(of.statuses).toBe("v1.0 stable, v1.1 stable");
  expect(of.state).toMatchObject({ wanted: null, lastRollout: { phase: "Succeeded" } });
  expect(lost().marks("v1.1", "stable").state.wanted).toBeNull();
});

test("another version that takes over ends it; one that is rejected does not", () => {
  const of = lost().deploys("v1.2", { bakeMs: 0 });
  of.fails("samples disagree", "preflight.rejected");
  expect(of.state.wanted).toMatchObject({ from: 2 });
  of.deploys("v1.3", { bakeMs: 0 });
  expect(of.state.wanted, "it serves until the other has taken over").not.toBeNull();
  expect(of.settles().state.wanted).toBeNull();
  expect(of.serving).toBe("v1.3");
});

test("a rollback that came late is taken back like any other: its rollout goes on", () => {
  const of = after(lost(), 5 * SECOND).settles();
  of.reinstates().settles();
  expect(of.phase).toBe("Progressing");
  expect(of.statuses).toBe("v1.0 stable, v1.1 candidate");
});

test("a try that is late, or about something else, changes nothing", () => {
  const of = lost();
  const { state } = of;
  of.retries();
  expect(of.state, "it is not time").toBe(state);
  of.now += 5 * SECOND;
  of.retries({ wanted: "another" });
  expect(of.state).toBe(state);
});
