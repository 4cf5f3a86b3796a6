import {
  assess,
  latencyBucket,
  MOST_PAIRS_SEEN,
  noArmCounts,
  noPairCounts,
  observe,
  planAnalysis,
  startAnalysis,
  type AnalysisState,
  type ArmCounts,
  type Interval,
} from "../src/core/analysis/index.ts";
import { defaultPolicy, type AnalysisPolicy, type Metric } from "../src/core/policy/index.ts";
import { median, quantile, rounded } from "./measure.ts";
import type { BenchContext, BenchResult } from "./report.ts";

const compared = {
  action: "rollback",
  weight: 0.1,
  tolerance: { absolute: 0.01, relative: 1 },
  max: null,
} as const;

/** Ten metrics, of every kind that is tested with each interval. */
const METRICS: readonly Metric[] = [
  { ...compared, kind: "errorRate", name: "errorRate", max: 0.05 },
  { ...compared, kind: "rejected", name: "rejected" },
  { ...compared, kind: "validity", name: "validity" },
  {
    kind: "latency",
    name: "latency, six quantiles",
    weight: 0.2,
    action: "rollback",
    quantile: null,
    slower: 0.1,
    atLeastMs: 2,
    maxMs: 500,
  },
  { ...compared, kind: "accuracy", name: "accuracy" },
  { ...compared, kind: "meanError", name: "mean error", bound: 100 },
  { kind: "drift", name: "drift, ten classes", weight: 0.05, action: "rollback" },
  {
    kind: "disagreement",
    name: "disagreement",
    weight: 0.05,
    action: "rollback",
    max: 0.05,
    by: "class",
    tolerance: { relative: 0.05, absolute: 1e-6 },
  },
  { ...compared, kind: "prometheus", name: "queue", source: "main", bad: "bad", total: "all" },
  { ...compared, kind: "logs", name: "logs", source: "journal" },
];

const ANALYSIS: AnalysisPolicy = { ...defaultPolicy("canary").analysis, metrics: METRICS };
const HORIZON = 3_600;
const BATCHES = ["1", "2", "4", "8"] as const;
/** Requests of each arm in an interval, whose counts are never twice the same. */
const REQUESTS = { candidate: 100, stable: 900 } as const;

/** What an arm did in an interval: as many as that many requests a second leave behind. */
function armAt(requests: number, at: number): ArmCounts {
  const latency: ArmCounts["latency"] = {};
  for (const [batch, rows] of BATCHES.entries()) {
    const each = Math.ceil(requests / BATCHES.length / 25);
    latency[rows] = Array.from({ length: 25 }, (_, step): [number, number] => [
      latencyBucket(4 + batch + step + (at % 3)),
      each,
    ]);
  }
  const outputs: ArmCounts["outputs"] = {};
  for (let label = 0; label < 10; label += 1) outputs[`class ${label}`] = Math.ceil(requests / 10);
  return {
    ...noArmCounts(),
    requests: requests + (at % 21),
    errors: at % 4,
    rejected: at % 3,
    invalid: at % 2,
    latency,
    outputs,
  };
}

function intervalAt(at: number): Interval {
  const observed = (observations: number) => ({ observations, bad: (at % 5) + 0.5 });
  const signal = {
    candidate: observed(20),
    stable: observed(180),
    paired: { pairs: 10, onlyCandidateBad: at % 2, onlyStableBad: 1, bothBad: 1, losses: [] },
    broken: null,
  };
  return {
    from: at * 1_000,
    to: (at + 1) * 1_000,
    split: 1,
    candidateShare: null,
    candidate: armAt(REQUESTS.candidate, at),
    stable: armAt(REQUESTS.stable, at),
    pairs: { ...noPairCounts(), pairs: 10, bothBad: at % 2, disagreed: at % 2 },
    signals: { accuracy: signal, "mean error": signal, queue: signal, logs: signal },
    gaps: 0,
  };
}

