/** Incidents put together from histories and evidence as they are stored. */
import { expect, test } from "vitest";

import { badAssessment } from "../../../test/support/scripted-api.ts";
import { noArmCounts, noPairCounts } from "../../core/analysis/index.ts";
import type { ChainEntry } from "../../storage/history/index.ts";
import type { StoredEvidence } from "../../storage/store/index.ts";
import { assembleIncident } from "./incident.ts";
import { rollbacksIn } from "./rollback-reader.ts";

const digest = (number: number): string => `sha256:${String(number).repeat(64)}`;
const served = (version: string, revision: number) => ({
  version,
  revision,
  digest: digest(revision),
});
const V0 = served("v1.0", 1);
const V1 = served("v1.1", 2);

function historyOf(
  drafts: readonly (readonly [at: number, kind: string, data: object, reason?: string])[],
): readonly ChainEntry[] {
  return drafts.map(([at, kind, data, reason], index) => ({
    endpoint: "fraud-prod",
    sequence: index + 1,
    at,
    kind,
    actor: kind.startsWith("rollback") ? "lastgood" : "ana",
    reason: reason ?? null,
    data: { ...data },
    previous: null,
    hash: String(index),
  }));
}

const STARTED = [
  1_000,
  "rollout.started",
  { rollout: "r1", strategy: "canary", from: V0, to: V1 },
] as const;
const WEIGHT = [
  1_100,
  "rollout.weight.changed",
  { rollout: "r1", to: V1, weight: 10, switchMs: 4 },
] as const;
const evidence = { id: "r1", position: 3, context: null, assessment: badAssessment() };
const DECIDED = [
  5_000,
  "rollback.started",
  {
    rollback: "b1",
    kind: "rollback",
    trigger: "analysis",
    from: V1,
    to: V0,
    blamed: ["errorRate"],
    evidence,
  },
  "errorRate: 4.1 % errors",
] as const;
const measured = {
  switchMs: 6,
  lastOldAdmittedMs: 1,
  lastOldResponseMs: 5,
  failedRequests: 0,
  verified: true,
  durable: true,
};
const ARRIVED = [
  5_012,
  "rollback.completed",
  { rollback: "b1", trigger: "analysis", via: "api", from: V1, to: V0, ...measured },
] as const;

/** Of one second, the number says which. */
function seen(
  number: number,
  counts: {
    readonly requests: number;
    readonly errors?: number;
    readonly fallback?: number;
    readonly fallbackFailed?: number;
  },
  errors: readonly object[] = [],
): StoredEvidence {
  const from = number * 1_000;
  return {
    watch: "r1",
    source: "gateway g i",
    sequence: number,
    position: number,
    endpoint: "fraud-prod",
    at: from + 1_000,
    body: {
      gateway: "g",
      incarnation: "i",
      endpoint: "fraud-prod",
      rollout: "r1",
      sequence: number,
      split: 1,
      candidateShare: 0.1,
      from,
      to: from + 1_000,
      arms: [
        { revision: 2, counts: { ...noArmCounts(), ...counts } },
        { revision: 1, counts: { ...noArmCounts(), requests: 90 } },
      ],
      pairs: noPairCounts(),
      errors,
      lost: 0,
    },
  };
}

const RECORDS = [
  seen(2, { requests: 10 }),
  seen(3, { requests: 10, errors: 2, fallback: 1 }, [
    { revision: 2, message: "output y holds NaN", count: 2, requestId: "id-1" },
    { revision: 1, message: "not of the candidate", count: 9, requestId: null },
  ]),
  seen(4, { requests: 10, errors: 5, fallback: 3, fallbackFailed: 1 }, [
    { revision: 2, message: "timeout", count: 1, requestId: null },
    { revision: 2, message: "output y holds NaN", count: 4, requestId: "id-2" },
  ]),
];

const facts = { model: "fraud", watch: "r1", records: RECORDS, logLines: [], isLast: true };

function incidentOf(
  drafts: Parameters<typeof historyOf>[0],
  changes: Partial<typeof facts> = {},
): ReturnType<typeof assembleIncident> {
  const [told] = rollbacksIn(historyOf(drafts));
  if (told === undefined) throw new Error("no rollback was found");
  return assembleIncident({ ...facts, ...changes, told });
}

test("an incident: what broke, what was seen, what was done, and what to type next", () => {
  const incident = incidentOf([STARTED, WEIGHT, DECIDED, ARRIVED]);
  expect(incident).toMatchObject({
    id: "b1",
    rollout: "r1",
    endpoint: "fraud-prod",
    state: "done",
    trigger: "analysis",
    strategy: "canary",
    from: V1,
    to: V0,
    blamed: ["errorRate"],
    assessment: badAssessment(),
    errors: [
      { message: "output y holds NaN", count: 6, requestId: "id-1", inputs: null },
      { message: "timeout", count: 1, requestId: null, inputs: null },
    ],
    requests: { assigned: 30, errors: 7, answeredByStable: 4, failedByBoth: 1, seenByCallers: 3 },
    detectionMs: 2_000,
    returnMs: 12,
    via: "api",
    switchMs: 6,
    verified: true,
    failedRequests: 0,
    evidence: { id: "r1", records: 3, gaps: 0 },
    next: [
      "lastgood diff fraud@v1.0 fraud@v1.1",
      "lastgood explain b1",
      'lastgood reinstate fraud-prod --reason "…"',
    ],
  });
  expect(incident.timeline).toEqual([
    { at: 1_000, what: "ana deployed v1.1" },
    { at: 1_100, what: "v1.1 carries 10 % of the traffic (switched in 4 ms)" },
    { at: 3_000, what: "the first request that v1.1 failed came in the 1 s after this" },
    { at: 5_000, what: "decided to go back to v1.0: errorRate: 4.1 % errors" },
    { at: 5_012, what: "verified: v1.0 answers through the serving port (switched in 6 ms)" },
  ]);
});

