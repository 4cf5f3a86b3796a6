import { expect, test } from "vitest";

import type { Status } from "../../core/api/index.ts";
import { readinessOf } from "./readiness.ts";

function statusOf(endpoint: object, gateways: readonly object[] = [{}]): Status {
  const named = { name: "fraud-prod", ...endpoint };
  return { endpoints: [named], gateways, alarms: [] } as unknown as Status;
}

const current = { version: "v1.1", revision: 2, digest: "sha256:0" };
const serving = {
  current,
  split: [{ version: "v1.1", revision: 2, weight: 100 }],
  revisions: [{ revision: 2, version: "v1.1", warm: true }],
};

test("ready means a gateway and every current revision loaded and routed", () => {
  expect(readinessOf(statusOf(serving))).toEqual({ ready: true, missing: [] });
  expect(readinessOf(statusOf(serving, [])).missing).toEqual(["no gateway is connected"]);
  expect(readinessOf(statusOf({ ...serving, revisions: [] })).missing).toEqual([
    "fraud-prod: v1.1 is not loaded",
  ]);
  expect(readinessOf(statusOf({ ...serving, split: [] })).missing).toEqual([
    "fraud-prod: v1.1 is not routed",
  ]);
});

test("an endpoint that serves nothing yet does not stand in the way", () => {
  expect(readinessOf(statusOf({ ...serving, current: null })).ready).toBe(true);
});
