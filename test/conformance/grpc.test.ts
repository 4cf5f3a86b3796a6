/** The Open Inference Protocol over gRPC, with gRPC's own client, at a real gateway. */
import { gzipSync } from "node:zlib";

import { Client, credentials, status } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";

import { probedSchema, type GatewayStatus } from "../../src/link/message/index.ts";
import { DEFAULT_LIMITS, type Route } from "../../src/link/route/index.ts";
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
} from "../../src/serving/protocol-oip-grpc/health_pb.ts";
import {
  ModelMetadataRequestSchema,
  ModelMetadataResponseSchema,
  ModelReadyRequestSchema,
  ModelReadyResponseSchema,
  ServerLiveRequestSchema,
  ServerLiveResponseSchema,
  ServerMetadataRequestSchema,
  ServerMetadataResponseSchema,
  ServerReadyRequestSchema,
  ServerReadyResponseSchema,
} from "../../src/serving/protocol-oip-grpc/inference_pb.ts";
import { GatewayHarness } from "../support/gateway-harness.ts";
import { floatsRequest, GrpcCaller } from "../support/grpc-client.ts";
import { WATCHED } from "../support/route-facts.ts";

const FEATURES = [4.8, 3, 1.4, 0.1];
const ENDPOINT = "iris-prod";

let harness: GatewayHarness;
let caller: GrpcCaller;

async function serving(
  more: (harness: GatewayHarness) => Promise<Route> | Route | null = () => null,
): Promise<void> {
  harness = new GatewayHarness({ grpc: true });
  await harness.startBoth();
  const one = await harness.revision(1, "v1.0");
  const two = await harness.revision(2, "v1.1");
  await harness.publish((await more(harness)) ?? harness.route([one, two], 1));
  await harness.until(async () => {
    const { revisions } = await harness.admin<GatewayStatus>("gateway.status", {});
    return revisions.length === 2 && revisions.every((each) => each.state === "ready");
  }, "both revisions");
  caller = new GrpcCaller(`127.0.0.1:${harness.grpcPort}`);
}

function asItIs(bytes: Buffer): Buffer {
  return bytes;
}

afterEach(async () => {
  caller.close();
  await harness.end();
}, 20_000);

test("health, server and model metadata, readiness", async () => {
  await serving();
  const live = await caller.call(
    "ServerLive",
    [ServerLiveRequestSchema, ServerLiveResponseSchema],
    {},
  );
  expect(live).toMatchObject({ code: 0, message: { live: true } });
  const ready = await caller.call(
    "ServerReady",
    [ServerReadyRequestSchema, ServerReadyResponseSchema],
    {},
  );
  expect(ready.message?.ready).toBe(true);
  const server = await caller.call(
    "ServerMetadata",
    [ServerMetadataRequestSchema, ServerMetadataResponseSchema],
    {},
  );
  expect(server.message).toMatchObject({ name: "lastgood", version: "test" });
  const modelReady = [ModelReadyRequestSchema, ModelReadyResponseSchema] as const;
  for (const request of [{ name: ENDPOINT }, { name: "iris", version: "v1.1" }, {}])
    expect((await caller.call("ModelReady", modelReady, request)).message?.ready).toBe(true);
  expect(await caller.call("ModelReady", modelReady, { name: "nobody" })).toMatchObject({
    code: status.NOT_FOUND,
    details: expect.stringContaining(ENDPOINT),
  });
  const metadata = await caller.call(
    "ModelMetadata",
    [ModelMetadataRequestSchema, ModelMetadataResponseSchema],
    { name: ENDPOINT },
  );
  expect(metadata.message).toMatchObject({
    name: ENDPOINT,
    versions: ["v1.0", "v1.1"],
    platform: "onnx",
    inputs: [{ name: "features", datatype: "FP32", shape: [-1n, 4n] }],
  });
  const health = [HealthCheckRequestSchema, HealthCheckResponseSchema] as const;
  const check = "/grpc.health.v1.Health/Check";
  for (const service of ["", "inference.GRPCInferenceService", ENDPOINT])
    expect((await caller.call(check, health, { service })).message?.status).toBe(1);
  expect((await caller.call(check, health, { service: "x" })).code).toBe(status.NOT_FOUND);
});