/** An error of the candidate; `least`: of its inputs. */
function failedOf(message: string, requestId: string | null, least: number | null): object {
  const tensor = { name: "x", dtype: "FP32", shape: [1], least, most: least };
  const inputs = least === null ? null : { kind: "tensors", tensors: [tensor], leftOut: 0 };
  return { revision: 2, message, count: 1, requestId, inputs };
}

test("an error's inputs are those of the request whose id it names", () => {
  const records = [
    seen(3, { requests: 10, errors: 2 }, [
      failedOf("threw", "id-1", null),
      failedOf("late", null, 1),
    ]),
    seen(4, { requests: 10, errors: 2 }, [
      failedOf("threw", "id-2", 10),
      failedOf("late", "id-3", null),
    ]),
    seen(5, { requests: 10, errors: 1 }, [failedOf("threw", "id-4", 100)]),
  ];
  const { errors } = incidentOf([STARTED, DECIDED, ARRIVED], { records });
  expect(errors).toMatchObject([
    { message: "threw", count: 3, requestId: "id-2", inputs: { tensors: [{ least: 10 }] } },
    { message: "late", count: 2, requestId: null, inputs: { tensors: [{ least: 1 }] } },
  ]);
});

const lines = (...drafts: Parameters<typeof historyOf>[0]): readonly string[] | null =>
  rollbacksIn(historyOf(drafts))[0]?.logLines ?? null;

test("log lines are those that were recorded with the rollback, however it ended", () => {
  const logLines = ["ERROR out of memory"];
  const [at, kind, data] = ARRIVED;
  const arrived = [at, kind, { ...data, logLines }] as const;
  expect(lines(STARTED, DECIDED)).toBeNull();
  expect(lines(STARTED, DECIDED, ARRIVED)).toBeNull();
  expect(lines(STARTED, DECIDED, arrived)).toEqual(logLines);
  const reinstated = [6_000, "rollback.reinstated", { rollback: "b1" }] as const;
  expect(lines(STARTED, DECIDED, arrived, reinstated)).toEqual(logLines);
  const failed = [6_000, "rollback.failed", { rollback: "b1", logLines }] as const;
  expect(lines(STARTED, DECIDED, failed)).toEqual(logLines);
});

test("without evidence it says what the history knows", () => {
  const incident = incidentOf([STARTED, DECIDED], { records: [], isLast: false });
  expect(incident).toMatchObject({ state: "underWay", requests: null, evidence: null, errors: [] });
  expect(incident).toMatchObject({ detectionMs: null, returnMs: null, verified: null });
  expect(incident.next).toEqual(["lastgood diff fraud@v1.0 fraud@v1.1"]);
});

test("what a gateway did alone is an incident from the moment it did it", () => {
  const data = {
    rollback: "o1",
    trigger: "breaker",
    via: "gateway",
    at: 4_200,
    from: V1,
    to: V0,
    ...measured,
  };
  const incident = incidentOf([
    STARTED,
    WEIGHT,
    [9_000, "rollback.completed", data, "20 connection failures"],
  ]);
  expect(incident).toMatchObject({
    id: "o1",
    rollout: "r1",
    trigger: "breaker",
    via: "gateway",
    state: "done",
    at: 4_200,
    detectionMs: 1_200,
    assessment: null,
  });
  expect(incident.timeline.at(-1)).toEqual({
    at: 4_200,
    what: "the gateway went back to v1.0 by itself, verified: 20 connection failures (switched in 6 ms)",
  });
});

test("aborts and reinstatements are no incidents; a reinstated one says so, its evidence begins anew", () => {
  const abort = [
    2_000,
    "rollback.started",
    { rollback: "a", kind: "abort", trigger: "manual", from: V1, to: V0 },
  ] as const;
  expect(rollbacksIn(historyOf([STARTED, abort]))).toEqual([]);
  const again = [
    7_000,
    "rollback.started",
    { ...DECIDED[2], rollback: "b2", trigger: "manual", blamed: [], evidence: null },
  ] as const;
  const found = rollbacksIn(
    historyOf([
      STARTED,
      DECIDED,
      ARRIVED,
      [6_000, "rollback.reinstated", { rollback: "b1", from: V0, to: V1 }],
      again,
    ]),
  );
  expect(found.map(({ summary, watch }) => [summary.id, summary.state, watch])).toEqual([
    ["b2", "underWay", "r1.1"],
    ["b1", "reinstated", "r1"],
  ]);
});

test("a rollback at rest ends no rollout; one whose targets all failed went nowhere", () => {
  const [rest] = rollbacksIn(
    historyOf([STARTED, [2_000, "rollout.succeeded", { rollout: "r1", to: V1 }], DECIDED]),
  );
  expect(rest?.summary.rollout).toBeNull();
  expect(rest?.entries).toHaveLength(1);
  const failed = [5_100, "rollback.failed", { rollback: "b1", tried: [], from: V1 }] as const;
  const incident = incidentOf([STARTED, DECIDED, failed]);
  expect(incident).toMatchObject({ state: "failed", to: null });
  expect(incident.next).toContain("lastgood doctor");
});
