import { expect, test } from "vitest";

import { badAssessment, canaryView } from "../../../test/support/scripted-api.ts";
import type { History, Status } from "../../core/api/index.ts";
import { exposition } from "./exposition.ts";
import { metricsOf } from "./metrics.ts";
import { RollbackTotals } from "./rollback-totals.ts";

const status = {
  endpoints: [
    {
      name: "fraud-prod",
      current: { version: "v1.1", revision: 2, digest: "sha256:0" },
      rollout: null,
      lastRollout: null,
      split: [{ version: "v1.1", revision: 2, weight: 100 }],
      revisions: [{ revision: 2, version: "v1.1" }],
    },
  ],
  gateways: [],
  alarms: [],
} as unknown as Status;

test("metrics show build, versions, counts by arm, rollbacks by trigger and weights", () => {
  const count = { endpoint: "fraud-prod", revision: 2, arm: "assigned", rejected: 0 };
  const text = exposition(
    metricsOf({
      build: 'b"1',
      status,
      counts: [
        { ...count, interval: 1, requests: 5, errors: 1 },
        { ...count, interval: 2, requests: 6, errors: 0 },
      ],
      rollbacks: new Map([["fraud-prod", new Map([["manual", 2]])]]),
      assessments: new Map(),
    }),
  );
  expect(text.split("\n").filter((line) => !line.startsWith("#"))).toEqual([
    'lastgood_build_info{build="b\\"1"} 1',
    'lastgood_active_version{endpoint="fraud-prod",version="v1.1",revision="2",digest="sha256:0"} 1',
    'lastgood_requests_total{endpoint="fraud-prod",version="v1.1",revision="2",arm="assigned"} 11',
    'lastgood_errors_total{endpoint="fraud-prod",version="v1.1",revision="2",arm="assigned"} 1',
    'lastgood_rollbacks_total{endpoint="fraud-prod",trigger="manual"} 2',
    'lastgood_rollout_weight{endpoint="fraud-prod",version="v1.1",revision="2"} 100',
    "",
  ]);
});

/** Lines of a metric, without its name. */
function seriesOf(text: string, name: string): readonly string[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`))
    .map((line) => line.slice(name.length));
}

test("metrics show the evidence of a rollout under way, each metric against its threshold", () => {
  const [endpoint] = status.endpoints;
  const held = { why: "too many errors", since: 0 };
  const rollout = canaryView({ held });
  const text = exposition(
    metricsOf({
      build: "b",
      status: { ...status, endpoints: [{ ...endpoint, rollout }] } as unknown as Status,
      counts: [],
      rollbacks: new Map(),
      assessments: new Map([["fraud-prod", badAssessment()]]),
    }),
  );
  const of = (name: string) => seriesOf(text, `lastgood_rollout_${name}`);
  expect(of("phase").filter((line) => line.endsWith(" 1"))).toEqual([
    '{endpoint="fraud-prod",phase="Progressing"} 1',
  ]);
  expect(of("phase")).toHaveLength(9);
  expect(of("held")).toEqual(['{endpoint="fraud-prod"} 1']);
  expect(of("decision").filter((line) => line.endsWith(" 1"))).toEqual([
    '{endpoint="fraud-prod",decision="rollback"} 1',
  ]);
  expect(of("threshold_log10")).toEqual(['{endpoint="fraud-prod"} 3']);
  expect(of("metric_evidence_log10")).toEqual([
    '{endpoint="fraud-prod",metric="errorRate"} 3.995509',
    '{endpoint="fraud-prod",metric="latency"} -0.304006',
  ]);
  expect(of("metric_weight")).toEqual([
    '{endpoint="fraud-prod",metric="errorRate"} 0.75',
    '{endpoint="fraud-prod",metric="latency"} 0.25',
  ]);
  expect(of("metric_verdict").filter((line) => line.endsWith(" 1"))).toEqual([
    '{endpoint="fraud-prod",metric="errorRate",verdict="fail"} 1',
    '{endpoint="fraud-prod",metric="latency",verdict="inconclusive"} 1',
  ]);
  // Nothing that grows with time: no rollout, no version.
  expect(text).not.toContain(rollout.id);
});

test("each rollback in a history counts once, however often and at once it is read", async () => {
  const all = Array.from({ length: 1_200 }, (_, index) => ({
    sequence: index + 1,
    kind: index % 2 === 0 ? "rollback.completed" : "rollback.started",
    data: { trigger: index < 600 ? "manual" : "breaker" },
  }));
  const totals = new RollbackTotals({
    history: (endpoint, after, limit) => {
      const entries = all.slice(after, after + limit);
      return Promise.resolve({ endpoint, head: null, entries } as unknown as History);
    },
  });
  await Promise.all([totals.upToNow(["a"]), totals.upToNow(["a"])]);
  expect(await totals.upToNow(["a"])).toEqual(
    new Map([
      [
        "a",
        new Map([
          ["manual", 300],
          ["breaker", 300],
        ]),
      ],
    ]),
  );
});
