/**
 * Rollouts that watch themselves: each broken update of examples/ goes back on its own, by the right
 * metric, and no caller sees a failed answer; the better one is promoted.
 */
import { readFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { ENDPOINT, irisLoad, TESTER } from "../support/iris-endpoint.ts";
import type { Load } from "../support/load.ts";
import { example, startServer, until, type TestServer } from "../support/server.ts";

/** Everything in seconds: two steps, a bake with a holdback. */
const POLICY = {
  model: "iris",
  rollout: {
    canary: {
      steps: [
        { weight: "20%", until: { requests: 100, time: "2s" } },
        { weight: "50%", until: { requests: 200, time: "1s" } },
      ],
    },
    bake: "3s",
  },
  analysis: { flush: "250ms", metrics: { drift: { action: "rollback" } } },
  rollback: { atMost: "1000 per 1h" },
};

let server: TestServer;
let load: Load;

beforeAll(async () => {
  server = await startServer();
  for (const name of ["v1.0", "v1.1", "v2.0-throws", "v2.0-slow", "v2.0-nan", "v2.0-scaled"]) {
    const bytes = new Uint8Array(readFileSync(example(`iris/${name}.onnx`)));
    const { digest } = await server.client.upload(bytes);
    const files = [{ path: "model.onnx", digest }];
    await server.client.register("iris", { name, files, actor: TESTER.actor });
  }
  await server.client.deploy({ ...TESTER, reference: "iris@v1.0", endpoint: ENDPOINT });
  await server.client.applyPolicy(ENDPOINT, { ...TESTER, policy: POLICY });
  load = irisLoad(server, 8, 15);
}, 120_000);

afterAll(async () => {
  await load.stop();
  await server.destroy();
});

/** Deploys and waits for the end of the rollout: its phase and what was said. */
async function rollsOut(version: string): Promise<{ phase: string; reason: string }> {
  const { rollout } = await server.client.deploy({ ...TESTER, reference: `iris@${version}` });
  return until(
    `the rollout of ${version} ends`,
    async () => {
      const { lastRollout } = await server.client.endpoint(ENDPOINT);
      if (lastRollout?.id !== rollout?.id || lastRollout === null) return null;
      return { phase: lastRollout.phase, reason: lastRollout.reason ?? "" };
    },
    60_000,
  );
}

test("the better version steps through the canary, bakes with a holdback and is stable", async () => {
  expect(await rollsOut("v1.1")).toMatchObject({ phase: "Succeeded" });
  const { entries } = await server.client.history(ENDPOINT);
  const kinds = entries.map((entry) => entry.kind);
  expect(kinds.slice(kinds.lastIndexOf("rollout.started"))).toEqual([
    "rollout.started",
    "rollout.weight.changed",
    "rollout.advanced",
    "rollout.weight.changed",
    "rollout.promoted",
    "rollout.baking",
    "rollout.succeeded",
  ]);
  expect(load.failures).toEqual([]);
}, 90_000);

for (const [version, metric] of [
  ["v2.0-throws", "errorRate"],
  ["v2.0-nan", "errorRate"],
  ["v2.0-slow", "latency"],
  ["v2.0-scaled", "drift"],
] as const)
  test(`${version} is sent back by ${metric}, failed and kept, and no caller sees a failure`, async () => {
    const { phase, reason } = await rollsOut(version);
    expect({ phase, reason }).toEqual({
      phase: "RolledBack",
      reason: expect.stringContaining(`${metric}: `),
    });
    const { entries } = await server.client.history(ENDPOINT);
    const decided = entries.findLast((entry) => entry.kind === "rollback.started");
    expect(decided).toMatchObject({
      actor: "lastgood",
      data: { trigger: "analysis", blamed: expect.arrayContaining([metric]) },
    });
    const view = await server.client.endpoint(ENDPOINT);
    expect(view.current?.version).toBe("v1.1");
    expect(view.revisions.findLast((each) => each.version === version)?.status).toBe("failed");
    const kept = await server.client.version("iris", version);
    expect(kept).toMatchObject({ status: "failed", statusReason: reason });
    expect(load.failures).toEqual([]);
    // It is barred from the next try without --force.
    await expect(
      server.client.deploy({ ...TESTER, reference: `iris@${version}` }),
    ).rejects.toMatchObject({ code: "version.barred" });
  }, 90_000);
