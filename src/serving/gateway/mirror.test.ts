import { expect, test } from "vitest";

import { answer, EvidenceStage, STABLE, WATCH } from "../../../test/support/evidence-stage.ts";
import { routeOf } from "../../../test/support/link-messages.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { OutputValue } from "../../core/tensor/index.ts";
import { routeSchema, type Route } from "../../link/route/index.ts";
import {
  ModelDied,
  type InferResult,
  type ModelAddress,
  type ModelClient,
} from "../runtime/index.ts";
import { CountBook } from "./count-book.ts";
import { Crowd } from "./crowd.ts";
import { Mirror } from "./mirror.ts";
import { RoutedEndpoint, type MirrorPlan } from "./routed-endpoint.ts";
import { ServedRevision } from "./served-revision.ts";
import { SuspectDesk } from "./suspect-desk.ts";

const ADDRESS: ModelAddress = { kind: "onnx", sockets: [], batching: true, queue: 8 };
const REMOTE: ModelAddress = {
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

/** A client that answers when it is told to. */
class FakeClient implements ModelClient {
  readonly calls: { readonly alone: boolean; readonly end: PromiseWithResolvers<InferResult> }[] =
    [];
  pending = 0;
  async infer(_inputs: unknown, options: { readonly alone?: boolean }): Promise<InferResult> {
    const end = Promise.withResolvers<InferResult>();
    this.calls.push({ alone: options.alone === true, end });
    this.pending += 1;
    try {
      return await end.promise;
    } finally {
      this.pending -= 1;
    }
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

const watch: Route["watch"] = { ...WATCH, mirror: { of: 1, to: 2, percent: 100 } };

function endpointOf(route: Route): RoutedEndpoint {
  const counts = new CountBook({ gateway: "g", incarnation: "i", worker: 0 });
  return new RoutedEndpoint(route, {
    interval: 1,
    holdMs: null,
    previous: undefined,
    counts,
    evidence: null,
  });
}

function planOf(endpoint: RoutedEndpoint): MirrorPlan {
  const of = endpoint.get(1);
  const plan = of === undefined ? null : endpoint.mirrorOf(of);
  if (plan === null) throw new Error("nothing is mirrored");
  return plan;
}

async function setUp(address: ModelAddress = ADDRESS) {
  const client = new FakeClient();
  const lost: string[] = [];
  const served = new ServedRevision({
    key: "e/2@x",
    worker: 0,
    subject: "e/2",
    connect: () => Promise.resolve(client),
    suspects: new SuspectDesk(() => undefined),
    onLost: (key) => lost.push(key),
  });
  await served.connect(address, { revision: Crowd.room(), endpoint: Crowd.room() });
  served.open();
  const stage = new EvidenceStage();
  stage.watch(watch);
  const mirror = new Mirror(() => served);
  const plan = planOf(endpointOf({ ...routeOf(), watch }));
  const told: (readonly OutputValue[] | null)[] = [];
  const onEnd = (outputs: readonly OutputValue[] | null): void => void told.push(outputs);
  const send = (): void => {
    const ticket = stage.admit(STABLE);
    ticket.answered(answer());
    mirror.send({ plan, inputs: [], onEnd }, ticket);
  };
  return { client, served, stage, plan, send, lost, told };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("what is mirrored runs alone, and no more of it than the other revision has room for", async () => {
  const { client, stage, plan, send, told } = await setUp();
  for (let request = 0; request < 10; request += 1) send();
  expect(told).toEqual(Array.from({ length: 6 }, () => null));
  expect(client.calls.map((call) => call.alone)).toEqual([true, true, true, true]);
  for (const { end } of client.calls) end.reject(new LastgoodError("runtime.failed", "it threw"));
  await turn();
  send();
  client.calls.at(-1)?.end.resolve({ ...answer(), outputs: [] });
  await turn();
  const [record] = stage.pass(1_000);
  // Those that were skipped are counted nowhere; an output that is missing is bad.
  expect(record?.pairs).toMatchObject({ pairs: 5, onlyCandidateBad: 5 });
  expect(plan.to.count("mirror")).toMatchObject({ requests: 5, errors: 5 });
  expect(told).toEqual(Array.from({ length: 11 }, () => null));
  send();
  const outputs: OutputValue[] = [
    { name: "score", dtype: "FP32", shape: [1], data: Float32Array.of(0.5) },
  ];
  client.calls.at(-1)?.end.resolve({ ...answer(), outputs });
  await turn();
  // Every request is told of once, with what came of it.
  expect(told.at(-1)).toBe(outputs);
  expect(told).toHaveLength(12);
});

test("nothing is mirrored to a revision that is not there or must not be asked twice", async () => {
  const there = await setUp();
  there.served.gate.close();
  there.send();
  const once = await setUp(REMOTE);
  once.send();
  await turn();
  expect([...there.client.calls, ...once.client.calls]).toEqual([]);
  expect(once.stage.pass(1_000)[0]?.pairs.pairs).toBe(0);
});

test("a mirror target that dies is told of, one bad pair, and nothing is run again", async () => {
  const { client, served, stage, send, lost } = await setUp();
  for (let request = 0; request < 3; request += 1) send();
  for (const { end } of client.calls) end.reject(new ModelDied(true, "killed", "a process"));
  await turn();
  expect(lost).toEqual(["e/2@x"]);
  expect(served.gate.isOpen).toBe(false);
  expect(client.calls).toHaveLength(3);
  expect(stage.pass(1_000)[0]?.pairs).toMatchObject({ pairs: 1, onlyCandidateBad: 1 });
});

test("a process that died before a mirrored request's turn is no bad pair", async () => {
  const { client, stage, send } = await setUp();
  send();
  client.calls[0]?.end.reject(new ModelDied(false, "ended before its turn", "a process"));
  await turn();
  expect(stage.pass(1_000)[0]?.pairs.pairs).toBe(0);
});

test("only revisions that take the same inputs are mirrored, and only the share that is asked for", () => {
  const route = { ...routeOf(), watch };
  const other = structuredClone(route);
  const [first] = other.revisions;
  first?.contract.inputs.push({ name: "more", kind: "tensor", dtype: "FP32", shape: [-1] });
  const endpoint = endpointOf(routeSchema.parse(other));
  const one = endpoint.get(1);
  expect(one === undefined ? null : endpoint.mirrorOf(one)).toBeNull();
  const tenth = endpointOf({
    ...route,
    watch: { ...WATCH, mirror: { of: 1, to: 2, percent: 10 } },
  });
  const of = tenth.get(1);
  const to = tenth.get(2);
  if (of === undefined || to === undefined) throw new Error("the route lacks a revision");
  const mirrored = Array.from({ length: 20_000 }, () => tenth.mirrorOf(of)).filter(Boolean);
  expect(mirrored.length).toBeGreaterThan(1_700);
  expect(mirrored.length).toBeLessThan(2_300);
  expect(tenth.mirrorOf(to)).toBeNull();
});
