/** A gateway dies between the switch of a rollback and its verification; the next one goes on from its disk. */
import { expect, test } from "vitest";

import {
  answered,
  goBack,
  silent,
  switchedEndpoint,
  threeRevisions,
} from "../../../test/support/switched-endpoint.ts";
import type { RollbackRequest } from "../../link/message/index.ts";
import { systemClock } from "./clock.ts";
import type { SwitchParts } from "./endpoint-switch.ts";
import { verifyInterrupted } from "./interrupted-rollback.ts";
import type { RouteRecord } from "./route-file.ts";

/** What the disk holds when a gateway dies while it verifies its rollback. */
async function diskOf(asked: Partial<RollbackRequest> = {}): Promise<RouteRecord | null> {
  const probing = Promise.withResolvers<void>();
  const { endpoint, written } = switchedEndpoint(() => {
    probing.resolve();
    return new Promise(() => undefined);
  });
  await endpoint.publish(threeRevisions(1));
  void goBack(endpoint, [], asked);
  await probing.promise;
  return written.at(-1) ?? null;
}

/** The next gateway, before it has verified anything. */
async function next(probe: SwitchParts["probe"], disk: RouteRecord | null) {
  const { endpoint, written } = switchedEndpoint(probe, disk);
  await endpoint.resume();
  const told: string[] = [];
  const verify = (): Promise<void> =>
    verifyInterrupted(endpoint, {
      clock: systemClock,
      log: () => undefined,
      onOverride: ({ to, measured }) => told.push(`${to} ${measured.verified}`),
    });
  return {
    endpoint,
    written,
    told,
    verify,
    serves: (): number[] => endpoint.served?.route.split.arms.map((arm) => arm.revision) ?? [],
  };
}

test("its target serves again, nobody is told of it before it is verified, and then once", async () => {
  const probed: number[] = [];
  const { endpoint, serves, told, verify, written } = await next(
    ({ revision }) => {
      probed.push(revision.revision);
      return Promise.resolve(answered);
    },
    await diskOf({ reason: "on fire", key: "k1" }),
  );
  expect([serves(), endpoint.overrides, probed]).toEqual([[2], [], []]);
  await verify();
  await verify();
  expect([serves(), told, probed]).toEqual([[2], ["2 true"], [2]]);
  const stands = { from: 3, to: 2, reason: "on fire", key: "k1", measured: { verified: true } };
  expect(endpoint.overrides).toMatchObject([stands]);
  expect(written.at(-1)?.overrides).toMatchObject([stands]);
});

test("what is asked of it meanwhile waits, and finds it done", async () => {
  const { endpoint, verify } = await next(() => Promise.resolve(answered), await diskOf());
  const verified = verify();
  const again = await goBack(endpoint);
  await verified;
  expect(again).toMatchObject({ already: true, to: { revision: 2 } });
  expect(again.override?.measured.verified).toBe(true);
});

test("where it does not answer, or its probe goes wrong, the next target is taken", async () => {
  for (const fails of [() => Promise.resolve(silent), () => Promise.reject(new Error("none"))]) {
    const { serves, told, verify } = await next(
      ({ revision }) => (revision.revision === 2 ? fails() : Promise.resolve(answered)),
      await diskOf(),
    );
    await verify();
    expect([serves(), told]).toEqual([[1], ["1 true"]]);
  }
});

test("where none answers, or its version was named, what was left serves, and nothing stands", async () => {
  for (const [asked, probe] of [
    [{}, () => Promise.resolve(silent)],
    [
      { version: "2" },
      ({ revision }) => Promise.resolve(revision.revision === 2 ? silent : answered),
    ],
  ] as const satisfies [Partial<RollbackRequest>, SwitchParts["probe"]][]) {
    const { endpoint, serves, told, verify, written } = await next(probe, await diskOf(asked));
    await verify();
    expect([serves(), told, endpoint.overrides]).toEqual([[3], [], []]);
    expect(written.at(-1)?.overrides).toEqual([]);
    expect(await endpoint.publish(threeRevisions(2))).toMatchObject({ taken: true });
  }
});

test("what was verified is not verified again", async () => {
  const first = switchedEndpoint(() => Promise.resolve(answered));
  await first.endpoint.publish(threeRevisions(1));
  await goBack(first.endpoint);
  const { endpoint, told, verify } = await next(
    () => Promise.reject(new Error("nobody asks")),
    first.written.at(-1) ?? null,
  );
  await verify();
  expect([told, endpoint.overrides.length]).toEqual([[], 1]);
});
