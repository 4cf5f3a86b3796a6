import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import { listenPeers, ownIdentity, type Frame, type Peer } from "../../link/peer/index.ts";
import { ModelDied, type ModelAddress, type ModelClient } from "../runtime/index.ts";
import { connectModel } from "./model-client.ts";
import { decodeRun, encodeRan } from "./model-requests.ts";

type OnnxAddress = Extract<ModelAddress, { readonly kind: "onnx" }>;

/** Stands in for a model process: doubles its input, frame by frame when it is told to. */
class Doubler {
  /** Rows of each frame that came. */
  readonly frames: number[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), "lastgood-client-"));
  readonly socket = join(this.#folder, "model.sock");
  readonly #peers: Peer[] = [];
  readonly #held: (() => void)[] = [];
  #end = (): Promise<void> => Promise.resolve();
  hold = false;
  /** Milliseconds a run says it took. */
  modelMs = 0.1;
  /** Rows of the outputs for so many rows of input. */
  rowsOut = (rows: number): number => rows;

  async listen(): Promise<void> {
    const { socket } = this;
    const self = ownIdentity("model", "test", "fraud/1");
    const onRequest = async (frame: Frame) => {
      const input = inputOf(frame);
      this.frames.push(input.shape[0] ?? 0);
      if (this.hold) await new Promise<void>((resolve) => this.#held.push(resolve));
      return encodeRan({ outputs: [this.#double(input)], modelMs: this.modelMs });
    };
    const listener = await listenPeers(socket, { self, onRequest }, (peer) =>
      this.#peers.push(peer),
    );
    this.#end = () => listener.close();
  }

  connect(overrides: Partial<OnnxAddress> = {}): Promise<ModelClient> {
    return connectModel({
      kind: "onnx",
      sockets: [this.socket],
      batching: true,
      queue: 64,
      ...overrides,
    });
  }

  #double({ dtype, shape, data }: Tensor): Tensor {
    const values = Float32Array.from(data as Float32Array, (value) => 2 * value);
    if (values.some((value) => value < 0)) throw new LastgoodError("runtime.failed", "negative");
    const rows = this.rowsOut(shape[0] ?? 0);
    return { name: "y", dtype, shape: [rows, 1], data: values.slice(0, rows) };
  }

  /** Lets one held frame go on, once it is there. */
  async release(): Promise<void> {
    await until(() => this.#held.length > 0);
    this.#held.shift()?.();
  }

  die(): void {
    for (const peer of this.#peers) peer.close();
  }

  async end(): Promise<void> {
    await this.#end();
    rmSync(this.#folder, { recursive: true });
  }
}

function inputOf(frame: Frame): Tensor {
  const [input] = decodeRun(frame);
  if (input === undefined) throw new Error("a run without input");
  return input;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

function row(value: number): Tensor[] {
  return [{ name: "x", dtype: "FP32", shape: [1, 1], data: Float32Array.of(value) }];
}

const patient = { timeoutMs: 10_000 };
const doublers: Doubler[] = [];

async function doubler(): Promise<Doubler> {
  const one = new Doubler();
  doublers.push(one);
  await one.listen();
  return one;
}

afterEach(async () => {
  for (const each of doublers.splice(0)) await each.end();
});

/** What became of requests for these values: the answer, or the code of the error. */
async function outcomes(client: ModelClient, values: readonly number[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(
    values.map((value) => client.infer(row(value), patient)),
  );
  return settled.map((each) => {
    if (each.status === "rejected") return LastgoodError.from(each.reason).code;
    const [output] = each.value.outputs;
    return output !== undefined && "data" in output ? output.data[0] : null;
  });
}

test("what arrives within one turn of the event loop is one frame, answered to each its own", async () => {
  const model = await doubler();
  const client = await model.connect();
  expect(await outcomes(client, [1, 2, 3])).toEqual([2, 4, 6]);
  expect(model.frames).toEqual([3]);
  await client.close();
});

test.for([
  [0.1, [1, 2]],
  [1, [1, 1, 1]],
] as const)(
  "where a run takes %s ms, requests of two turns make the frames %j",
  async ([modelMs, frames]) => {
    const model = await doubler();
    model.modelMs = modelMs;
    const client = await model.connect();
    await outcomes(client, [1]);
    const first = outcomes(client, [2]);
    await new Promise((resolve) => setImmediate(resolve));
    const second = outcomes(client, [3]);
    expect(await Promise.all([first, second])).toEqual([[4], [6]]);
    expect(model.frames).toEqual(frames);
    await client.close();
  },
);

test("one frame is in flight at a time; what arrives meanwhile is the next", async () => {
  const model = await doubler();
  model.hold = true;
  const client = await model.connect();
  const first = outcomes(client, [1]);
  await until(() => model.frames.length === 1);
  const second = outcomes(client, [2, 3]);
  const third = outcomes(client, [4]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(model.frames).toEqual([1]);
  await model.release();
  await model.release();
  expect(await Promise.all([first, second, third])).toEqual([[2], [4, 6], [8]]);
  expect(model.frames).toEqual([1, 3]);
});

test("a request that wants to be alone, and a version that is not batched, share nothing", async () => {
  const model = await doubler();
  const client = await model.connect();
  const both = [client.infer(row(1), { ...patient, alone: true }), client.infer(row(2), patient)];
  expect((await Promise.all(both)).map((result) => result.batch)).toEqual([1, 1]);
  const unbatched = await model.connect({ batching: false });
  await outcomes(unbatched, [1, 2, 3]);
  expect(model.frames).toEqual([1, 1, 1, 1, 1]);
});

test("when a shared run throws each request is run again and only that outcome counts", async () => {
  const model = await doubler();
  const client = await model.connect();
  expect(await outcomes(client, [1, -1, 3])).toEqual([2, "runtime.failed", 6]);
  expect(model.frames).toEqual([3, 1, 1, 1]);
  expect(client.pending).toBe(0);
});

test("outputs that do not follow the rows end batching, and nobody gets another's answer", async () => {
  const model = await doubler();
  model.rowsOut = (rows) => (rows > 1 ? rows - 1 : rows);
  const client = await model.connect();
  expect(await outcomes(client, [1, 2])).toEqual([2, 4]);
  expect(await outcomes(client, [3, 4])).toEqual([6, 8]);
  expect(model.frames).toEqual([2, 1, 1, 1, 1]);
});

test("frames of an expensive version hold fewer rows", async () => {
  const model = await doubler();
  model.modelMs = 2;
  const client = await model.connect();
  await outcomes(client, [1]);
  await outcomes(client, [1, 2, 3, 4]);
  expect(model.frames).toEqual([1, 2, 2]);
});

async function deathOf(promise: Promise<unknown>): Promise<unknown> {
  const error = await promise.catch((reason: unknown) => reason);
  return error instanceof ModelDied ? error.suspect : error;
}

test("at its death what is in flight is suspect, what waits is not, and nothing more is taken", async () => {
  const model = await doubler();
  model.hold = true;
  const client = await model.connect();
  const sent = client.infer(row(1), patient);
  await until(() => model.frames.length === 1);
  const queued = client.infer(row(2), patient);
  model.die();
  expect(await Promise.all([deathOf(sent), deathOf(queued)])).toEqual([true, false]);
  expect(await deathOf(client.infer(row(3), patient))).toBe(false);
  expect(client.pending).toBe(0);
});

test("with two replicas the death of one leaves the other serving", async () => {
  const [first, second] = [await doubler(), await doubler()];
  const client = await first.connect({ sockets: [first.socket, second.socket] });
  first.hold = true;
  const lost = client.infer(row(1), patient);
  await until(() => first.frames.length === 1);
  first.die();
  expect(await deathOf(lost)).toBe(true);
  expect(await outcomes(client, [1, 2])).toEqual([2, 4]);
});

test("a request past its time is given up without holding up the others", async () => {
  const model = await doubler();
  model.hold = true;
  const client = await model.connect();
  const late = client.infer(row(1), { timeoutMs: 20 }).catch((error: unknown) => error);
  expect(await late).toMatchObject({ code: "runtime.timeout" });
  expect(client.pending).toBe(0);
  await model.release();
  model.hold = false;
  expect(await outcomes(client, [2])).toEqual([4]);
});

test("each request is given up when its own time is over, whether it waits or runs", async () => {
  const model = await doubler();
  model.hold = true;
  const client = await model.connect();
  const ended: number[] = [];
  const infer = async (timeoutMs: number): Promise<void> => {
    const startedAt = performance.now();
    await expect(client.infer(row(1), { timeoutMs })).rejects.toMatchObject({
      code: "runtime.timeout",
      message: `the version did not answer within ${timeoutMs} ms`,
    });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(timeoutMs - 1);
    ended.push(timeoutMs);
  };
  const running = [infer(90), infer(30)];
  await until(() => model.frames.length === 1);
  await Promise.all([...running, infer(120), infer(10), infer(60)]);
  expect(ended).toEqual([10, 30, 60, 90, 120]);
  expect(client.pending).toBe(0);
  await model.release();
  model.hold = false;
  expect(await outcomes(client, [2])).toEqual([4]);
  await client.close();
});

test("a full queue refuses, and takes again once there is room", async () => {
  const client = await (await doubler()).connect({ queue: 2 });
  expect(await outcomes(client, [1, 2, 3])).toEqual([2, 4, "overloaded"]);
  expect(await outcomes(client, [4])).toEqual([8]);
});

test("close waits for what is pending and takes nothing new", async () => {
  const model = await doubler();
  model.hold = true;
  const client = await model.connect();
  const pending = outcomes(client, [1]);
  const closed = client.close();
  await expect(client.infer(row(2), patient)).rejects.toMatchObject({
    code: "runtime.unavailable",
  });
  await model.release();
  await closed;
  expect(await pending).toEqual([2]);
});
