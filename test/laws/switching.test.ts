import { afterAll, beforeAll, expect, test } from "vitest";

import type { RolledBack } from "../../src/core/api/index.ts";
import { Load, monotonicMs, oipBody } from "../support/load.ts";
import { heldOutRows } from "../support/rows.ts";
import { startServer, type TestServer } from "../support/server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
  await server.register("iris", "v1.0", "iris/v1.0.onnx");
  await server.register("iris", "v1.1", "iris/v1.1.onnx");
  await server.json(["deploy", "iris@v1.0"]);
});

afterAll(() => server.destroy());

test("100 switches under load: no request fails, and none is answered by the old version once the switch was reported", async () => {
  const load = new Load({
    url: `${server.serveUrl}/v2/models/iris/infer`,
    bodies: heldOutRows("iris").map((row) => oipBody(row.features)),
    concurrency: 64,
  });
  const base = { reason: null, actor: "tester" } as const;
  const reported: { version: string; from: number; to: number }[] = [];
  for (let round = 0; round < 50; round += 1) {
    const deployed = await server.client.deploy({ ...base, reference: "iris@v1.1", force: true });
    const deployedAt = monotonicMs();
    expect(deployed.verified).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 15));
    reported.push({ version: "v1.1", from: deployedAt, to: monotonicMs() });
    const back: RolledBack = await server.client.rollback({ ...base, again: true });
    const backAt = monotonicMs();
    expect(back).toMatchObject({ verified: true, failedRequests: 0, warm: true });
    await new Promise((resolve) => setTimeout(resolve, 15));
    reported.push({ version: "v1.0", from: backAt, to: monotonicMs() });
  }
  const answers = await load.stop();
  expect(load.failures).toEqual([]);
  expect(answers.length).toBeGreaterThan(5_000);
  for (const { version, from, to } of reported) {
    const meanwhile = answers.filter((answer) => answer.sentAt > from && answer.doneAt < to);
    const stale = meanwhile.filter((answer) => answer.version !== version);
    expect(stale).toEqual([]);
  }
}, 300_000);
