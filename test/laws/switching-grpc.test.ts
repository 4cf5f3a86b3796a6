/** Laws 3 and 5 over gRPC: a switch drops no call, closes no connection, and is verified on that port too. */
import { afterAll, beforeAll, expect, test } from "vitest";

import type { RolledBack } from "../../src/core/api/index.ts";
import { floatsRequest, GrpcCaller, type GrpcAnswered } from "../support/grpc-client.ts";
import { startServer, type TestServer } from "../support/server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
  await server.register("iris", "v1.0", "iris/v1.0.onnx");
  await server.register("iris", "v1.1", "iris/v1.1.onnx");
  await server.json(["deploy", "iris@v1.0"]);
});

afterAll(() => server.destroy());

test("the gRPC address is told when the server starts", () => {
  expect(server.output).toContain(`gRPC      ${server.grpcAddress}`);
});

test("10 switches under gRPC load: no call fails, no channel is closed, none is stale", async () => {
  const callers = Array.from({ length: 8 }, () => new GrpcCaller(server.grpcAddress));
  const request = floatsRequest("iris", [4.8, 3, 1.4, 0.1]);
  const failures: GrpcAnswered<unknown>[] = [];
  let count = 0;
  let isRunning = true;
  const load = callers.map(async (caller) => {
    // oxlint-disable-next-line no-unmodified-loop-condition -- the test ends it
    while (isRunning) {
      const answer = await caller.infer(request);
      count += 1;
      if (answer.code !== 0) failures.push(answer);
    }
  });
  const versions = async (): Promise<Set<string | undefined>> => {
    const answers = await Promise.all(callers.map((caller) => caller.infer(request)));
    return new Set(answers.map((answer) => answer.headers["x-lastgood-version"]));
  };
  const base = { reason: null, actor: "tester" } as const;
  try {
    expect(await versions()).toEqual(new Set(["v1.0"]));
    for (let round = 0; round < 5; round += 1) {
      const reference = "iris@v1.1";
      const deployed = await server.client.deploy({ ...base, reference, force: true });
      expect(deployed.verified).toBe(true);
      expect(await versions()).toEqual(new Set(["v1.1"]));
      const back: RolledBack = await server.client.rollback({ ...base, again: true });
      expect(back).toMatchObject({ verified: true, failedRequests: 0, warm: true });
      expect(await versions()).toEqual(new Set(["v1.0"]));
    }
  } finally {
    isRunning = false;
    await Promise.all(load);
    for (const caller of callers) caller.close();
  }
  expect(failures).toEqual([]);
  expect(count).toBeGreaterThan(200);
}, 120_000);
