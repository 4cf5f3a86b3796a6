/**
 * Rollouts that watch themselves: each broken update of examples/ goes back on its own, by the right
 * metric, and no caller sees a failed answer; the better one is promoted. `AUTOMATIC_RUNS` goes round
 * the broken versions as often.
 */
import { afterAll, beforeAll, expect, test } from "vitest";

import { startServer, type TestServer } from "../support/server.ts";
import { quickCanary, runsFrom, UnderTraffic } from "../support/under-traffic.ts";

const RUNS = runsFrom("AUTOMATIC_RUNS", 1);

const BROKEN = [
  ["v2.0-throws", "errorRate"],
  ["v2.0-nan", "errorRate"],
  ["v2.0-slow", "latency"],
  ["v2.0-scaled", "drift"],
] as const;

let server: TestServer;
let iris: UnderTraffic;

beforeAll(async () => {
  server = await startServer();
  iris = await UnderTraffic.start(server, "iris", {
    policy: quickCanary({ analysis: { metrics: { drift: { action: "rollback" } } } }),
    concurrency: 8,
    first: "v1.0",
  });
}, 120_000);

afterAll(async () => {
  await iris.load.stop();
  await server.destroy();
});

test("the better version steps through the canary, bakes with a holdback and is stable", async () => {
  await iris.register("v1.1");
  const ended = await iris.rollsOut("v1.1");
  expect(ended).toMatchObject({ phase: "Succeeded" });
  expect(await server.json(["explain", ended.id])).toMatchObject({
    agrees: true,
    recorded: { rollback: null },
  });
  const kinds = (await iris.history()).map((entry) => entry.kind);
  expect(kinds.slice(kinds.lastIndexOf("rollout.started"))).toEqual([
    "rollout.started",
    "rollout.weight.changed",
    "rollout.advanced",
    "rollout.weight.changed",
    "rollout.promoted",
    "rollout.baking",
    "rollout.succeeded",
  ]);
  expect(iris.load.failures).toEqual([]);
}, 90_000);

/** Where one of its own samples shows the NaN already, the version never gets traffic. */
function rejectedForNaN(error: unknown): null {
  expect(error).toMatchObject({
    code: "preflight.rejected",
    message: expect.stringContaining("is NaN") as string,
  });
  return null;
}

for (let run = 1; run <= RUNS; run += 1)
  for (const [version, metric] of BROKEN)
    test(`${version} is sent back by ${metric}, failed and kept, and no caller sees a failure (${run})`, async () => {
      const name = `${version}.${run}`;
      await iris.registerBroken(version, name);
      const ended = await iris.rollsOut(name).catch(rejectedForNaN);
      if (ended === null) return;
      expect(ended.phase).toBe("RolledBack");
      await iris.wasSentBackBy(metric, name, ended);
    }, 90_000);
