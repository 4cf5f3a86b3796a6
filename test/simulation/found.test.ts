/** Shortest histories that once broke a law. */
import { expect, test } from "vitest";

import type { Happening } from "./world/happenings.ts";
import { runHistory } from "./world/run-history.ts";

type Happens = readonly [afterMs: number, what: Happening];

type Deploy = Extract<Happening, { do: "deploy" }>;

const deploy = (name: Deploy["name"]): Deploy => ({
  do: "deploy",
  name,
  policy: "blueGreen",
  bakeMs: 0,
  force: false,
  replace: false,
});

const FOUND: readonly {
  readonly what: string;
  readonly gateways: number;
  readonly happens: readonly Happens[];
}[] = [
  {
    what: "two make one endpoint at once",
    gateways: 1,
    happens: [
      [0, { do: "storeSlow", ms: 300 }],
      [0, deploy("v1.0")],
      [0, deploy("v1.0")],
    ],
  },
  {
    what: "what was done alone is taken in while the store is away: the route that says so was not published",
    gateways: 1,
    happens: [
      [0, deploy("v2.0")],
      [0, { do: "storeSlow", ms: 300 }],
      [12_000, { do: "noProbes", gateway: 0, ms: 50 }],
      [0, { ...deploy("v1.0"), bakeMs: 15_000, force: true }],
      [12_000, { do: "alone", gateway: 0 }],
      [1_000, { do: "storeFails", ms: 1_500 }],
      [1_000, { do: "steer", command: "promote" }],
    ],
  },
  {
    what: "a way back fails while the store is away: nobody heard of it",
    gateways: 1,
    happens: [
      [0, deploy("v1.0")],
      [4_000, { do: "rollback", to: null, again: false, keepStatus: false }],
      [0, { do: "noProbes", gateway: 0, ms: 6_000 }],
      [0, { do: "rollback", to: "v1.3", again: false, keepStatus: false }],
      [0, { do: "storeFails", ms: 6_000 }],
      [12_000, { do: "steer", command: "unpin" }],
    ],
  },
  {
    what: "a gateway comes while a route is on its way to the other: it never got it",
    gateways: 2,
    happens: [
      [0, deploy("v1.0")],
      [1_000, deploy("v1.3")],
      [12_000, { do: "crashControl", steps: 0, downMs: 50 }],
      [0, { do: "steer", command: "promote" }],
      [0, { do: "rollback", to: null, again: false, keepStatus: false }],
      [0, { do: "cut", gateway: 1 }],
    ],
  },
];

test.each(FOUND)("$what", async ({ gateways, happens }) => {
  const happenings = happens.map(([afterMs, what]) => ({ afterMs, what }));
  // What is a race is lost in some of them.
  for (let seed = 0; seed < 8; seed += 1) {
    const world = await runHistory({ seed, gateways, happenings });
    expect(world.alarms).not.toContain("internal");
  }
});

test("what cannot be loaded is not tried again without a pause", async () => {
  const happenings: readonly Happens[] = [
    [0, { ...deploy("v1.0"), policy: "recreate" }],
    [4_000, { do: "spoil", name: "v1.0", how: "corrupt", is: true }],
    [0, { do: "crashGateway", gateway: 0, downMs: 50 }],
    [60_000, { do: "steer", command: "unpin" }],
  ];
  const world = await runHistory({
    seed: 0,
    gateways: 1,
    happenings: happenings.map(([afterMs, what]) => ({ afterMs, what })),
  });
  const tries = world.alarms.filter((code) => code === "revision.unproven").length;
  expect(tries).toBeGreaterThan(1);
  expect(tries).toBeLessThan(15);
});
