import fc from "fast-check";
import { expect, test } from "vitest";

import { routeOf } from "../../../test/support/link-messages.ts";
import { digestOf, signatureOf } from "../../../test/support/rollout-facts.ts";
import { noArmCounts, noPairCounts } from "../../core/analysis/index.ts";
import type { Evidence } from "../count/index.ts";
import { CONTROL_REQUESTS, GATEWAY_REQUESTS } from "./message.ts";

const order = { generation: 1, epoch: 1, sequence: 1 };
const override = {
  id: "o1",
  endpoint: "fraud-prod",
  kind: "rollback",
  over: order,
  from: 2,
  to: 1,
  at: 1,
  actor: "ann",
  reason: null,
  keepStatus: false,
  trigger: "breaker",
  measured: {
    switchMs: 1.5,
    lastOldAdmittedMs: null,
    lastOldResponseMs: null,
    failedRequests: 0,
    verified: true,
    durable: true,
  },
};
const revision = {
  endpoint: "fraud-prod",
  revision: 1,
  digest: digestOf(1),
  state: "ready",
  proof: "digest verified, 3 samples agree",
  provenAt: 1,
  samples: 3,
  why: null,
  code: null,
  engine: { name: "onnxruntime-node", version: "1.30.0", threads: 1 },
  pid: 7,
};

/** One good body for each request; a new kind of request does not compile until it has one. */
const EVIDENCE: Evidence = {
  gateway: "host-1",
  incarnation: "abc",
  endpoint: "fraud-prod",
  rollout: "r1",
  sequence: 0,
  split: 3,
  candidateShare: 0.1,
  from: 1,
  to: 2,
  arms: [{ revision: 2, counts: { ...noArmCounts(), requests: 5, latency: { "1": [[7, 5]] } } }],
  pairs: noPairCounts(),
  errors: [],
  lost: 0,
};

/** Fields that came with a later release. */
const LATER = new Set([
  "override.made trigger",
  "gateway.connected grpcAddress",
  "endpoint.probe apart",
  "revision.state samples",
]);

const GOOD: Record<keyof typeof GATEWAY_REQUESTS | keyof typeof CONTROL_REQUESTS, object> = {
  "route.publish": { route: routeOf() },
  "route.drained": { endpoint: "fraud-prod", order, since: 1.5, timeoutMs: 10 },
  "endpoint.probe": { endpoint: "fraud-prod", revision: 1, apart: true },
  "version.inspect": {
    digest: digestOf(1),
    runtime: { kind: "onnx", file: "model.onnx" },
    files: [{ path: "model.onnx", digest: digestOf(2), size: 3 }],
    signature: signatureOf(),
    examples: [[{ name: "x", dtype: "FP32", shape: [1], data: [0.5] }]],
  },
  "gateway.rollback": {
    endpoint: null,
    version: "v1.0",
    ifCurrent: null,
    actor: "ann",
    reason: "error rate",
    keepStatus: false,
    again: false,
    dryRun: false,
  },
  "gateway.status": {},
  "gateway.drain": { timeoutMs: 10_000 },
  "gateway.connected": {
    gateway: "g1",
    incarnation: "i1",
    workers: 2,
    serveAddress: "127.0.0.1:8080",
    grpcAddress: "127.0.0.1:8081",
    routes: [routeOf()],
    overrides: [override],
    revisions: [revision],
  },
  "revision.state": revision,
  "override.made": override,
  counts: { counts: [] },
  evidence: { evidence: [EVIDENCE] },
};

const schemas = Object.entries({ ...GATEWAY_REQUESTS, ...CONTROL_REQUESTS });

for (const [kind, schema] of schemas) {
  const good = JSON.parse(JSON.stringify(GOOD[kind as keyof typeof GOOD])) as object;

  test(`${kind}: a good body comes through as it is`, () => {
    expect(schema.parse(good)).toEqual(good);
  });

  test(`${kind}: what is no such body is refused, never thrown on`, () => {
    for (const garbage of [null, undefined, 7, "text", [], () => undefined])
      expect(schema.safeParse(garbage).success).toBe(false);
    const needs = Object.keys(good).length > 0;
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(schema.safeParse(value).success && needs).toBe(false);
      }),
    );
  });

  test(`${kind}: with any one field missing or of another kind it is refused`, () => {
    for (const key of Object.keys(good)) {
      const { [key as keyof typeof good]: gone, ...rest } = good;
      expect(gone).not.toBeUndefined();
      // What came with a later release is left out by gateways of an earlier one.
      const isLater = LATER.has(`${kind} ${key}`);
      expect(schema.safeParse(rest).success, `without ${key}`).toBe(isLater);
      expect(
        schema.safeParse({ ...good, [key]: { of: "another kind" } }).success,
        `${key} of another kind`,
      ).toBe(false);
    }
  });
}

test("paths and names that leave their folder do not come over the link", () => {
  const inspect = GOOD["version.inspect"];
  const file = { path: "../../etc/passwd", digest: digestOf(1), size: 1 };
  expect(GATEWAY_REQUESTS["version.inspect"].safeParse({ ...inspect, files: [file] }).success).toBe(
    false,
  );
  expect(
    GATEWAY_REQUESTS["endpoint.probe"].safeParse({ endpoint: "../x", revision: 1 }).success,
  ).toBe(false);
});
