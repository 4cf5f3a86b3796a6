/** Shortest histories that once broke a law. */
import { expect, test } from "vitest";

import type { Happening } from "./world/happenings.ts";
import { runHistory } from "./world/run-history.ts";
import { World, type Sabotage } from "./world/world.ts";

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
    what: "evidence sends a rollout back to another version than the one it was compared with",
    gateways: 1,
    happens: [
      [0, deploy("v1.0")],
      [300, { do: "rollback", to: "v1.3", again: false, keepStatus: true }],
      [4_000, { ...deploy("v1.1"), policy: "canary" }],
      [0, { do: "fails", name: "v1.1", errorRate: 0.3 }],
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
    what: "a gateway dies as a warm rollback is asked for, and comes again while that is under way",
    gateways: 2,
    happens: [
      [0, deploy("v1.1")],
      [1_000, { do: "rollback", to: "v1.0", again: false, keepStatus: true }],
      [1_000, { do: "crashGateway", gateway: 1, downMs: 50 }],
      [0, { do: "rollback", to: null, again: true, keepStatus: false }],
      [0, { do: "stall", gateway: 0, ms: 300 }],
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
  {
    what: "the first target fails its verification: the second one was warm, and is kept so until it is needed",
    gateways: 2,
    happens: [
      [4_000, deploy("v1.3")],
      [12_000, { do: "rollback", to: "v1.0", again: false, keepStatus: true }],
      [2_000, deploy("v1.2")],
      [4_000, { do: "rollback", to: null, again: false, keepStatus: false }],
      [0, { do: "noProbes", gateway: 0, ms: 50 }],
      [12_000, { do: "rollback", to: null, again: false, keepStatus: false }],
    ],
  },
  {
    what: "a rollout that waits for a person is begun while a way back is wanted",
    gateways: 1,
    happens: [
      [0, deploy("v1.3")],
      [12_000, { ...deploy("v1.0"), policy: "canary" }],
      [4_000, { do: "storeFails", ms: 50 }],
      [0, { do: "noProbes", gateway: 0, ms: 1_500 }],
      [0, { do: "clock", ms: 3_600_000 }],
      [4_000, { ...deploy("v1.2"), policy: "manual" }],
    ],
  },
  {
    what: "what workers still serve while they are switched is not unloaded by what cleared up before",
    gateways: 2,
    happens: [
      [0, deploy("v1.0")],
      [300, { do: "diskFull", gateway: 0, ms: 50 }],
      [0, { ...deploy("v1.3"), policy: "manual" }],
      [0, { do: "cut", gateway: 0 }],
      [12_000, { do: "stall", gateway: 1, ms: 20_000 }],
      [0, { do: "steer", command: "promote" }],
      [0, { ...deploy("v1.0"), replace: true }],
      [300, deploy("v1.0")],
      [0, { do: "crashGateway", gateway: 0, downMs: 1_500 }],
      [0, deploy("v1.0")],
    ],
  },
  {
    what: "a rollback is asked for again while it is under way, and a gateway comes in between",
    gateways: 2,
    happens: [
      [0, { do: "crashGateway", gateway: 0, downMs: 50 }],
      [0, deploy("v1.0")],
      [300, { ...deploy("v1.2"), policy: "canary" }],
      [4_000, { do: "spoil", name: "v1.0", how: "corrupt", is: true }],
      [0, { do: "rollback", to: null, again: false, keepStatus: false }],
      [300, { do: "crashGateway", gateway: 1, downMs: 50 }],
      [300, { do: "rollback", to: null, again: false, keepStatus: false }],
    ],
  },
  {
    what: "a target that made room for the one tried before it is not called warm",
    gateways: 1,
    happens: [
      [0, deploy("v1.0")],
      [4_000, deploy("v1.2")],
      [300, { do: "rollback", to: null, again: false, keepStatus: true }],
      [0, { do: "spoil", name: "v1.2", how: "mute", is: true }],
      [4_000, { do: "steer", command: "promote" }],
      [0, { do: "stall", gateway: 0, ms: 6_000 }],
      [0, { ...deploy("v2.0"), policy: "recreate", force: true }],
      [4_000, { do: "rollback", to: null, again: false, keepStatus: false }],
      [1_000, deploy("v1.0")],
      [300, { do: "storeFails", ms: 50 }],
      [1_000, { do: "alone", gateway: 0 }],
      [0, { do: "noProbes", gateway: 0, ms: 50 }],
    ],
  },
  {
    what: "what a rollback went to fails its samples for a moment before it is told: it was warm when it was switched to",
    gateways: 1,
    happens: [
      [0, deploy("v1.0")],
      [4_000, deploy("v1.3")],
      [4_000, { do: "rollback", to: null, again: false, keepStatus: false }],
      [0, { do: "storeSlow", ms: 300 }],
      [300, { do: "spoil", name: "v1.0", how: "wrong", is: true }],
    ],
  },
  {
    what: "the only way back goes wrong after a rollout over it was decided, while a slow store takes it",
    gateways: 1,
    happens: [
      [1_000, deploy("v2.0")],
      [12_000, { do: "storeSlow", ms: 300 }],
      [0, { ...deploy("v1.0"), force: true }],
      [2_000, { do: "spoil", name: "v2.0", how: "wrong", is: true }],
    ],
  },
  {
    what: "somebody asks a gateway for a rollback that is under way, and no probe of theirs is answered",
    gateways: 1,
    happens: [
      [0, deploy("v1.0")],
      [300, { do: "rollback", to: "v1.2", again: false, keepStatus: true }],
      [4_000, { do: "rollback", to: null, again: true, keepStatus: false }],
      [10, { do: "alone", gateway: 0 }],
      [0, { do: "noProbes", gateway: 0, ms: 50 }],
      [5, { do: "steer", command: "unpin" }],
    ],
  },
  {
    what: "a rollback goes on after the control plane died, and is asked for again after a gateway came in between",
    gateways: 2,
    happens: [
      [1_000, { do: "storeSlow", ms: 300 }],
      [1_000, deploy("v1.3")],
      [12_000, { do: "rollback", to: "v1.2", again: false, keepStatus: true }],
      [5_000, { do: "crashGateway", gateway: 0, downMs: 6_000 }],
      [0, { do: "rollback", to: null, again: true, keepStatus: false }],
      [1_000, { do: "crashControl", steps: 6, downMs: 50 }],
      [12_000, { do: "rollback", to: null, again: false, keepStatus: false }],
    ],
  },
  {
    what: "evidence sends a rollout back again, after the first time was taken back, to another version than it was compared with",
    gateways: 1,
    happens: [
      [0, deploy("v1.0")],
      [0, { do: "fails", name: "v1.1", errorRate: 0.3 }],
      [12_000, { do: "rollback", to: "v1.3", again: false, keepStatus: true }],
      [300, { ...deploy("v1.1"), policy: "gated" }],
      [12_000, { do: "reinstate" }],
    ],
  },
];

test.each(FOUND)("$what", async ({ gateways, happens }) => {
  const happenings = happens.map(([afterMs, what]) => ({ afterMs, what }));
  // What is a race is lost in some of them.
  for (let seed = 0; seed < 20; seed += 1) {
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

function answersNoProbe(world: World, ms: number): void {
  for (const gateway of world.gateways) gateway.probesFailUntil = world.time.now + ms;
}

/** v1.1 fails its callers in a canary beside v1.0 while no probe is answered. */
async function sentBackUnverified(seed: number): Promise<World> {
  const world = new World({ seed, gateways: 1, rate: 100 });
  await world.begin();
  world.deploy("v1.0", { policy: "watched", bakeMs: 0 });
  await world.pass(3_000);
  world.deploy("v1.1", { policy: "watched", bakeMs: 60_000 });
  await world.pass(1_500);
  answersNoProbe(world, 40_000);
  world.truth("v1.1").errorRate = 0.3;
  await world.pass(30_000);
  return world;
}

test("a rollback by itself that nothing could verify is told, and done once a target can be", async () => {
  for (let seed = 0; seed < 4; seed += 1) {
    const world = await sentBackUnverified(seed);
    const what = world.trace.join("\n");
    expect(world.laws.stored?.lastRollout?.phase, what).toBe("NoTarget");
    expect(world.alarms, what).toContain("rollback.no-target-left");
    // Until a target answers no traffic is moved to find out.
    const moved = world.disk.witnessed.filter(({ kind }) => kind === "rollback.started").length;
    expect(moved, what).toBe(1);
    world.happens({ do: "crashControl", steps: 0, downMs: 400 });
    await world.pass(60_000);
    const { stored } = world.laws;
    expect(stored?.current, world.trace.join("\n")).toBe(1);
    expect(stored).toMatchObject({ wanted: null, lastRollout: { phase: "RolledBack" } });
    await world.heal();
  }
});

test("a gateway that comes while a rollback drains is asked before it is done", async () => {
  const happens: readonly Happens[] = [
    [0, { do: "crashGateway", gateway: 0, downMs: 50 }],
    [0, { ...deploy("v1.0"), bakeMs: 3_000 }],
    [4_000, { do: "crashControl", steps: 0, downMs: 6_000 }],
    [0, { do: "rollback", to: "v1.1", again: false, keepStatus: false }],
    [1_000, { do: "storeFails", ms: 50 }],
    [0, { do: "crashGateway", gateway: 0, downMs: 6_000 }],
    [0, deploy("v1.0")],
  ];
  const happenings = happens.map(([afterMs, what]) => ({ afterMs, what }));
  const world = await runHistory({ seed: 873_710_586, gateways: 2, happenings });
  expect(world.laws.stored?.lastRollback).not.toBeNull();
});

test("a gateway that dies in the middle of a rollback is nobody's failure: the rollback goes on with its successor", async () => {
  let met = 0;
  for (let afterMs = 0; afterMs < 60; afterMs += 1) {
    const world = new World({ seed: afterMs, gateways: 1 });
    await world.begin();
    for (const name of ["v1.0", "v1.1"]) {
      world.deploy(name, { policy: "blueGreen", bakeMs: 0 });
      await world.pass(3_000);
    }
    world.rollback({ to: null, again: false, keepStatus: false });
    await world.pass(afterMs);
    if (world.laws.stored?.activity.phase === "RollingBack") met += 1;
    world.happens({ do: "crashGateway", gateway: 0, downMs: 400 });
    await world.pass(30_000);
    const what = world.trace.join("\n");
    expect(world.alarms, what).not.toContain("rollback.no-target-left");
    expect(world.laws.stored, what).toMatchObject({ current: 1, activity: { phase: "Idle" } });
    await world.heal();
  }
  expect(met).toBeGreaterThan(10);
});

test("an outage in the switch of a rollout judges nobody: it goes on after it", async () => {
  for (let seed = 0; seed < 4; seed += 1) {
    const world = new World({ seed, gateways: 1 });
    await world.begin();
    world.deploy("v1.0", { policy: "blueGreen", bakeMs: 0 });
    await world.pass(3_000);
    answersNoProbe(world, 20_000);
    world.deploy("v1.1", { policy: "blueGreen", bakeMs: 3_000 });
    await world.pass(15_000);
    expect(world.alarms, world.trace.join("\n")).toContain("rollout.outage");
    expect(world.laws.stored?.activity.phase).toBe("Baking");
    await world.pass(60_000);
    const what = world.trace.join("\n");
    expect(world.laws.stored?.lastRollout?.phase, what).toBe("Succeeded");
    const kinds = world.disk.witnessed.map(({ kind }) => kind);
    expect(
      kinds.filter((kind) => kind.startsWith("rollback.")),
      what,
    ).toEqual([]);
    await world.heal();
  }
});

for (const [what, happens] of Object.entries({
  "the control plane was away": { do: "crashControl", steps: 0, downMs: 6_000 },
  "no gateway was there": { do: "crashGateway", gateway: 0, downMs: 6_000 },
  "the clock was set": { do: "clock", ms: 3_600_000 },
} satisfies Record<string, Happening>))
  test(`nothing heard of requests while ${what} is no silence that a rollout goes back for`, async () => {
    for (let seed = 0; seed < 8; seed += 1) {
      const world = new World({ seed, gateways: 1 });
      await world.begin();
      world.deploy("v1.0", { policy: "blueGreen", bakeMs: 0 });
      await world.pass(3_000);
      world.deploy("v1.1", { policy: "quiet", bakeMs: 3_000 });
      await world.pass(6_000 + seed * 150);
      expect(world.laws.stored?.activity.phase).toBe("Progressing");
      world.happens(happens);
      await world.pass(30_000);
      const told = world.trace.join("\n");
      expect(world.laws.stored?.activity.phase, told).toBe("Progressing");
      expect(world.laws.stored?.revisions.at(-1)?.status, told).toBe("candidate");
      await world.heal();
    }
  });

test("a recreate that is held a little at first says what it is in the end: that nobody knows what stable would do", async () => {
  const world = new World({ seed: 1, gateways: 1 });
  await world.begin();
  world.deploy("v1.0", { policy: "blueGreen", bakeMs: 0 });
  await world.pass(40_000);
  world.truth("v1.1").errorRate = 0.1;
  world.deploy("v1.1", { policy: "recreate", bakeMs: 120_000 });
  await world.pass(30_000);
  const held = world.disk.witnessed.filter(({ kind }) => kind === "rollout.held");
  expect(held.map(({ reason }) => reason)).toEqual([
    expect.not.stringContaining("nobody knows"),
    expect.stringMatching(/^errorRate: .*; .*nobody knows whether stable would do better$/),
  ]);
  const { activity } = world.laws.stored ?? {};
  expect(activity).toMatchObject({ standing: { held: { why: held[1]?.reason } } });
  await world.heal();
});

/** v1.1 is deployed over v1.0 after the only gateway, which found v1.0's samples to disagree, has died. */
async function gatewayDiesKnowing(sabotage: Sabotage = {}): Promise<World> {
  const world = new World({ seed: 1, gateways: 1, sabotage });
  await world.begin();
  world.deploy("v1.0", { policy: "blueGreen", bakeMs: 0 });
  await world.pass(3_000);
  world.happens({ do: "spoil", name: "v1.0", how: "wrong", is: true });
  await world.pass(6_000);
  world.happens({ do: "crashGateway", gateway: 0, downMs: 6_000 });
  await world.pass(300);
  world.control?.life.end();
  await world.pass(2_000);
  world.deploy("v1.1", { policy: "blueGreen", bakeMs: 0 });
  await world.pass(2_000);
  return world;
}

test("samples that disagreed are known after the only gateway that knew of them has died", async () => {
  const world = await gatewayDiesKnowing();
  const what = world.trace.join("\n");
  expect(what).toContain("deploy v1.1: target.unproven");
  expect(world.laws.stored?.revisions, what).toHaveLength(1);
  // Once it is loaded again and its samples agree, it is a way back again.
  await world.heal();
  world.deploy("v1.1", { policy: "blueGreen", bakeMs: 0 });
  await world.pass(6_000);
  expect(world.laws.stored?.current, world.trace.join("\n")).toBe(2);
});

test("law 2: a build that never asks for them is found", async () => {
  const never: Sabotage = {
    control: {
      store: (store) => ({
        ...store,
        disagreements: { ...store.disagreements, get: () => Promise.resolve(null) },
      }),
    },
  };
  await expect(gatewayDiesKnowing(never)).rejects.toThrow(/law 2: /);
});

test("rollback --again goes one step, wherever the control plane dies of it and the client repeats it", async () => {
  const repeated: boolean[] = [];
  for (let steps = 0; steps < 10; steps += 1) {
    const world = new World({ seed: steps, gateways: 1 });
    await world.begin();
    for (const name of ["v1.0", "v1.1", "v1.2"]) {
      world.deploy(name, { policy: "blueGreen", bakeMs: 0 });
      await world.pass(20_000);
    }
    world.rollback({ to: null, again: false, keepStatus: false });
    await world.pass(5_000);
    world.deploy("v1.3", { policy: "blueGreen", bakeMs: 0 });
    await world.pass(20_000);
    world.happens({ do: "crashControl", steps, downMs: 400 });
    world.rollback({ to: null, again: true, keepStatus: false });
    await world.pass(20_000);
    const told = world.trace.join("\n");
    const { revisions = [], current } = world.laws.stored ?? {};
    const statuses = revisions.map(({ status }) => status);
    expect([current, statuses], told).toEqual([2, ["stable", "stable", "failed", "failed"]]);
    expect(told).toMatch(/rollback : done v1\.1[^]*rollback : done v1\.1/);
    repeated.push(told.includes("once more"));
    await world.heal();
  }
  expect(repeated.filter(Boolean).length, "it died of some").toBeGreaterThan(2);
});
