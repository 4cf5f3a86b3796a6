/** The command table of DESIGN.md section 7, cell by cell: total in types, so no cell can be missing. */
import { expect, test } from "vitest";

import { refusalOf } from "../../../test/support/refusal.ts";
import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import type { ErrorCode } from "../errors/index.ts";
import { defaultPolicy } from "../policy/index.ts";
import { armsOf } from "./state.ts";

type Column = "preparing" | "progressing" | "baking" | "at rest" | "rolling back";
type Row =
  | "deploy, same content"
  | "deploy, other"
  | "deploy, other, --replace"
  | "set-weight 20"
  | "promote"
  | "pause"
  | "resume"
  | "abort"
  | "rollback"
  | "mark candidate failed"
  | "reinstate"
  | "pin"
  | "unpin"
  | "apply policy"
  | "apply policy, the same";

/** What a cell promises: a refusal, or what is so right after the command and when it is done. */
type Expected =
  | { readonly refused: ErrorCode }
  | { readonly unchanged: true }
  | {
      readonly phase: Scenario["phase"];
      readonly after: string;
      readonly arms: readonly (readonly [version: string, weight: number])[];
      /** What the caller hears in the end. */
      readonly hears: "deployed" | "steered" | "returned";
    };

const POLICY = defaultPolicy("blueGreen");

/** An endpoint under a policy, with a stable version. */
function endpoint(): Scenario {
  return scenario().applies(POLICY).stable("v1.0");
}

const STATES: Record<Column, () => Scenario> = {
  preparing: () => endpoint().deploys("v1.1"),
  progressing: () => endpoint().canary("v1.1"),
  baking: () => endpoint().baking("v1.1"),
  "at rest": () => endpoint().stable("v1.1"),
  "rolling back": () => endpoint().baking("v1.1").rollsBack(),
};

const COMMANDS: Record<Row, (of: Scenario) => Scenario> = {
  "deploy, same content": (of) => of.deploys("v1.1"),
  "deploy, other": (of) => of.deploys("v2.0"),
  "deploy, other, --replace": (of) => of.deploys("v2.0", { replace: true }),
  "set-weight 20": (of) => of.setsWeight(20),
  promote: (of) => of.promotes(),
  pause: (of) => of.pauses(),
  resume: (of) => of.resumes(),
  abort: (of) => of.aborts(),
  rollback: (of) => of.rollsBack(),
  "mark candidate failed": (of) => of.marks("v1.1", "failed"),
  reinstate: (of) => of.reinstates(),
  pin: (of) => of.pins(),
  unpin: (of) => of.pins().unpins(),
  "apply policy": (of) => of.applies(defaultPolicy("canary")),
  "apply policy, the same": (of) => of.applies(POLICY),
};

const refused = (code: ErrorCode): Expected => ({ refused: code });
const unchanged: Expected = { unchanged: true };
const onWayBack = refused("rollout.phase");
const noRollout = refused("rollout.none");
const unprepared = refused("rollout.phase");
const replaced: Expected = {
  phase: "Preparing",
  after: "v1.0 stable, v1.1 aborted, v2.0 provisional",
  arms: [["v2.0", 100]],
  hears: "deployed",
};
const rolledBack: Expected = {
  phase: "RollingBack",
  after: "v1.0 stable, v1.1 failed",
  arms: [["v1.0", 100]],
  hears: "returned",
};
const aborted: Expected = {
  phase: "RollingBack",
  after: "v1.0 stable, v1.1 aborted",
  arms: [["v1.0", 100]],
  hears: "returned",
};
const steered = (
  phase: Scenario["phase"],
  v10: number,
  status: "candidate" | "provisional" | "stable",
): Expected => ({
  phase,
  after: `v1.0 stable, v1.1 ${status}`,
  arms:
    v10 === 0
      ? [["v1.1", 100]]
      : [
          ["v1.0", v10],
          ["v1.1", 100 - v10],
        ],
  hears: "steered",
});

