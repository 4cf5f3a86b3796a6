import {
  IntervalReader,
  planRecord,
  signalsRecord,
} from "../../src/control/rollouts/evidence-record.ts";
/** Rollouts that were ended by their evidence, as a control plane leaves them in the store. */
import {
  assess,
  noPairCounts,
  observe,
  planAnalysis,
  startAnalysis,
  type AnalysisPlan,
  type AssessmentContext,
} from "../../src/core/analysis/index.ts";
import { defaultPolicy } from "../../src/core/policy/index.ts";
import { newEndpoint, type EndpointState } from "../../src/core/rollout/index.ts";
import { parseDigest, parseEndpointName, parseModelName } from "../../src/core/version/index.ts";
import type { Signature } from "../../src/core/version/index.ts";
import type { EvidenceRecord, Store } from "../../src/storage/store/index.ts";
import { seededRandom } from "./seeded-random.ts";
import { analysisOf, drawArm, drawBaseline, drawSplit, METRICS, type Behaviour } from "./watch.ts";

/** Of the rollout, and of the rollback that ended it. */
export const ROLLOUT = "5e0d3f10-aaaa-4000-8000-000000000001";
export const ROLLBACK = "9c77ab42-bbbb-4000-8000-000000000002";

const NAME = parseEndpointName("fraud-prod");
const SIGNATURE: Signature = { inputs: [], outputs: [] };
const START = Date.UTC(2026, 10, 21, 2, 40);
const GOOD: Behaviour = { errorRate: 0.005, latencyMs: 20 };

const served = (version: string, revision: number) => ({
  version,
  revision,
  digest: parseDigest(`sha256:${String(revision).repeat(64)}`),
});
const STABLE = served("v1.0", 1);
const CANDIDATE = served("v1.1", 2);

function revisionOf(
  { version: name, revision, digest }: typeof STABLE,
  status: "stable" | "failed",
): EndpointState["revisions"][number] {
  return {
    revision,
    version: { model: parseModelName("fraud"), name, sequence: revision },
    digest,
    runtime: { kind: "onnx", file: "model.onnx" },
    signature: SIGNATURE,
    changedVersion: true,
    status,
    reason: null,
    createdAt: START,
    carriedAllAt: START,
    stableAt: status === "stable" ? START : null,
  };
}

function gatewayRecord(
  id: string,
  number: number,
  random: () => number,
  failing: number,
): EvidenceRecord {
  const { candidates, stables } = drawSplit(random, 60, 0.1);
  const from = START + number * 1_000;
  const counts = drawArm(random, candidates, { ...GOOD, errorRate: failing });
  return {
    watch: id,
    source: `gateway g${number % 2} i`,
    sequence: Math.floor(number / 2),
    endpoint: NAME,
    at: from + 1_000,
    body: {
      gateway: `g${number % 2}`,
      incarnation: "i",
      endpoint: NAME,
      rollout: id,
      sequence: Math.floor(number / 2),
      split: 1,
      candidateShare: 0.1,
      from,
      to: from + 1_000,
      arms: [
        { revision: 2, counts: { ...counts, fallback: counts.errors } },
        { revision: 1, counts: drawArm(random, stables, GOOD) },
      ],
      pairs: noPairCounts(),
      errors:
        counts.errors === 0
          ? []
          : [{ revision: 2, message: "timeout", count: counts.errors, requestId: `id-${number}` }],
      lost: 0,
    },
  };
}

/** What a rollout was judged by. */
interface Watched {
  readonly records: readonly EvidenceRecord[];
  readonly evidence: Readonly<Record<string, unknown>>;
  readonly decidedAt: number;
}

/**
 * Its plan and what two gateways saw: good at first, then so bad that the evidence is soon enough, or
 * where it `staysGood` the end of the bake.
 */
function watch(id: string, goodIntervals: number, staysGood = false): Watched {
  const random = seededRandom(7);
  const made = planAnalysis({
    analysis: analysisOf([METRICS.errorRate, METRICS.latency]),
    horizonIntervals: 5_400,
    baseline: drawBaseline(random, 60, 200, GOOD),
    comparison: "live",
  });
  const plan = JSON.parse(JSON.stringify(made)) as AnalysisPlan;
  const reader = new IntervalReader({ candidate: 2, stable: 1 });
  const records: EvidenceRecord[] = [planRecord({ id, endpoint: NAME }, plan, START)];
  let state = startAnalysis(plan);
  const take = (record: EvidenceRecord): void => {
    records.push(record);
    const interval = reader.next({ ...record, position: records.length });
    if (interval !== null) state = observe(state, interval);
  };
  const isOver = (number: number): boolean =>
    staysGood ? number === goodIntervals : state.latched !== null;
  for (let number = 0; !isOver(number); number += 1) {
    if (number > goodIntervals + 2_000) throw new Error("the evidence is never enough");
    take(gatewayRecord(id, number, random, number < goodIntervals ? 0.005 : 0.3));
    const to = START + number * 1_000;
    if (number % 100 === 99)
      take(
        signalsRecord(
          { id, endpoint: NAME },
          { sequence: Math.floor(number / 100), from: to - 1_000, to, signals: {} },
        ),
      );
  }
  const now = (records.at(-1)?.at ?? START) + 137;
  const context: AssessmentContext = {
    now,
    lastEvidenceAt: now - 137,
    phase: staysGood ? "bake" : "canary",
    plannedRequestsLeft: 12_345,
    candidateShare: 0.1,
  };
  const position = records.length;
  // What came between the decision and the switch belongs to no verdict.
  records.push(gatewayRecord(id, 90_000, random, 0.3));
  const evidence = { id, position, context, assessment: assess(state, context) };
  return { records, evidence, decidedAt: now };
}

