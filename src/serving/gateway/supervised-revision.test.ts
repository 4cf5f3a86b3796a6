import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { parseDigest, parseEndpointName, parseModelName } from "../../core/version/index.ts";
import type { RevisionState } from "../../link/message/index.ts";
import { DEFAULT_LIMITS, type RouteRevision } from "../../link/route/index.ts";
import type { LoadedModel, LoadProof } from "../runtime/index.ts";
import { monotonic } from "./clock.ts";
import { CrashLog } from "./crash-log.ts";
import { Crowd } from "./crowd.ts";
import { SupervisedRevision, type Trouble } from "./supervised-revision.ts";

const signature = { inputs: [], outputs: [] };
const revision: RouteRevision = {
  revision: 1,
  version: { model: parseModelName("iris"), name: null, sequence: 1 },
  digest: parseDigest(`sha256:${"1".repeat(64)}`),
  runtime: { kind: "onnx", file: "model.onnx" },
  files: [],
  signature,
  contract: signature,
  batching: { on: true },
  golden: [],
  limits: DEFAULT_LIMITS,
};
const proof: LoadProof = { proof: "digest verified", provenAt: 1, engine: null, pid: 7 };

class FakeModel implements LoadedModel {
  readonly address = { kind: "onnx", sockets: [], batching: true, queue: 8 } as const;
  readonly proof = proof;
  readonly #died = Promise.withResolvers<string>();
  readonly died = this.#died.promise;
  replayed: () => Promise<LoadProof> = () => Promise.resolve({ ...proof, provenAt: 2 });
  isUnloaded = false;
  die(): void {
    this.#died.resolve("killed");
  }
  replay(): Promise<LoadProof> {
    return this.replayed();
  }
  unload(): Promise<void> {
    this.isUnloaded = true;
    return Promise.resolve();
  }
}

/** A revision over a runtime that gives `loads` in turn, then fresh models. */
function supervise(loads: readonly Error[] = []) {
  const models: FakeModel[] = [];
  const errors = [...loads];
  const told: string[] = [];
  const states: RevisionState[] = [];
  const troubles: Trouble[] = [];
  const crashes = new CrashLog();
  const supervised = new SupervisedRevision({
    endpoint: parseEndpointName("iris-prod"),
    revision,
    inFlight: Crowd.room(),
    runtime: {
      load: () => {
        const error = errors.shift();
        if (error !== undefined) return Promise.reject(error);
        const model = new FakeModel();
        models.push(model);
        return Promise.resolve(model);
      },
      inspect: () => Promise.reject(new Error("not here")),
    },
    workers: {
      all: (command) => {
        told.push(command.kind);
        return Promise.resolve([]);
      },
      tell: (notice) => told.push(notice.kind),
      tellOne: (worker, notice) =>
        told.push(`${notice.kind} ${notice.kind === "grant" ? notice.suspect : ""} to ${worker}`),
    },
    crashes,
    onState: (state) => states.push(state),
    onTrouble: (_endpoint, _revision, trouble) => troubles.push(trouble),
    log: () => undefined,
  });
  return { supervised, models, told, states, troubles, crashes };
}

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !isSo(); tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 2));
  expect(isSo()).toBe(true);
}

test("a loaded revision is opened to requests once all workers are connected", async () => {
  const { supervised, told, states } = supervise();
  await supervised.whenReady();
  expect(told).toEqual(["connect", "open"]);
  expect(states.at(-1)).toMatchObject({ state: "ready", provenAt: 1, pid: 7 });
  expect(supervised.isProven).toBe(true);
});

test("after a death suspects are granted one at a time across workers, then the others pass", async () => {
  const { supervised, models, told } = supervise();
  await supervised.whenReady();
  told.length = 0;
  supervised.workerLost();
  supervised.suspect(0, 11);
  supervised.suspect(1, 22);
  models[0]?.die();
  await until(() => told.includes("grant 11 to 0"));
  expect(told).toEqual(["away", "connect", "grant 11 to 0"]);
  supervised.suspectDone(0, 11, null);
  await until(() => told.includes("grant 22 to 1"));
  expect(told).not.toContain("open");
  supervised.suspectDone(1, 22, null);
  await until(() => told.includes("open"));
  expect(models).toHaveLength(2);
});

test("a suspect that kills the replacement too does not take the next one with it", async () => {
  const { supervised, models, told } = supervise();
  await supervised.whenReady();
  told.length = 0;
  supervised.suspect(0, 11);
  supervised.suspect(1, 22);
  models[0]?.die();
  await until(() => told.includes("grant 11 to 0"));
  supervised.workerLost();
  supervised.suspectDone(0, 11, null);
  models[1]?.die();
  await until(() => told.includes("grant 22 to 1"));
  expect(models).toHaveLength(3);
  expect(told).toEqual(["away", "connect", "grant 11 to 0", "away", "connect", "grant 22 to 1"]);
});

