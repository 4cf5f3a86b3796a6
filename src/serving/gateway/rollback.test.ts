import { expect, test } from "vitest";

import { MEASURED } from "../../../test/support/rollout-facts.ts";
import { armsBy, routeRevision, WATCHED } from "../../../test/support/route-facts.ts";
import {
  answered,
  goBack,
  silent,
  switchedEndpoint as served,
  threeRevisions as route,
} from "../../../test/support/switched-endpoint.ts";
import type { Route } from "../../link/route/index.ts";
import { systemClock } from "./clock.ts";
import type { RollbackOptions } from "./rollback.ts";

test("what is being verified is on disk and wins over routes, but nobody is told of it", async () => {
  const probing = Promise.withResolvers<void>();
  const verified = Promise.withResolvers<typeof answered>();
  const { endpoint, written, serves } = served(() => {
    probing.resolve();
    return verified.promise;
  });
  await endpoint.publish(route(1));
  const told: string[] = [];
  const done = goBack(endpoint, told);
  await probing.promise;
  expect(serves()).toEqual([2]);
  expect(written.at(-1)?.overrides).toMatchObject([{ from: 3, to: 2 }]);
  expect(endpoint.overrides).toEqual([]);
  expect(await endpoint.publish(route(2))).toMatchObject({ taken: false });
  verified.resolve(answered);
  const { override } = await done;
  expect(told).toEqual([override?.id]);
  expect(endpoint.overrides).toMatchObject([{ id: override?.id, measured: { verified: true } }]);
});

test("a rollback that cannot be verified anywhere leaves no override behind", async () => {
  const { endpoint, written, serves } = served(() => Promise.resolve(silent));
  await endpoint.publish(route(1));
  const told: string[] = [];
  await expect(goBack(endpoint, told)).rejects.toMatchObject({ code: "rollback.no-target-left" });
  expect(serves()).toEqual([3]);
  expect([told, endpoint.overrides, written.at(-1)?.overrides]).toEqual([[], [], []]);
  expect(await endpoint.publish(route(2))).toMatchObject({ taken: true });
});

test("where the probe itself goes wrong the next target is taken", async () => {
  const { endpoint, serves } = served(({ revision: { revision: number } }) =>
    number === 2 ? Promise.reject(new Error("no socket left")) : Promise.resolve(answered),
  );
  await endpoint.publish(route(1));
  const { to, passedOver } = await goBack(endpoint);
  expect([to.revision, serves()]).toEqual([1, [1]]);
  expect(passedOver).toMatchObject([{ version: "#2", why: "no socket left" }]);
  expect(endpoint.overrides).toMatchObject([{ from: 3, to: 1 }]);
});

const underWay = {
  id: "r1",
  at: Date.now(),
  from: 4,
  to: 3,
  actor: "ann",
  reason: null,
  measured: null,
  operations: [] as string[],
};

test("a rollback of the control plane's that is under way is verified here before it is said to be done", async () => {
  const probed: number[] = [];
  const { endpoint, serves } = served(({ revision: each }) => {
    probed.push(each.revision);
    return Promise.resolve(answered);
  });
  await endpoint.publish(route(1, { rolledBack: underWay }));
  const { already, override } = await goBack(endpoint);
  expect([already, probed, serves()]).toEqual([true, [3], [3]]);
  expect(override).toMatchObject({ id: "r1", measured: { verified: true, durable: true } });
  expect(endpoint.overrides).toEqual([]);
});

test("where it does not answer, the next target is taken", async () => {
  const { endpoint, serves } = served(({ revision: each }) =>
    Promise.resolve(each.revision === 3 ? silent : answered),
  );
  await endpoint.publish(route(1, { rolledBack: underWay }));
  const { already, to } = await goBack(endpoint);
  expect([already, to.revision, serves()]).toEqual([false, 2, [2]]);
});

test("--if-current and a revision that is not left any more change nothing", async () => {
  const { endpoint, serves } = served(() => Promise.resolve(answered));
  await endpoint.publish(route(1));
  for (const refused of [
    goBack(endpoint, [], { ifCurrent: "2" }),
    goBack(endpoint, [], {}, { leaves: 2 }),
  ])
    await expect(refused).rejects.toMatchObject({ code: "current.mismatch" });
  expect(serves()).toEqual([3]);
  await goBack(endpoint, [], { ifCurrent: "3" }, { leaves: 3 });
  expect(serves()).toEqual([2]);
});