/** Somebody looked after ten records, and nothing had come for a quarter of an hour. */
const SILENT_LOOK = {
  id: ROLLOUT,
  position: 10,
  context: {
    now: START + 900_000,
    lastEvidenceAt: START,
    phase: "canary",
    plannedRequestsLeft: null,
    candidateShare: 0.1,
  },
};

/** How a rollout ended. */
interface End {
  readonly phase: "RolledBack" | "Succeeded";
  readonly at: number;
  readonly reason: string | null;
  readonly restarts: number;
}

function stateAfter({ phase, at, reason, restarts }: End): EndpointState {
  const isStable = phase === "Succeeded";
  return {
    ...newEndpoint(
      { name: NAME, model: parseModelName("fraud"), environment: "production" },
      START,
    ),
    revisions: [
      revisionOf(STABLE, "stable"),
      revisionOf(CANDIDATE, isStable ? "stable" : "failed"),
    ],
    current: isStable ? CANDIDATE.revision : STABLE.revision,
    lastRollout: {
      phase,
      endedAt: at,
      reason,
      rollout: {
        id: ROLLOUT,
        strategy: "canary",
        from: STABLE.revision,
        candidate: CANDIDATE.revision,
        policy: defaultPolicy("canary"),
        bakeMs: 0,
        byHand: false,
        restarts,
        startedAt: START,
        actor: "ana",
        reason: null,
        pause: null,
      },
    },
  };
}

type Draft = Parameters<Store["endpoints"]["save"]>[0]["entries"][number];

const STARTED: Draft = {
  at: START,
  kind: "rollout.started",
  actor: "ana",
  reason: null,
  data: { rollout: ROLLOUT, strategy: "canary", from: STABLE, to: CANDIDATE },
};

const TOO_MANY = "errorRate: too many errors";

function rolledBack({ evidence, decidedAt }: Watched): readonly Draft[] {
  const facts = { from: CANDIDATE, to: STABLE, trigger: "analysis", rollback: ROLLBACK };
  return [
    {
      at: START + 900_000,
      kind: "rollout.held",
      actor: "lastgood",
      reason: "no evidence for 15m",
      data: { rollout: ROLLOUT, to: CANDIDATE, cause: "silent", look: SILENT_LOOK },
    },
    {
      at: decidedAt,
      kind: "rollback.started",
      actor: "lastgood",
      reason: TOO_MANY,
      data: { ...facts, kind: "rollback", blamed: ["errorRate"], evidence },
    },
    {
      at: decidedAt + 12,
      kind: "rollback.completed",
      actor: "lastgood",
      reason: TOO_MANY,
      data: { ...facts, via: "api", switchMs: 6, verified: true, failedRequests: 0 },
    },
  ];
}

function becameStable({ evidence, decidedAt }: Watched, isTold: boolean): Draft {
  return {
    at: decidedAt,
    kind: "rollout.succeeded",
    actor: "lastgood",
    reason: null,
    data: { rollout: ROLLOUT, to: CANDIDATE, ...(isTold ? { evidence } : {}) },
  };
}

async function save(store: Store, state: EndpointState, entries: readonly Draft[]): Promise<void> {
  const { model } = state.identity;
  await store.endpoints.save({ name: NAME, model, state, revisionOfState: 0, entries });
}

/** A rollout that was rolled back: the endpoint, its history and what it was judged by. */
export async function storeJudgedRollout(store: Store, goodIntervals = 30): Promise<void> {
  const watched = watch(ROLLOUT, goodIntervals);
  const at = watched.decidedAt + 12;
  const end: End = { phase: "RolledBack", at, reason: TOO_MANY, restarts: 0 };
  await save(store, stateAfter(end), [STARTED, ...rolledBack(watched)]);
  await store.evidence.append(watched.records);
}

/** One that became stable; releases before this one did not note by what. */
export async function storeStableRollout(store: Store, isTold = true): Promise<void> {
  const watched = watch(ROLLOUT, 60, true);
  const end: End = { phase: "Succeeded", at: watched.decidedAt, reason: null, restarts: 0 };
  await save(store, stateAfter(end), [STARTED, becameStable(watched, isTold)]);
  await store.evidence.append(watched.records);
}

/** One that was rolled back, reinstated, and then became stable by the evidence that it began anew. */
export async function storeReinstatedRollout(store: Store, goodIntervals: number): Promise<void> {
  const first = watch(ROLLOUT, goodIntervals);
  const again = watch(`${ROLLOUT}.1`, goodIntervals, true);
  const reinstated: Draft = {
    at: first.decidedAt + 60_000,
    kind: "rollback.reinstated",
    actor: "ana",
    reason: "the labels were wrong",
    data: { rollback: ROLLBACK, from: STABLE, to: CANDIDATE },
  };
  const end: End = { phase: "Succeeded", at: again.decidedAt, reason: null, restarts: 1 };
  await save(store, stateAfter(end), [
    STARTED,
    ...rolledBack(first),
    reinstated,
    becameStable(again, true),
  ]);
  await store.evidence.append(first.records);
  await store.evidence.append(again.records);
}