/** Pinned or not, what is under way goes on. */
const PINNED: Record<Column, Expected> = {
  preparing: {
    phase: "Preparing",
    after: "v1.0 stable, v1.1 provisional",
    arms: [["v1.1", 100]],
    hears: "steered",
  },
  progressing: steered("Progressing", 90, "candidate"),
  baking: steered("Baking", 0, "provisional"),
  "at rest": steered("Idle", 0, "stable"),
  "rolling back": {
    phase: "RollingBack",
    after: "v1.0 stable, v1.1 failed",
    arms: [["v1.0", 100]],
    hears: "steered",
  },
};
/** What was under way goes on as if nothing had been said. */
const goesOn = (
  phase: Scenario["phase"],
  status: string,
  first: string,
  weight = 100,
): Expected => ({
  phase,
  after: `v1.0 stable, v1.1 ${status}`,
  arms:
    weight === 100
      ? [[first, 100]]
      : [
          [first, weight],
          ["v1.1", 100 - weight],
        ],
  hears: "steered",
});

const TABLE: Record<Row, Record<Column, Expected>> = {
  "deploy, same content": {
    preparing: unchanged,
    progressing: unchanged,
    baking: unchanged,
    "at rest": unchanged,
    "rolling back": onWayBack,
  },
  "deploy, other": {
    preparing: refused("rollout.in-progress"),
    progressing: refused("rollout.in-progress"),
    baking: refused("rollout.in-progress"),
    "at rest": {
      phase: "Preparing",
      after: "v1.0 stable, v1.1 stable, v2.0 provisional",
      arms: [["v2.0", 100]],
      hears: "deployed",
    },
    "rolling back": onWayBack,
  },
  "deploy, other, --replace": {
    preparing: replaced,
    progressing: replaced,
    baking: {
      phase: "Preparing",
      after: "v1.0 stable, v1.1 provisional, v2.0 provisional",
      arms: [["v2.0", 100]],
      hears: "deployed",
    },
    "at rest": {
      phase: "Preparing",
      after: "v1.0 stable, v1.1 stable, v2.0 provisional",
      arms: [["v2.0", 100]],
      hears: "deployed",
    },
    "rolling back": onWayBack,
  },
  "set-weight 20": {
    preparing: unprepared,
    progressing: steered("Progressing", 80, "candidate"),
    baking: refused("rollout.phase"),
    "at rest": noRollout,
    "rolling back": onWayBack,
  },
  promote: {
    preparing: unprepared,
    // The holdback stays on what served before until the bake is over.
    progressing: steered("Baking", 5, "provisional"),
    baking: steered("Idle", 0, "stable"),
    "at rest": unchanged,
    "rolling back": onWayBack,
  },
  pause: {
    preparing: unprepared,
    progressing: steered("Progressing", 90, "candidate"),
    baking: steered("Baking", 0, "provisional"),
    "at rest": noRollout,
    "rolling back": onWayBack,
  },
  resume: {
    preparing: unprepared,
    progressing: steered("Progressing", 90, "candidate"),
    baking: steered("Baking", 0, "provisional"),
    "at rest": noRollout,
    "rolling back": onWayBack,
  },
  abort: {
    preparing: {
      phase: "Idle",
      after: "v1.0 stable, v1.1 aborted",
      arms: [["v1.0", 100]],
      hears: "steered",
    },
    progressing: aborted,
    baking: aborted,
    "at rest": noRollout,
    "rolling back": onWayBack,
  },
  rollback: {
    preparing: unprepared,
    progressing: rolledBack,
    baking: rolledBack,
    "at rest": rolledBack,
    "rolling back": rolledBack,
  },
  "mark candidate failed": {
    preparing: unprepared,
    progressing: rolledBack,
    baking: rolledBack,
    // The rule of its role: it serves, so an alarm, and no traffic moves.
    "at rest": {
      phase: "Idle",
      after: "v1.0 stable, v1.1 failed",
      arms: [["v1.1", 100]],
      hears: "steered",
    },
    "rolling back": rolledBack,
  },
  pin: PINNED,
  unpin: PINNED,
  reinstate: {
    preparing: refused("reinstate.refused"),
    progressing: refused("reinstate.refused"),
    baking: refused("reinstate.refused"),
    "at rest": refused("rollback.not-found"),
    "rolling back": onWayBack,
  },
  "apply policy": {
    preparing: goesOn("Preparing", "provisional", "v1.1"),
    progressing: goesOn("Progressing", "candidate", "v1.0", 90),
    baking: goesOn("Baking", "provisional", "v1.1"),
    "at rest": goesOn("Idle", "stable", "v1.1"),
    "rolling back": goesOn("RollingBack", "failed", "v1.0"),
  },
  "apply policy, the same": {
    preparing: unchanged,
    progressing: unchanged,
    baking: unchanged,
    "at rest": unchanged,
    "rolling back": unchanged,
  },
};