test("inference, raw and typed, with our headers before and after the answer", async () => {
  await serving();
  const request = floatsRequest(ENDPOINT, FEATURES, { id: "mine" });
  const raw = await caller.infer(request, { headers: { "x-request-id": "caller-7" } });
  expect(raw).toMatchObject({
    code: 0,
    message: { modelName: ENDPOINT, modelVersion: "v1.0", id: "mine" },
    headers: {
      "x-lastgood-version": "v1.0",
      "x-lastgood-revision": "1",
      "x-request-id": "caller-7",
    },
  });
  expect(raw.trailers).toMatchObject({
    "x-lastgood-version": "v1.0",
    "x-lastgood-request-id": expect.stringMatching(/^iris-prod\.1\./),
  });
  const typed = await caller.infer(floatsRequest(ENDPOINT, FEATURES, { raw: false }));
  expect(typed.message?.rawOutputContents).toEqual([]);
  const outputs = raw.message?.outputs ?? [];
  expect(typed.message?.outputs.map(({ name, shape }) => ({ name, shape }))).toEqual(
    outputs.map(({ name, shape }) => ({ name, shape })),
  );
  const at = outputs.findIndex(({ datatype }) => datatype === "FP32");
  const bytes = raw.message?.rawOutputContents[at] ?? new Uint8Array();
  const floats = typed.message?.outputs[at]?.contents?.fp32Contents ?? [];
  expect(floats.length).toBeGreaterThan(0);
  expect([...new Float32Array(Uint8Array.from(bytes).buffer)]).toEqual(floats);
  const name = outputs[at]?.name ?? "";
  const only = await caller.infer(floatsRequest(ENDPOINT, FEATURES, { outputs: [name] }));
  expect(only.message?.outputs.map((each) => each.name)).toEqual([name]);
  const targeted = await caller.infer({ ...request, modelVersion: "v1.1" });
  expect(targeted.headers["x-lastgood-revision"]).toBe("2");
  expect(await caller.infer({ ...request, modelName: "" })).toMatchObject({ code: 0 });
});

test("whose fault an error is, in gRPC's status codes", async () => {
  await serving();
  const request = floatsRequest(ENDPOINT, FEATURES);
  const refused = async (
    given: Parameters<GrpcCaller["infer"]>[0],
    code: status,
    why: string,
  ): Promise<void> => {
    const { code: got, details } = await caller.infer(given);
    expect([got, details]).toEqual([code, expect.stringContaining(why)]);
  };
  await refused({ ...request, modelName: "nobody" }, status.NOT_FOUND, "no endpoint is named");
  await refused({ ...request, modelVersion: "v9" }, status.NOT_FOUND, "is not loaded");
  await refused(floatsRequest(ENDPOINT, [1, 2]), status.INVALID_ARGUMENT, "has shape [1, 2]");
  await refused(floatsRequest(ENDPOINT, FEATURES, { name: "x" }), status.INVALID_ARGUMENT, '"x"');
  await refused({ ...request, rawInputContents: [] }, status.INVALID_ARGUMENT, "no elements");
  const large = new Uint8Array(DEFAULT_LIMITS.bodyBytes + 1);
  await refused(
    { ...request, rawInputContents: [large] },
    status.RESOURCE_EXHAUSTED,
    "longer than",
  );
  const garbage = new Client(`127.0.0.1:${harness.grpcPort}`, credentials.createInsecure());
  const broken = await new Promise<number | undefined>((resolve) => {
    garbage.makeUnaryRequest(
      "/inference.GRPCInferenceService/ModelInfer",
      asItIs,
      asItIs,
      gzipSync("no message"),
      (error) => resolve(error?.code),
    );
  });
  garbage.close();
  expect(broken).toBe(status.INVALID_ARGUMENT);
  expect(await caller.infer(request)).toMatchObject({ code: 0 });
});

test("what only Triton has is UNIMPLEMENTED and says what to use instead", async () => {
  await serving();
  const nothing = [ServerLiveRequestSchema, ServerLiveResponseSchema] as const;
  for (const method of ["ModelConfig", "RepositoryModelLoad", "SystemSharedMemoryRegister"]) {
    const answer = await caller.call(method, nothing, {});
    expect([answer.code, answer.details]).toEqual([
      status.UNIMPLEMENTED,
      expect.stringContaining(`${method} is Triton's own`),
    ]);
  }
  const streaming = new Client(`127.0.0.1:${harness.grpcPort}`, credentials.createInsecure());
  const ended = await new Promise<{ code?: number; details?: string }>((resolve) => {
    const path = "/inference.GRPCInferenceService/ModelStreamInfer";
    const call = streaming.makeBidiStreamRequest(path, asItIs, asItIs);
    call.on("error", resolve);
    call.write(Buffer.alloc(0));
  });
  streaming.close();
  expect(ended).toMatchObject({
    code: status.UNIMPLEMENTED,
    details: expect.stringContaining("call ModelInfer"),
  });
});

