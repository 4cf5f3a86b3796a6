import { expect, test } from "vitest";

import { parseEndpointName } from "../../core/version/index.ts";
import type { Count } from "../../link/count/index.ts";
import { ownIdentity, type PeerEnd } from "../../link/peer/index.ts";
import { systemTimers } from "../../link/timer/index.ts";
import { ControlLink } from "./control-link.ts";

const count: Count = {
  gateway: "host",
  incarnation: "i",
  worker: 0,
  endpoint: parseEndpointName("iris-prod"),
  revision: 1,
  arm: "assigned",
  interval: 1,
  requests: 1,
  errors: 0,
  rejected: 0,
};

test("what a stopped control plane does not read does not pile up, and is sent once it reads again", async () => {
  const asked: string[] = [];
  const silence = Promise.withResolvers<void>();
  let unread = 0;
  const peer: PeerEnd = {
    other: ownIdentity("control", "test", "test"),
    isOpen: true,
    get unread() {
      return unread;
    },
    closed: silence.promise,
    request: (kind) => {
      asked.push(kind);
      return Promise.resolve({ v: 1, id: 1, kind: "reply", body: {}, payload: Buffer.alloc(0) });
    },
    notify: () => undefined,
    close: () => silence.resolve(),
  };
  const turns: (() => void)[] = [];
  const link = new ControlLink({
    socket: "",
    self: ownIdentity("gateway", "test", "test"),
    onRequest: () => ({ body: {} }),
    status: () => ({}) as never,
    overrides: () => [],
    evidence: { batch: () => [], acknowledge: () => undefined },
    log: () => undefined,
    connect: () => Promise.resolve(peer),
    timers: {
      ...systemTimers,
      every: (_, work) => {
        turns.push(work);
        return () => undefined;
      },
    },
  });
  const turn = async (): Promise<void> => {
    for (const work of turns) work();
    await systemTimers.pause(1);
  };
  await turn();
  expect(asked).toEqual(["gateway.connected"]);
  unread = 1;
  link.count([count]);
  for (let times = 0; times < 5; times += 1) await turn();
  expect(asked).toEqual(["gateway.connected"]);
  unread = 0;
  for (let times = 0; times < 5; times += 1) await turn();
  expect(asked).toEqual(["gateway.connected", "counts"]);
  await link.close();
});
