import { expect, test } from "vitest";

import { parseDigest, parseEndpointName, parseModelName } from "../../core/version/index.ts";
import { DEFAULT_LIMITS, type RouteRevision } from "../../link/route/index.ts";
import type { LoadedModel, Runtime } from "../runtime/index.ts";
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

test("a revision whose answers stream on and on is unloaded, and can be had again", async () => {
  const events: string[] = [];
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
  const loaded = new LoadedRevisions({
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
  await loaded.ensure(endpoint, revision);
  void loaded.drop(revisionKey(endpoint, 1, revision.digest));
  await loaded.ensure(endpoint, revision);
  expect(events).toEqual(["loaded", "unloaded", "loaded"]);
  await loaded.dropAll();
});
