/**
 * Every family of examples/: text labels and maps of probabilities (breast-cancer), many inputs
 * (digits), and what only labels that come later can tell.
 */
import { afterAll, beforeAll, expect, test } from "vitest";

import { heldOutRows } from "../support/rows.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { LateLabels, quickCanary, UnderTraffic, type Family } from "../support/under-traffic.ts";

let server: TestServer;
const started: UnderTraffic[] = [];

beforeAll(async () => {
  server = await startServer();
});

afterAll(async () => {
  await Promise.all(started.map(({ load }) => load.stop()));
  await server.destroy();
});

async function start(...args: ParametersOf): Promise<UnderTraffic> {
  const [name, options] = args;
  const made = await UnderTraffic.start(server, name, options);
  started.push(made);
  return made;
}

type ParametersOf = [string, Parameters<typeof UnderTraffic.start>[2]];

const BY_DRIFT = quickCanary({ analysis: { metrics: { drift: { action: "rollback" } } } });

describeFamily("breast-cancer");
describeFamily("digits");

/** NaN for rows that it is unsure of, which its only golden sample is not. */
function registerNaN(on: UnderTraffic, version: string): Promise<void> {
  // It is unsure of the first digit.
  const sure = heldOutRows(on.family).at(on.family === "digits" ? 1 : 0);
  const inputExample = { inputs: { features: [sure?.features] } };
  return on.register(version, `${on.family}/v2.0-nan.onnx`, inputExample);
}

/** It answers golden samples made of noise with NaN: it needs neither traffic nor evidence. */
async function isRejected(on: UnderTraffic, version: string): Promise<void> {
  const why = /golden sample \d+ of \d+: \w+\[\d+\] is NaN; no golden sample of v1\.1 holds/;
  await expect(on.begin(version)).rejects.toMatchObject({
    code: "preflight.rejected",
    message: expect.stringMatching(why),
  });
  const { current, revisions, lastRollout } = await on.view();
  expect(current?.version).toBe("v1.1");
  expect(lastRollout).toMatchObject({ phase: "Rejected", reason: expect.stringMatching(why) });
  expect(revisions.findLast((each) => each.version === version)).toMatchObject({
    status: "rejected",
    requests: 0,
  });
}

function describeFamily(family: Family): void {
  test.concurrent(`${family}: each broken version goes back by the right metric, and the renamed one never gets traffic`, async () => {
    const on = await start(family, { family, policy: BY_DRIFT, pauseMs: 25 });
    for (const [version, metric] of [
      ["v2.0-throws", "errorRate"],
      ["v2.0-nan-late", "errorRate"],
      ["v2.0-slow", "latency"],
      ["v2.0-scaled", "drift"],
    ] as const) {
      if (version === "v2.0-nan-late") await registerNaN(on, version);
      else await on.registerBroken(version);
      await on.wasSentBackBy(metric, version, await on.rollsOut(version));
    }
    await on.registerBroken("v2.0-nan");
    await isRejected(on, "v2.0-nan");
    await on.registerBroken("v2.0-renamed");
    const { historyHead } = await on.view();
    await expect(on.begin("v2.0-renamed")).rejects.toMatchObject({
      code: "preflight.rejected",
    });
    expect(await on.view()).toMatchObject({
      historyHead,
      split: [{ version: "v1.1", weight: 100 }],
    });
    expect(on.load.failures).toEqual([]);
  }, 180_000);
}

for (const family of ["iris", "breast-cancer"] as const)
  test.concurrent(`${family}: wrong answers without an error go back by labels that come later, under the default metrics`, async () => {
    const name = `labelled-${family}`;
    const on = await start(name, { family, pauseMs: 25 });
    const labels = new LateLabels(on);
    try {
      await on.registerBroken("v2.0-scaled");
      const ended = await on.rollsOut("v2.0-scaled");
      await on.wasSentBackBy("accuracy", "v2.0-scaled", ended);
      const [decided] = await on.decisions();
      expect(decided?.data["blamed"]).toEqual(["accuracy"]);
      expect(labels.accepted).toBeGreaterThan(0);
    } finally {
      await labels.stop();
    }
  }, 120_000);
