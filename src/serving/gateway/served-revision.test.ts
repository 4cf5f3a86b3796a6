import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import {
  ModelDied,
  type InferResult,
  type ModelAddress,
  type ModelClient,
} from "../runtime/index.ts";
import { monotonic } from "./clock.ts";
import { Crowd } from "./crowd.ts";
import { ServedRevision, type ModelRequest } from "./served-revision.ts";
import { SuspectDesk } from "./suspect-desk.ts";

const ADDRESS: ModelAddress = { kind: "onnx", sockets: [], batching: true, queue: 8 };
const RESULT: InferResult = { outputs: [], modelMs: 1, batch: 1 };

type Outcome = InferResult | Error;

/** A client whose outcomes are given; what is not given yet is waited for. */
class FakeClient implements ModelClient {
  readonly calls: { readonly alone: boolean; readonly settle: (outcome: Outcome) => void }[] = [];
  get pending(): number {
    return this.calls.length;
  }
  infer(_inputs: unknown, options: { readonly alone?: boolean }): Promise<InferResult> {
    return new Promise((resolve, reject) => {
      const settle = (outcome: Outcome): void => {
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      };
      this.calls.push({ alone: options.alone === true, settle });
    });
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

function setUp(address: ModelAddress = ADDRESS) {
  const clients: FakeClient[] = [];
  const told: string[] = [];
  const suspects = new SuspectDesk((news) => {
    const killed = "killer" in news && news.killer !== null ? " killed" : "";
    told.push(`${news.kind} ${news.key} ${news.suspect}${killed}`);
  });
  const served = new ServedRevision({
    key: "e/1@x",
    worker: 0,
    subject: "e/1",
    connect: () => {
      const client = new FakeClient();
      clients.push(client);
      return Promise.resolve(client);
    },
    suspects,
    onLost: (key) => told.push(`lost ${key}`),
  });
  const replays = { requests: 0, errors: 0, rejected: 0 };
  const request: ModelRequest = {
    inputs: [],
    at: monotonic(),
    timeoutMs: 1_000,
    waitMs: 1_000,
    replays,
    isWanted: () => true,
    ticket: null,
  };
  const bring = async (): Promise<FakeClient> => {
    await served.connect(address, { revision: Crowd.room(), endpoint: Crowd.room() });
    return clients.at(-1) ?? new FakeClient();
  };
  return { served, suspects, told, request, replays, bring };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("requests wait until the revision is opened, then run", async () => {
  const { served, request, bring } = setUp();
  const answer = served.infer(request);
  const client = await bring();
  await turn();
  expect(client.calls).toHaveLength(0);
  served.open();
  await turn();
  client.calls[0]?.settle(RESULT);
  expect(await answer).toBe(RESULT);
});

test("a request that was not handed to the process that died runs again among all", async () => {
  const { served, request, told, bring } = setUp();
  const first = await bring();
  served.open();
  const answer = served.infer(request);
  first.calls[0]?.settle(new ModelDied(false, "killed", "a process"));
  await turn();
  expect(told).toEqual(["lost e/1@x"]);
  const second = await bring();
  served.open();
  await turn();
  expect(second.calls[0]?.alone).toBe(false);
  second.calls[0]?.settle(RESULT);
  expect(await answer).toBe(RESULT);
});

test("a suspect runs alone when it is granted, before the others are let through", async () => {
  const { served, suspects, request, replays, told, bring } = setUp();
  const first = await bring();
  served.open();
  const suspect = served.infer(request);
  const other = served.infer(request);
  first.calls[0]?.settle(new ModelDied(true, "killed", "a process"));
  first.calls[1]?.settle(new ModelDied(false, "killed", "a process"));
  await turn();
  expect(told).toEqual(["lost e/1@x", "suspect e/1@x 1"]);
  const second = await bring();
  suspects.grant(1);
  await turn();
  expect(second.calls.map((call) => call.alone)).toEqual([true]);
  second.calls[0]?.settle(RESULT);
  expect(await suspect).toBe(RESULT);
  expect(told.at(-1)).toBe("suspectDone e/1@x 1");
  served.open();
  await turn();
  second.calls[1]?.settle(RESULT);
  expect(await other).toBe(RESULT);
  expect(replays.requests).toBe(1);
});

test("a request that was in two crashes is answered with an error and not run a third time", async () => {
  const { served, suspects, request, told, bring } = setUp();
  const first = await bring();
  served.open();
  const answer = served.infer(request);
  first.calls[0]?.settle(new ModelDied(true, "killed", "a process"));
  await turn();
  const second = await bring();
  suspects.grant(1);
  await turn();
  second.calls[0]?.settle(new ModelDied(true, "killed", "a process"));
  await expect(answer).rejects.toMatchObject({ code: "runtime.failed" });
  // The loss is told before the suspect is done, so that nobody else is granted a dead process.
  expect(told.slice(-2)).toEqual(["lost e/1@x", "suspectDone e/1@x 1 killed"]);
});

test("a version's own error is passed on and loses nothing", async () => {
  const { served, request, told, bring } = setUp();
  const client = await bring();
  served.open();
  const answer = served.infer(request);
  client.calls[0]?.settle(new LastgoodError("runtime.failed", "it threw"));
  await expect(answer).rejects.toThrow("it threw");
  expect(told).toEqual([]);
});

test("a remote that may not be asked twice fails the request instead", async () => {
  const remote: ModelAddress = {
    kind: "remote",
    upstream: {
      url: "http://127.0.0.1:1",
      protocol: "oip",
      model: "m",
      path: null,
      health: null,
      retries: false,
      form: "tensor",
      signature: null,
    },
    queue: 8,
  };
  const { served, request, bring } = setUp(remote);
  const client = await bring();
  served.open();
  const answer = served.infer(request);
  client.calls[0]?.settle(new ModelDied(true, "reset", "a process"));
  await expect(answer).rejects.toMatchObject({ code: "runtime.failed" });
});

test("a suspect whose time runs out is answered, and its turn passes at once", async () => {
  const { served, suspects, request, told, bring } = setUp();
  const client = await bring();
  served.open();
  const answer = served.infer({ ...request, timeoutMs: 20 });
  client.calls[0]?.settle(new ModelDied(true, "killed", "a process"));
  await expect(answer).rejects.toMatchObject({ code: "runtime.timeout" });
  suspects.grant(1);
  expect(told.at(-1)).toBe("suspectDone e/1@x 1");
});

test("requests for a revision that cannot be run are sent away, those that wait too", async () => {
  const { served, request } = setUp();
  const waiting = served.infer(request);
  served.gate.refuse("model.onnx does not match its digest");
  await expect(waiting).rejects.toMatchObject({ code: "runtime.unavailable" });
  await expect(served.infer(request)).rejects.toThrow("does not match its digest");
});

test("a request that is passed on waits, too, for the process that died before taking it", async () => {
  const { served, told, bring } = setUp();
  const forwarded = { status: 200, headers: {}, body: Buffer.from("ok"), ms: 1 };
  const asked = { method: "GET", path: "/", headers: {}, body: null, timeoutMs: 1_000 };
  const died = new ModelDied(false, "killed", "a process");
  Object.assign(await bring(), { forward: () => Promise.reject(died) });
  served.open();
  const answer = served.forward(asked, 1_000);
  await turn();
  expect(told).toEqual(["lost e/1@x"]);
  Object.assign(await bring(), { forward: () => Promise.resolve(forwarded) });
  served.open();
  expect(await answer).toBe(forwarded);
});

test("of a server that takes several requests at a time it is told what else it had; of one frame at a time, nothing", async () => {
  const remote: ModelAddress = {
    kind: "remote",
    upstream: {
      url: "http://127.0.0.1:1",
      protocol: "oip",
      model: "m",
      path: null,
      health: null,
      retries: true,
      form: "tensor",
      signature: null,
    },
    queue: 8,
  };
  for (const address of [remote, ADDRESS]) {
    const { served, request, bring } = setUp(address);
    const client = await bring();
    served.open();
    const answers = [
      served.infer(request),
      served.infer(request),
      served.runOnce({ inputs: [], timeoutMs: 1_000, ticket: { died: () => undefined } }),
    ];
    await turn();
    for (const call of client.calls) call.settle(RESULT);
    const besides = (await Promise.all(answers)).map(({ beside }) => beside);
    const told = [0, 1, 2].map((atStart) => ({
      atStart,
      moreCame: atStart < 2,
      elsewhere: 0,
      alone: false,
    }));
    expect(besides).toEqual(address === remote ? told : [undefined, undefined, undefined]);
  }
});