test("a rehearsal says where it would go and changes nothing", async () => {
  const { endpoint, serves } = served(() => Promise.reject(new Error("nothing is probed")));
  await endpoint.publish(route(1));
  expect(await goBack(endpoint, [], { dryRun: true })).toMatchObject({
    override: null,
    from: { revision: 3 },
    to: { revision: 2 },
    why: "stable",
    already: false,
  });
  expect([serves(), endpoint.overrides]).toEqual([[3], []]);
});

test("a candidate is not gone to by naming it, nor what a rollback just left: nothing is switched", async () => {
  const targets = route(1).targets.slice(0, 1);
  const revisions = [2, 3].map((number) => routeRevision(number));
  for (const weights of [{ 2: 90, 3: 10 }, { 2: 100 }]) {
    const { endpoint, written, serves } = served(() => Promise.resolve(answered));
    const split = { salt: "s", arms: armsBy(weights) };
    await endpoint.publish(route(1, { split, targets, revisions }));
    await expect(goBack(endpoint, [], { version: "3" })).rejects.toMatchObject({
      code: "target.none",
    });
    expect([serves(), endpoint.overrides]).toEqual([Object.keys(weights).map(Number), []]);
    expect(written.at(-1)?.overrides).toEqual([]);
  }
  const { endpoint, serves } = served(() => Promise.resolve(answered));
  await endpoint.publish(route(1));
  await goBack(endpoint);
  await expect(goBack(endpoint, [], { version: "3" })).rejects.toMatchObject({
    code: "target.none",
    passedOver: [{ version: "#3", why: "a rollback just left it" }],
  });
  expect(serves()).toEqual([2]);
});

/** Revision 3 is rolled out over 2. */
function rollingOut(weights: Readonly<Record<number, number>>): Route {
  const split = { salt: "s", arms: armsBy(weights) };
  return route(1, { split, watch: { ...WATCHED, candidate: 3, stable: 2 } });
}

test("in a rollout --if-current is the candidate, which a rollback leaves, with traffic or without", async () => {
  for (const weights of [{ 2: 90, 3: 10 }, { 2: 10, 3: 90 }, { 2: 100 }]) {
    const { endpoint, serves } = served(() => Promise.resolve(answered));
    await endpoint.publish(rollingOut(weights));
    await expect(goBack(endpoint, [], { ifCurrent: "2" })).rejects.toMatchObject({
      code: "current.mismatch",
      message: "a rollback of fraud-prod would leave #3, not 2: nothing was done",
    });
    const { from, to } = await goBack(endpoint, [], { ifCurrent: "3" });
    expect([from.revision, to.revision, serves()]).toEqual([3, 2, [2]]);
    expect(endpoint.overrides).toMatchObject([{ from: 3, to: 2 }]);
  }
});

test("the breaker takes out what has the traffic, although a candidate without any is rolled out", async () => {
  const { endpoint } = served(() => Promise.resolve(answered));
  await endpoint.publish(rollingOut({ 2: 100 }));
  const { from, to } = await goBack(endpoint, [], { again: true }, { leaves: 2 });
  expect([from.revision, to.revision]).toEqual([2, 1]);
});

test("a named version that is all that serves is there already, whoever brought it there", async () => {
  const { endpoint, serves } = served(() => Promise.resolve(answered));
  await endpoint.publish(route(1));
  const plain = await goBack(endpoint, [], { version: "3", ifCurrent: "3" });
  expect(plain).toMatchObject({
    already: true,
    override: null,
    from: { revision: 3 },
    to: { revision: 3 },
    why: "#3 is what serves already; nothing was done",
  });
  const first = await goBack(endpoint, [], { version: "2" });
  for (const more of [{}, { again: true }, { dryRun: true }, { ifCurrent: "3" }])
    expect(await goBack(endpoint, [], { version: "2", ...more }, later(60 * 60_000))).toMatchObject(
      {
        already: true,
        override: { id: first.override?.id },
        from: { revision: 3 },
        to: { revision: 2 },
      },
    );
  expect([serves(), endpoint.overrides.length]).toEqual([[2], 1]);
});

