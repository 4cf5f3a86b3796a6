import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, expect, test } from "vitest";

import { GatewayHarness, SAMPLE } from "../../../test/support/gateway-harness.ts";
import type { GatewayStatus } from "../../link/message/index.ts";
import { readRequestId, requestIdKey } from "../../link/request-id/index.ts";
import type { Watch } from "../../link/route/index.ts";

let harness: GatewayHarness;

afterEach(() => harness.end(), 20_000);

/** What the workers have logged. */
function logged(): readonly (readonly [string, number, readonly unknown[]])[] {
  const folder = join(harness.dataDir, "predictions");
  const lines = readdirSync(folder).flatMap((name) =>
    readFileSync(join(folder, name), "utf8").split("\n"),
  );
  return lines
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as [string, number, unknown[]]);
}

test("what another revision made of the same request is logged by the same id", async () => {
  harness = new GatewayHarness();
  await harness.startBoth();
  const revisions = [await harness.revision(1, "v1.0"), await harness.revision(2, "v1.1")];
  await harness.publish(harness.route(revisions, 1));
  await harness.until(async () => {
    const status = await harness.admin<GatewayStatus>("gateway.status", {});
    return status.revisions.every((each) => each.state === "ready");
  }, "both revisions");
  const watch: Watch = {
    rollout: "r1",
    candidate: 2,
    stable: 1,
    candidateShare: null,
    flushMs: 100,
    deadlineMs: 10_000,
    mirror: { of: 1, to: 2, percent: 100 },
    inputs: null,
  };
  await harness.publish(harness.route(revisions, 1, { predictions: true, watch }));
  await harness.ask("/v2/models/iris-prod/infer", SAMPLE);
  const lines = await harness.until(
    () => (logged().length >= 2 ? logged() : null),
    "both predictions in the log",
  );
  const id = lines?.[0]?.[0] ?? "";
  expect(
    readRequestId(requestIdKey(join(harness.dataDir, "keys", "request-id.key")), id).id,
  ).not.toBe(null);
  expect(lines).toEqual([
    [id, 1, [expect.any(Number)], 2],
    [`${id}~2`, 1, [expect.any(Number)]],
  ]);
}, 60_000);

test("what the split assigned is logged by its id while the route asks for it, nothing else is", async () => {
  harness = new GatewayHarness();
  await harness.startBoth();
  const one = await harness.revision(1, "v1.0");
  const ask = (path: string): ReturnType<typeof harness.ask> => harness.ask(path, SAMPLE);
  await harness.publish(harness.route([one], 1));
  await ask("/v2/models/iris-prod/infer");
  await harness.publish(harness.route([one], 1, { predictions: true }));
  for (let times = 0; times < 3; times += 1) await ask("/v2/models/iris-prod/infer");
  await ask("/v2/models/iris-prod/versions/v1.0/infer");
  await harness.control("endpoint.probe", { endpoint: "iris-prod", revision: 1 });
  await harness.publish(harness.route([one], 1));
  await ask("/v2/models/iris-prod/infer");
  const lines = await harness.until(
    () => (logged().length >= 3 ? logged() : null),
    "three predictions in the log",
  );
  const key = requestIdKey(join(harness.dataDir, "keys", "request-id.key"));
  expect(lines?.map(([id]) => readRequestId(key, id).id)).toEqual(
    Array.from({ length: 3 }, () => ({
      endpoint: "iris-prod",
      revision: 1,
      minute: expect.any(Number) as number,
      way: "assigned",
    })),
  );
  for (const [, rows, values] of lines ?? []) {
    expect(rows).toBe(1);
    expect(values).toEqual([expect.any(Number)]);
  }
}, 60_000);
