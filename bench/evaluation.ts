import {
  addIncrements,
  alwaysValidP,
  combineEvidence,
  logE,
  meanBet,
  pairedBet,
  promotionBet,
  sampleRatioMismatch,
  splitBet,
  startEProcess,
  type EProcess,
  type SplitCounts,
} from "../src/core/evidence/index.ts";
import { median, quantile, rounded } from "./measure.ts";
import type { BenchContext, BenchResult } from "./report.ts";

/** A metric: what an interval adds to each of its processes. */
interface Metric {
  readonly name: string;
  readonly weight: number;
  readonly bets: readonly ((counts: SplitCounts) => readonly number[])[];
}

const exact = { relative: 1, absolute: 0.001, centre: 0 };

/** The bets of a metric with a rate around each of the centres, one process for each. */
function around(centres: readonly number[]): Metric["bets"] {
  return centres.map((centre) => (counts) => splitBet(counts, { ...exact, centre }));
}

const EDGES = [0.5, 0.25, 0.1, 0.05, 0.01, 0.001];
const CLASSES = Array.from({ length: 10 }, (_, index) => (index + 1) / 55);

const METRICS: readonly Metric[] = [
  { name: "errors", weight: 0.3, bets: around([0]) },
  { name: "rejected", weight: 0.1, bets: around([0]) },
  { name: "latency, six edges", weight: 0.2, bets: around(EDGES) },
  { name: "accuracy", weight: 0.1, bets: around([0.1]) },
  {
    name: "accuracy, paired",
    weight: 0.1,
    bets: [
      ({ candidate: { requests, bad } }) =>
        pairedBet(
          { pairs: requests, onlyCandidateBad: bad, onlyStableBad: 0, bothBad: 0 },
          { relative: 1, absolute: 0.01 },
        ),
    ],
  },
  {
    name: "drift, ten classes up and down",
    weight: 0.05,
    bets: around([...CLASSES, ...CLASSES.map((share) => 1 - share)]),
  },
  {
    name: "absolute limit",
    weight: 0.05,
    bets: [({ candidate: { requests, bad } }) => meanBet({ observations: requests, bad }, 0.01)],
  },
  { name: "missing values", weight: 0.05, bets: around([0.02]) },
  { name: "out of range", weight: 0.025, bets: around([0]) },
  { name: "low confidence", weight: 0.025, bets: around([0.2]) },
];

const HORIZON = 3_600;

interface Rollout {
  readonly regression: readonly (readonly EProcess[])[];
  readonly safety: EProcess;
}

function evaluate({ regression, safety }: Rollout, counts: SplitCounts): Rollout {
  const next = METRICS.map(({ bets }, metric) =>
    bets.map((bet, index) => {
      const state =
        regression[metric]?.[index] ?? startEProcess({ bets: "regression", horizon: HORIZON });
      return addIncrements(state, bet(counts), { dispersion: 1.2 });
    }),
  );
  const evidence = combineEvidence(
    METRICS.map(({ weight }, metric) => ({
      weight,
      logE: combineEvidence(
        (next[metric] ?? []).map((state, _, all) => ({
          weight: 1 / all.length,
          logE: logE(state),
        })),
      ),
    })),
  );
  alwaysValidP(evidence);
  sampleRatioMismatch([counts.candidate.requests, counts.stable.requests], [0.1, 0.9]);
  const safe = addIncrements(safety, promotionBet(counts, { ...exact, absolute: 0.01 }));
  logE(safe);
  return { regression: next, safety: safe };
}

/** Times of single evaluations, µs; each at other counts, so that nothing is the same twice. */
function times(evaluations: number): readonly number[] {
  let rollout: Rollout = {
    regression: [],
    safety: startEProcess({ bets: "safety", horizon: null }),
  };
  return Array.from({ length: evaluations }, (_, index) => {
    const counts = {
      candidate: { requests: 90 + (index % 21), bad: index % 3 },
      stable: { requests: 880 + (index % 41), bad: index % 7 },
    };
    const startedAt = performance.now();
    rollout = evaluate(rollout, counts);
    return (performance.now() - startedAt) * 1_000;
  });
}

/** What the evidence of one interval costs: every test of a rollout with ten metrics. */
export async function evaluation({ effort, say }: BenchContext): Promise<BenchResult> {
  const evaluations = { quick: 1_000, normal: 5_000, full: 20_000 }[effort];
  const processes = METRICS.reduce((sum, { bets }) => sum + bets.length, 0);
  say(`evaluation: ${evaluations} intervals`);
  const [first = NaN] = times(1);
  times(200);
  const taken = times(evaluations);
  const [p50, p99] = [median(taken), quantile(taken, 0.99)];
  return {
    title: "Evaluation: all sequential tests of a rollout, once",
    method: `${evaluations} intervals of ten metrics with ${processes} restarting e-processes, one for promotion, sample ratio and their combination; µs`,
    columns: ["", "p50", "p99", "the very first"],
    rows: [["ten metrics", ...[p50, p99, first].map((us) => rounded(us, 0))]],
    goals: [
      {
        what: "one evaluation, p50",
        goal: "< 1 ms",
        measured: `${rounded(p50 / 1_000, 3)} ms`,
        met: p50 < 1_000,
      },
    ],
    notes: [`metrics: ${METRICS.map(({ name }) => name).join("; ")}`],
    data: { evaluations, processes, p50Us: p50, p99Us: p99, firstUs: first },
  };
}