test("a worker that goes takes its suspects along", async () => {
  const { supervised, models, told } = supervise();
  await supervised.whenReady();
  told.length = 0;
  for (const [worker, suspect] of [
    [0, 11],
    [0, 12],
    [1, 22],
  ] as const)
    supervised.suspect(worker, suspect);
  models[0]?.die();
  await until(() => told.includes("grant 11 to 0"));
  supervised.workerGone(0);
  await until(() => told.includes("grant 22 to 1"));
  expect(told).toEqual(["away", "connect", "grant 11 to 0", "grant 22 to 1"]);
});

test("a lost connection to a process that lives is dialled again", async () => {
  const { supervised, models, told } = supervise();
  await supervised.whenReady();
  supervised.workerLost();
  await until(() => told.length === 4);
  expect(told).toEqual(["connect", "open", "connect", "open"]);
  expect(models).toHaveLength(1);
});

test("a load that fails is told to who waits for it, and tried again when asked for", async () => {
  const { supervised, states, told } = supervise([
    new LastgoodError("artifact.corrupt", "model.onnx does not match its digest"),
  ]);
  await expect(supervised.whenReady()).rejects.toThrow("does not match its digest");
  expect(states.at(-1)).toMatchObject({
    state: "failed",
    why: "model.onnx does not match its digest",
  });
  expect(told).toEqual(["unavailable"]);
  await supervised.whenReady();
  expect(supervised.isProven).toBe(true);
});

test("a golden sample that differs is reported, keeps serving, and is no target", async () => {
  const { supervised, models, states } = supervise();
  await supervised.whenReady();
  const model = models[0];
  if (model === undefined) throw new Error("no model");
  model.replayed = () =>
    Promise.reject(new LastgoodError("preflight.rejected", "label[0] is 1 (was 0)"));
  await supervised.replay();
  expect(states.at(-1)).toMatchObject({ state: "failed", why: "label[0] is 1 (was 0)" });
  expect(supervised.isProven).toBe(false);
  expect(supervised.serving).not.toBeNull();
  model.replayed = () => Promise.resolve({ ...proof, provenAt: 5 });
  await supervised.replay();
  expect(states.at(-1)).toMatchObject({ state: "ready", provenAt: 5, why: null });
});

test("an ended revision is unloaded and stays gone", async () => {
  const { supervised, models, states } = supervise();
  await supervised.whenReady();
  await supervised.end();
  expect(models[0]?.isUnloaded).toBe(true);
  models[0]?.die();
  expect(states.at(-1)?.state).toBe("gone");
});

test("a death is told once what was in it has run again, a killer at once", async () => {
  const { supervised, models, troubles, crashes } = supervise();
  await supervised.whenReady();
  supervised.suspect(0, 11);
  supervised.suspect(1, 22);
  models[0]?.die();
  await until(() => models.length === 2);
  expect(troubles).toEqual([]);
  supervised.suspectDone(0, 11, "a killer");
  models[1]?.die();
  expect(troubles).toEqual(["crashed"]);
  await until(() => models.length === 3);
  supervised.suspectDone(1, 22, null);
  await until(() => supervised.isProven);
  expect(crashes.counted(monotonic(), new Set()).count).toBe(1);
  expect(crashes.counted(monotonic(), new Set(["a killer"])).count).toBe(0);
  expect(troubles).toEqual(["crashed"]);
});

test("an idle process that dies again and again is told of each time", async () => {
  const { supervised, models, troubles, crashes } = supervise();
  await supervised.whenReady();
  for (const deaths of [1, 2, 3]) {
    models.at(-1)?.die();
    await until(() => troubles.length === deaths);
    await until(() => supervised.isProven);
  }
  expect(troubles).toEqual(["crashed", "crashed", "crashed"]);
  expect(crashes.counted(monotonic(), new Set())).toEqual({ count: 3, why: "killed" });
});

test("what is refused for what it is, is never ready at once; what fails to start, at the third time", async () => {
  const refused = supervise([new LastgoodError("artifact.corrupt", "other bytes")]);
  await expect(refused.supervised.whenReady()).rejects.toThrow("other bytes");
  expect(refused.troubles).toEqual([{ limit: "neverReady", count: 1, why: "other bytes" }]);
  const failing = supervise(
    Array.from({ length: 3 }, () => new LastgoodError("runtime.failed", "exit code 1")),
  );
  await until(() => failing.troubles.length > 0);
  expect(failing.troubles).toEqual([{ limit: "neverReady", count: 3, why: "exit code 1" }]);
  await until(() => failing.supervised.isProven);
});