/** An interval of a bake in which stable answers copies: no two pairs are the same. */
function copiedAt(at: number): Interval {
  const pairs = Array.from({ length: MOST_PAIRS_SEEN }, (_, pair) => pair);
  return {
    ...intervalAt(at),
    stable: noArmCounts(),
    pairs: {
      ...noPairCounts(),
      pairs: MOST_PAIRS_SEEN,
      bothBad: at % 2,
      disagreed: at % 2,
      latency: {
        "1": pairs.map((pair) => [latencyBucket(4 + pair / 4), latencyBucket(4 + (at % 7)), 1]),
      },
      outputs: pairs.map((pair) => [`class ${pair % 10}`, `class ${Math.floor(pair / 10)}`, 1]),
    },
  };
}

/** What stable did before: a minute and a half, in intervals of 10 s. */
const BASELINE: readonly Interval[] = Array.from({ length: 40 }, (_, at) => ({
  ...intervalAt(at),
  candidate: noArmCounts(),
  signals: {},
}));

/** Times of single evaluations, µs: the interval is folded in, and everything is said of it. */
function times(evaluations: number, comparison: "live" | "paired"): readonly number[] {
  let state: AnalysisState = startAnalysis(
    planAnalysis({
      analysis: ANALYSIS,
      horizonIntervals: HORIZON,
      baseline: BASELINE,
      comparison,
    }),
  );
  return Array.from({ length: evaluations }, (_, at) => {
    const interval = comparison === "live" ? intervalAt(at) : copiedAt(at);
    const startedAt = performance.now();
    state = observe(state, interval);
    const { metrics } = assess(state, {
      now: interval.to,
      lastEvidenceAt: interval.to,
      phase: comparison === "live" ? "canary" : "bake",
      plannedRequestsLeft: 100_000,
      candidateShare: comparison === "live" ? 0.1 : 1,
    });
    const took = (performance.now() - startedAt) * 1_000;
    if (metrics.length !== METRICS.length) throw new Error("a metric was not assessed");
    return took;
  });
}

/** What the evidence of one interval costs: the whole analysis of a rollout with ten metrics. */
export async function evaluation({ effort, say }: BenchContext): Promise<BenchResult> {
  const evaluations = { quick: 1_000, normal: 5_000, full: 20_000 }[effort];
  say(`evaluation: ${evaluations} intervals`);
  const [first = NaN] = times(1, "live");
  times(200, "live");
  const taken = times(evaluations, "live");
  const [p50, p99] = [median(taken), quantile(taken, 0.99)];
  times(200, "paired");
  const paired = times(evaluations, "paired");
  const [pairedP50, pairedP99] = [median(paired), quantile(paired, 0.99)];
  return {
    title: "Evaluation: the analysis of a rollout, once",
    method: `${evaluations} intervals of ${REQUESTS.candidate + REQUESTS.stable} requests are folded in and assessed in words, with ten metrics, ${BATCHES.length} batch sizes and the test for promotion; or, in a bake, of ${MOST_PAIRS_SEEN} pairs; µs`,
    columns: ["", "p50", "p99", "the very first"],
    rows: [
      ["ten metrics", ...[p50, p99, first].map((us) => rounded(us, 0))],
      ["in pairs", ...[pairedP50, pairedP99].map((us) => rounded(us, 0)), ""],
    ],
    goals: [
      {
        what: "one evaluation, p50",
        goal: "< 1 ms",
        measured: `${rounded(p50 / 1_000, 3)} ms`,
        met: p50 < 1_000,
      },
      {
        what: "one evaluation of pairs, p50",
        goal: "< 1 ms",
        measured: `${rounded(pairedP50 / 1_000, 3)} ms`,
        met: pairedP50 < 1_000,
      },
    ],
    notes: [`metrics: ${METRICS.map(({ name }) => name).join("; ")}`],
    data: {
      evaluations,
      p50Us: p50,
      p99Us: p99,
      firstUs: first,
      pairedP50Us: pairedP50,
      pairedP99Us: pairedP99,
    },
  };
}