test("typed twice with --if-current is once too: what the first left is what both are for", async () => {
  const { endpoint, serves } = served(() => Promise.resolve(answered));
  await endpoint.publish(route(1));
  await goBack(endpoint, [], { ifCurrent: "3" });
  expect(await goBack(endpoint, [], { ifCurrent: "3" })).toMatchObject({ already: true });
  for (const refused of [
    goBack(endpoint, [], { ifCurrent: "1" }),
    goBack(endpoint, [], { ifCurrent: "3", again: true }),
    goBack(endpoint, [], { ifCurrent: "3" }, later(10 * 60_000)),
    goBack(endpoint, [], { ifCurrent: "3", version: "1" }),
  ])
    await expect(refused).rejects.toMatchObject({ code: "current.mismatch" });
  expect(serves()).toEqual([2]);
});

test("a named version on its way by the control plane is verified here before it is said to be there", async () => {
  const { endpoint } = served(() => Promise.resolve(answered));
  await endpoint.publish(route(1, { rolledBack: underWay }));
  expect(await goBack(endpoint, [], { version: "3" })).toMatchObject({
    already: true,
    override: { id: "r1", measured: { verified: true } },
  });
  const mute = served(() => Promise.resolve(silent));
  await mute.endpoint.publish(route(1, { rolledBack: underWay }));
  await expect(goBack(mute.endpoint, [], { version: "3" })).rejects.toMatchObject({
    code: "target.none",
  });
});

function later(ms: number): Partial<RollbackOptions> {
  return { clock: { ...systemClock, now: () => systemClock.now() + ms } };
}

test("typed twice is once; after ten minutes, with --again or with a version it goes further", async () => {
  const minutes = 60_000;
  for (const [asked, more, already, to] of [
    [{}, {}, true, 2],
    [{ dryRun: true }, {}, true, 2],
    [{}, later(9 * minutes), true, 2],
    [{}, later(10 * minutes), false, 1],
    [{ again: true }, {}, false, 1],
    [{ version: "1" }, {}, false, 1],
  ] as const) {
    const { endpoint, serves } = served(() => Promise.resolve(answered));
    await endpoint.publish(route(1));
    const first = await goBack(endpoint);
    const second = await goBack(endpoint, [], asked, more);
    expect([second.already, second.to.revision, serves()]).toEqual([already, to, [to]]);
    expect(second.override?.id === first.override?.id, "with the first one's measurements").toBe(
      already,
    );
  }
});

test("without a route there is nothing to go back on", async () => {
  const { endpoint } = served(() => Promise.resolve(answered));
  await expect(goBack(endpoint)).rejects.toMatchObject({ code: "endpoint.not-found" });
});

test("under the key of what either plane did it goes no further, however it is asked", async () => {
  const operations = ["other 00", "lost 12ab"];
  const byControl = { ...underWay, operations };
  for (const [rolledBack, key, already, to] of [
    [byControl, "lost", true, 3],
    [{ ...byControl, measured: MEASURED }, "lost", true, 3],
    [{ ...byControl, measured: MEASURED }, "los", false, 2],
    [{ ...byControl, measured: MEASURED }, undefined, false, 2],
  ] as const) {
    const { endpoint, serves } = served(() => Promise.resolve(answered));
    await endpoint.publish(route(1, { rolledBack: { ...rolledBack, operations } }));
    const asked = { again: true, ...(key === undefined ? {} : { key }) };
    const done = await goBack(endpoint, [], asked, later(3_600_000));
    expect([done.already, done.to.revision, serves()]).toEqual([already, to, [to]]);
  }
  const { endpoint, serves } = served(() => Promise.resolve(answered));
  await endpoint.publish(route(1));
  const first = await goBack(endpoint, [], { key: "k1", again: true });
  const again = await goBack(endpoint, [], { key: "k1", again: true });
  expect([again.already, again.override, serves()]).toEqual([true, first.override, [2]]);
  await goBack(endpoint, [], { key: "k2", again: true });
  expect(serves()).toEqual([1]);
});