function armsByVersion(of: Scenario): unknown {
  return armsOf(of.state).map(({ revision, weight }) => [
    of.state.revisions[revision - 1]?.version.name,
    weight,
  ]);
}

/** What is so right after the command and, where it was taken, once everything it began is done. */
function outcome(of: Scenario, row: Row): unknown {
  const before = of.state;
  const refusal = refusalOf(() => COMMANDS[row](of));
  if (refusal !== null)
    return {
      refused: refusal.code,
      exit: refusal.traits.exit,
      saysWhatNext: refusal.hint !== undefined,
      changed: of.state !== before,
    };
  const operation = [...of.operations].at(-1);
  if (of.state === before)
    return { unchanged: true, ok: of.outcome(operation)?.ok, recorded: of.lastHistory.length };
  const { phase } = of;
  of.settles();
  const told = of.outcome(operation);
  return {
    phase,
    after: of.statuses,
    arms: armsByVersion(of),
    hears: told?.ok === true ? told.did : told?.error.code,
  };
}

function described(expected: Expected): string {
  if ("refused" in expected) return `refused, ${expected.refused}`;
  return "unchanged" in expected ? "no-op, 0" : expected.after;
}

/** All that a cell promises, the same for every cell of its kind included. */
function promised(expected: Expected): unknown {
  if ("refused" in expected) {
    // Refused is exit 4; that there is no rollback to take back is an error like any other name.
    const exit = expected.refused === "rollback.not-found" ? 1 : 4;
    return { ...expected, exit, saysWhatNext: true, changed: false };
  }
  return "unchanged" in expected ? { ...expected, ok: true, recorded: 0 } : expected;
}

for (const [row, cells] of Object.entries(TABLE) as [Row, Record<Column, Expected>][])
  for (const [column, expected] of Object.entries(cells) as [Column, Expected][])
    test(`${row} while ${column}: ${described(expected)}`, () => {
      expect(outcome(STATES[column](), row)).toEqual(promised(expected));
    });

for (const weight of [0, 100, -1, 0.5, 99.5, Number.NaN, Number.POSITIVE_INFINITY])
  test(`set-weight ${weight} is refused and names pause, abort and promote`, () => {
    const of = STATES.progressing();
    const before = of.state;
    expect(() => of.setsWeight(weight)).toThrowError(
      expect.objectContaining({
        code: "rollout.weight",
        hint: expect.stringMatching(/abort.*promote.*pause/),
      }),
    );
    expect(of.state).toBe(before);
  });

test("set-weight takes the least and the greatest share", () => {
  for (const weight of [1, 99])
    expect(armsOf(STATES.progressing().setsWeight(weight).state).at(-1)).toMatchObject({ weight });
});

test("promote at rest over a revision that is not stable is refused", () => {
  const of = scenario().stable("v1.0").baking("v1.1").deploys("v1.2", { replace: true });
  of.fails("it does not load", "preflight.rejected");
  expect(of.statuses).toBe("v1.0 stable, v1.1 provisional, v1.2 rejected");
  expect(() => of.promotes()).toThrowError(expect.objectContaining({ code: "rollout.none" }));
});
