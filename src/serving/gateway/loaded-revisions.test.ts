import { expect, test } from "vitest";

import { parseDigest, parseEndpointName, parseModelName } from "../../core/version/index.ts";
import { DEFAULT_LIMITS, type RouteRevision } from "../../link/route/index.ts";
import type { LoadedModel, Runtime } from "../runtime/index.ts";
import { Crowd, type CrowdRoom } from "./crowd.ts";
import { LoadedRevisions } from "./loaded-revisions.ts";
import { revisionKey } from "./thread-messages.ts";

const endpoint = parseEndpointName("llm-prod");
const signature = { inputs: [], outputs: [] };
const revision: RouteRevision = {
  revision: 1,
  version: { model: parseModelName("llm"), name: null, sequence: 1 },
  digest: parseDigest(`sha256:${"1".repeat(64)}`),
  runtime: { kind: "process", launcher: "llm" },
  files: [],
  signature,
  contract: signature,
  batching: { on: true },
  golden: [],
  limits: DEFAULT_LIMITS,
};

/** Revisions of a runtime that only tells what it is asked. */
function loading(events: string[]): LoadedRevisions {
  const load = (): Promise<LoadedModel> => {
    events.push("loaded");
    return Promise.resolve({
      address: {
        kind: "passthrough",
        url: "http://127.0.0.1:1",
        shim: null,
        retries: false,
        queue: 8,
      },
      proof: { proof: "", provenAt: 1, engine: null, pid: 1 },
      died: new Promise<string>(() => undefined),
      replay: () => Promise.reject(new Error("not here")),
      unload: () => {
        events.push("unloaded");
        return Promise.resolve();
      },
    });
  };
  const runtime: Runtime = { load, inspect: () => Promise.reject(new Error("not here")) };
  return new LoadedRevisions({
    runtimes: { onnx: runtime, process: runtime, remote: runtime },
    workers: {
      // Somebody reads an answer without an end.
      all: ({ kind }) =>
        kind === "disconnect" ? new Promise(() => undefined) : Promise.resolve([]),
      tell: () => undefined,
      tellOne: () => undefined,
    },
    onState: () => undefined,
    onTrouble: () => undefined,
    log: () => undefined,
    hangUpMs: 10,
  });
}

test("a revision whose answers stream on and on is unloaded, and can be had again", async () => {
  const events: string[] = [];
  const loaded = loading(events);
  await loaded.ensure(endpoint, revision);
  void loaded.drop(revisionKey(endpoint, 1, revision.digest));
  await loaded.ensure(endpoint, revision);
  expect(events).toEqual(["loaded", "unloaded", "loaded"]);
  await loaded.dropAll();
});

/** What a request of another worker finds there. */
function before(room: CrowdRoom): unknown {
  const crowd = new Crowd(room, 1);
  const beside = crowd.enter()();
  crowd.leave();
  return beside;
}

test("what a worker had in flight is gone with it, at the revision and at its endpoint", async () => {
  const loaded = loading([]);
  const other = { ...revision, revision: 2 };
  for (const each of [revision, other]) await loaded.ensure(endpoint, each);
  const rooms: CrowdRoom[] = [];
  await loaded.introduce(0, (command) => {
    if (command.kind === "connect") rooms.push(command.inFlight);
    return Promise.resolve();
  });
  const [own, others] = rooms;
  if (own === undefined || others === undefined) throw new Error("nothing was connected");
  new Crowd(own, 0).enter();
  expect([before(own), before(others)]).toMatchObject([
    { atStart: 1, elsewhere: 0 },
    { atStart: 0, elsewhere: 1 },
  ]);
  loaded.workerGone(0);
  expect([before(own), before(others)]).toMatchObject([
    { atStart: 0, elsewhere: 0, alone: true },
    { atStart: 0, elsewhere: 0, alone: true },
  ]);
  await loaded.dropAll();
});