test("the split and a sticky key hold over gRPC, and a probe goes through its port", async () => {
  await serving(async (on) => {
    const [one, two] = [await on.revision(1, "v1.0"), await on.revision(2, "v1.1")];
    return on.route([one, two], 1, {
      split: {
        salt: "s",
        arms: [
          { revision: 1, weight: 50 },
          { revision: 2, weight: 50 },
        ],
      },
    });
  });
  const request = floatsRequest(ENDPOINT, FEATURES);
  const answers = await Promise.all(Array.from({ length: 60 }, () => caller.infer(request)));
  expect(new Set(answers.map((each) => each.headers["x-lastgood-revision"]))).toEqual(
    new Set(["1", "2"]),
  );
  const headers = { "x-lastgood-key": "customer-7" };
  const sticky = await Promise.all(
    Array.from({ length: 20 }, () => caller.infer(request, { headers })),
  );
  expect(new Set(sticky.map((each) => each.headers["x-lastgood-revision"])).size).toBe(1);
  const probed = probedSchema.parse(
    await harness.control("endpoint.probe", { endpoint: ENDPOINT, revision: 2 }),
  );
  expect(probed.probes.map(({ protocol, ok, why }) => [protocol, ok, why])).toEqual([
    ["oip", true, null],
    ["oip-grpc", true, null],
  ]);
  const both = [await harness.revision(1, "v1.0"), await harness.revision(2, "v1.1")];
  await harness.publish(harness.route(both, 1));
  const wrong = probedSchema.parse(
    await harness.control("endpoint.probe", { endpoint: ENDPOINT, revision: 2 }),
  );
  expect(wrong.probes.map(({ protocol, ok, why }) => [protocol, ok, why])).toEqual([
    ["oip", false, expect.stringContaining("answered by revision 1")],
    ["oip-grpc", false, expect.stringContaining("answered by revision 1")],
  ]);
});

test("a request that the candidate fails is answered by stable, and the trailers say so", async () => {
  await serving(async (on) => {
    const [doubles, moody] = [
      await on.numbers(1, "doubles", "v1.0"),
      await on.numbers(2, "moody", "v1.1"),
    ];
    return on.route([doubles, moody], 2, {
      safeguards: { fallback: true, breaker: false },
      watch: WATCHED,
    });
  });
  const fine = await caller.infer(floatsRequest(ENDPOINT, [1], { name: "x", raw: false }));
  expect(fine).toMatchObject({ code: 0, trailers: { "x-lastgood-revision": "2" } });
  // It throws on this.
  const failed = await caller.infer(floatsRequest(ENDPOINT, [-1], { name: "x", raw: false }));
  expect(failed).toMatchObject({
    code: 0,
    trailers: { "x-lastgood-revision": "1", "x-lastgood-fallback": "v1.1/2" },
  });
});

test("the caller's own deadline ends the wait", async () => {
  await serving(async (on) => {
    const one = await on.revision(1, "v2.0-slow");
    return on.route([one, await on.revision(2, "v1.1")], 1);
  });
  const request = floatsRequest(ENDPOINT, FEATURES);
  const late = await caller.infer(request, { deadline: Date.now() + 1 });
  expect(late.code).toBe(status.DEADLINE_EXCEEDED);
  expect((await caller.infer(request)).code).toBe(0);
});

test("SIGTERM finishes the calls in flight", async () => {
  await serving();
  const request = floatsRequest(ENDPOINT, FEATURES);
  await caller.infer(request);
  const calls = Array.from({ length: 50 }, () => caller.infer(request));
  await caller.infer(request);
  const code = await harness.terminate();
  const answers = await Promise.all(calls);
  expect(answers.filter((each) => each.code !== 0)).toEqual([]);
  expect(code).toBe(0);
  expect((await caller.infer(request, { deadline: Date.now() + 2_000 })).code).not.toBe(0);
});
