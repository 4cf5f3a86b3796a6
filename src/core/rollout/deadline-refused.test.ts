/** The deadline says "back" where the rollout does not go back by itself: told once and daily, never at every look. */
import { expect, test } from "vitest";

import { POLICY } from "../../../test/support/rollout-facts.ts";
import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import type { Policy } from "../policy/index.ts";
import type { Assessed } from "./event.ts";
import { waitsFor } from "./waits-for.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DEADLINE = 6 * HOUR;
const NOWHERE = { choice: { targets: [], passedOver: [] } } as const;

const GOES_BACK: Policy = {
  ...POLICY,
  rollout: {
    strategy: "canary",
    steps: [{ kind: "weight", percent: 10, until: { requests: 100, timeMs: MINUTE } }],
  },
  analysis: { ...POLICY.analysis, inconclusive: { action: "rollback", deadlineMs: DEADLINE } },
};
const BY_HAND: Policy = { ...GOES_BACK, rollback: { ...POLICY.rollback, automatic: false } };

type Look = (of: Scenario, options?: Partial<Assessed>) => Scenario;

/** Something holds it; and nothing does, but its requests do not come. */
const LOOKS: Readonly<Record<string, Look>> = {
  held: (of, options) => of.assessed("hold", options),
  overdue: (of, options) => of.assessed("continue", options),
};

interface Refusal {
  readonly policy: Policy;
  readonly keeps: (of: Scenario) => void;
  readonly options?: Partial<Assessed>;
  readonly alarm: string;
  /** What a person may type. */
  readonly next: string;
}

const REFUSALS: Readonly<Record<string, Refusal>> = {
  pinned: {
    policy: GOES_BACK,
    keeps: (of) => of.pins(100 * HOUR),
    alarm: "rollback.pinned",
    next: "lastgood unpin fraud-prod",
  },
  "without a target": {
    policy: GOES_BACK,
    keeps: () => undefined,
    options: NOWHERE,
    alarm: "target.none",
    next: "lastgood deploy … --to fraud-prod --replace",
  },
  "automatic: false": {
    policy: BY_HAND,
    keeps: () => undefined,
    alarm: "rollback.wanted",
    next: "lastgood rollback fraud-prod",
  },
};

const CASES = Object.entries(REFUSALS).flatMap(([refusal, made]) =>
  Object.entries(LOOKS).map(([why, look]) => ({ what: `${refusal}, ${why}`, look, ...made })),
);

/** A rollout whose deadline is over at the next look. */
function atTheDeadline({ policy, keeps, options, look }: (typeof CASES)[number]): Scenario {
  const of = scenario().stable("v1.0").deploys("v1.1", { policy }).settles();
  keeps(of);
  look(look(of, options).later(MINUTE), options).later(DEADLINE);
  return of;
}

test.each(CASES)("$what: told once and daily, and quiet between", (so) => {
  const of = atTheDeadline(so);
  expect(of.alarms).toEqual([]);
  for (let each = 0; each < 60; each += 1) so.look(of, so.options).later(SECOND);
  expect(of.phase).toBe("Progressing");
  expect(of.alarms).toEqual([so.alarm]);
  const told = of.history.filter(({ kind }) => kind === "rollout.undecided");
  expect(told.map(({ reason }) => reason)).toEqual([
    expect.stringMatching(
      /^undecided at the deadline: .*(pinned by ann|no proven|automatic: false)/,
    ),
  ]);
  const held = of.history.filter(({ kind }) => /^rollout\.(held|released)$/.test(kind));
  expect(held.length, "what held it was told before").toBeLessThanOrEqual(1);
  expect(waitsFor(of.state)?.why).toContain("undecided at the deadline");
  expect(waitsFor(of.state)?.next).toContain(so.next);
  so.look(of.later(24 * HOUR), so.options);
  expect(of.alarms, "daily").toEqual([so.alarm, so.alarm]);
});

test.each(CASES.filter(({ alarm }) => alarm === "rollback.pinned"))(
  "$what: it goes back once the pin ends",
  (so) => {
    for (const ends of [(of: Scenario) => of.unpins(), (of: Scenario) => of.later(100 * HOUR)]) {
      const of = so.look(so.look(atTheDeadline(so)).later(SECOND));
      expect(so.look(ends(of)).phase).toBe("RollingBack");
      expect(of.settles().statuses).toBe("v1.0 stable, v1.1 failed");
    }
  },
);

test.each(CASES.filter(({ alarm }) => alarm === "target.none"))(
  "$what: it goes back once there is a target",
  (so) => {
    const of = so.look(so.look(atTheDeadline(so), so.options).later(SECOND), so.options);
    expect(so.look(of).phase).toBe("RollingBack");
  },
);

test("another cause that keeps it is told", () => {
  const of = scenario().stable("v1.0").deploys("v1.1", { policy: GOES_BACK }).settles().pins();
  of.assessed("hold").later(DEADLINE).assessed("hold", NOWHERE);
  of.pins().assessed("hold", NOWHERE).unpins().assessed("hold", NOWHERE);
  expect(of.alarms).toEqual(["target.none", "rollback.pinned", "target.none"]);
});

test("what nothing holds any more is neither wanted back nor undecided, and its deadline counts anew", () => {
  const of = scenario().stable("v1.0").deploys("v1.1", { policy: GOES_BACK }).settles();
  of.pins(100 * HOUR)
    .assessed("hold")
    .later(DEADLINE)
    .assessed("hold");
  expect(waitsFor(of.state)).not.toBeNull();
  of.pauses().assessed("continue");
  of.resumes();
  expect(of.history.at(-2)?.kind).toBe("rollout.released");
  expect(waitsFor(of.state)).toBeNull();
  of.assessed("hold")
    .unpins()
    .later(DEADLINE - 1)
    .assessed("hold");
  expect(of.phase).toBe("Progressing");
  expect(of.later(1).assessed("hold").phase).toBe("RollingBack");
});

test("evidence against it is told beside a deadline that was refused", () => {
  const of = scenario()
    .stable("v1.0")
    .baking("v1.1", { policy: GOES_BACK })
    .pins(100 * HOUR);
  of.assessed("hold").later(DEADLINE).assessed("hold").assessed("rollback").assessed("rollback");
  expect(of.alarms).toEqual(["rollback.pinned", "rollback.pinned"]);
  expect(of.unpins().assessed("rollback").phase).toBe("RollingBack");
});
