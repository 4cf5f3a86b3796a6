import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import type { Tensor } from "../../src/core/tensor/index.ts";
import { RemoteRuntime, type RemoteSettings } from "../../src/serving/runtime-remote/index.ts";
import type { LoadedModel } from "../../src/serving/runtime/index.ts";
import {
  connect,
  inspectRequest,
  OipServer,
  remoteVersion,
  revisionOf,
} from "./runtime-subjects.ts";

const patient = { timeoutMs: 20_000 };
let server: OipServer;

beforeAll(async () => {
  server = await OipServer.start("two-by-two");
});
beforeEach(() => {
  server.broken = null;
  server.drops = 0;
  server.delayMs = 0;
});
afterAll(async () => {
  await server.stop();
});

function runtime(overrides: Partial<RemoteSettings> = {}): RemoteRuntime {
  return new RemoteRuntime({
    there: { url: server.url, protocol: "oip", model: "two-by-two", retries: false, ...overrides },
  });
}

const version = remoteVersion("there");

async function loaded(of: RemoteRuntime): Promise<LoadedModel> {
  return of.load("fraud/1", revisionOf(version, await of.inspect(inspectRequest(version))));
}

function inputs(b: bigint): Tensor[] {
  return [
    { name: "a", dtype: "FP32", shape: [1, 3], data: Float32Array.of(1, 2, 3) },
    { name: "b", dtype: "INT64", shape: [1], data: BigInt64Array.of(b) },
  ];
}

test("where a request may not be sent twice no sample is sent, and no digest is claimed", async () => {
  const before = server.infers;
  const model = await loaded(runtime());
  expect(server.infers).toBe(before);
  expect(model.proof.proof).toContain("ready, reports version 7, no samples sent");
  expect(model.proof.proof).not.toContain("digest verified");
  expect(model.proof.pid).toBeNull();
});

test("where an example is still to be read by the signature, nothing generated is sent", async () => {
  const before = server.infers;
  const request = { ...inspectRequest(version), describeOnly: true };
  const { signature, golden } = await runtime({ retries: true }).inspect(request);
  expect(signature.inputs.map(({ name }) => name)).toEqual(["a", "b"]);
  expect(golden).toEqual([]);
  expect(server.infers).toBe(before);
});

test("64-bit integers come through exactly", async () => {
  const client = await connect(await loaded(runtime()));
  const b = 2n ** 61n + 1n;
  const { outputs } = await client.infer(inputs(b), patient);
  expect(outputs[1]).toMatchObject({ name: "twice", data: BigInt64Array.of(2n * b) });
  await client.close();
});

test("a remote's own time does not contain the wait for a free connection", async () => {
  const client = await connect(await loaded(runtime()));
  server.delayMs = 200;
  const startedAt = performance.now();
  // Three times as many as it has connections.
  const results = await Promise.all(
    Array.from({ length: 384 }, () => client.infer(inputs(1n), patient)),
  );
  const allMs = performance.now() - startedAt;
  expect(allMs).toBeGreaterThan(600);
  expect(Math.min(...results.map((each) => each.modelMs))).toBeGreaterThanOrEqual(199);
  expect(Math.max(...results.map((each) => each.modelMs))).toBeLessThan(0.8 * allMs);
  await client.close();
});

test("what is left of a request's time need not be a whole number of milliseconds", async () => {
  const client = await connect(await loaded(runtime()));
  const { outputs } = await client.infer(inputs(1n), { timeoutMs: 19_987.96 });
  expect(outputs).toHaveLength(2);
  await client.close();
});

test("a 4xx says that the remote rejected the request, a 5xx that it failed", async () => {
  const client = await connect(await loaded(runtime()));
  server.broken = { status: 422, body: '{"error":"no such colour"}' };
  await expect(client.infer(inputs(1n), patient)).rejects.toMatchObject({
    code: "runtime.failed",
    message: expect.stringContaining("422: no such colour") as string,
    details: { rejected: true, status: 422 },
  });
  server.broken = { status: 503, body: "<html>out of order</html>" };
  await expect(client.infer(inputs(1n), patient)).rejects.toMatchObject({
    code: "runtime.failed",
    details: { status: 503 },
  });
  await client.close();
});

test.each([
  ["nothing in it", ""],
  ["no JSON", "<html>"],
  ["no outputs", "{}"],
  ["too few elements", '{"outputs":[{"name":"y","datatype":"FP32","shape":[3],"data":[1]}]}'],
  [
    "values of another type",
    '{"outputs":[{"name":"y","datatype":"INT64","shape":[1],"data":["a"]}]}',
  ],
  ["a type nobody knows", '{"outputs":[{"name":"y","datatype":"FP8","shape":[1],"data":[1]}]}'],
])("an answer with %s is a failure of the remote, and counts as invalid", async (_name, body) => {
  const client = await connect(await loaded(runtime()));
  server.broken = { status: 200, body };
  await expect(client.infer(inputs(1n), patient)).rejects.toMatchObject({
    code: "runtime.failed",
    details: { invalid: expect.stringContaining("not as the protocol has it") as string },
  });
  await client.close();
});

test.each([204, 307])("a status of %i is an invalid answer", async (status) => {
  const client = await connect(await loaded(runtime()));
  server.broken = { status, body: "" };
  await expect(client.infer(inputs(1n), patient)).rejects.toMatchObject({
    code: "runtime.failed",
    details: { invalid: expect.any(String) as string },
  });
  await client.close();
});

test("a lost connection is tried once more only where a request may be sent twice", async () => {
  const careful = await connect(await loaded(runtime()));
  server.drops = 1;
  await expect(careful.infer(inputs(1n), patient)).rejects.toMatchObject({
    code: "runtime.unavailable",
  });
  const bold = await connect(await loaded(runtime({ retries: true })));
  server.drops = 1;
  expect((await bold.infer(inputs(1n), patient)).outputs).toHaveLength(2);
  await Promise.all([careful.close(), bold.close()]);
});

test("a remote that is not there, not configured or not fetched is said to be so", async () => {
  const away = runtime({ url: "http://127.0.0.1:1" });
  await expect(away.inspect(inspectRequest(version))).rejects.toMatchObject({
    code: "runtime.unavailable",
  });
  const unknown = new RemoteRuntime({});
  await expect(unknown.inspect(inspectRequest(version))).rejects.toMatchObject({
    code: "runtime.unavailable",
    message: expect.stringContaining('no remote "there"') as string,
  });
  const file = runtime({ url: "file:///etc/passwd" });
  await expect(file.inspect(inspectRequest(version))).rejects.toMatchObject({
    code: "config.invalid",
  });
});

test("a remote whose metadata became another is not loaded", async () => {
  const of = runtime();
  const inspected = await of.inspect(inspectRequest(version));
  const inputsBefore = inspected.signature.inputs.map((input) => ({
    ...input,
    name: `${input.name}2`,
  }));
  const revision = revisionOf(version, {
    ...inspected,
    signature: { ...inspected.signature, inputs: inputsBefore },
  });
  await expect(of.load("fraud/1", revision)).rejects.toMatchObject({ code: "preflight.rejected" });
});
