import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import {
  ALPHA,
  CANDIDATE_RATES,
  cells,
  HORIZON,
  OURS,
  SPLITS,
  STABLE_RATE,
} from "./detection/cells.ts";
import { falseRollbacks, type FalseRollbacks } from "./detection/false-rollbacks.ts";
import { detectionPage } from "./detection/page.ts";
import { simulateCells } from "./detection/simulate-cells.ts";
import { COLUMNS, ratioToOracle, rowsOf, summarise, type Lookup } from "./detection/summary.ts";
import { rounded } from "./measure.ts";
import type { BenchContext, BenchResult, Goal } from "./report.ts";

const SEED = 20_261_128;

/**
 * Simulated rollouts per cell: with an equal candidate, with each worse one, and those that the
 * probability of a false rollback is computed from.
 */
const RUNS = {
  quick: { equal: 500, worse: 200, weighted: 200 },
  normal: { equal: 3_000, worse: 1_000, weighted: 1_000 },
  full: { equal: 20_000, worse: 2_000, weighted: 5_000 },
} as const;

const page = join(import.meta.dirname, "../docs/operating/detection.md");
const numbers = join(import.meta.dirname, "results/detection.json");

function goalsOf(lookup: Lookup, computed: readonly FalseRollbacks[]): readonly Goal[] {
  const ratio = ratioToOracle(lookup, OURS.known);
  const [first, ...others] = computed;
  const worst = others.reduce(
    (most, each) => (most === undefined || each.probability > most.probability ? each : most),
    first,
  );
  const { probability = NaN, standardError = NaN } = worst ?? {};
  return [
    {
      what: `${OURS.known}: median over that of the SPRT that knows both rates, geometric mean of 15 cells`,
      goal: "≤ 1.35",
      measured: ratio === null ? "a median lies beyond the horizon" : `${rounded(ratio, 3)}`,
      met: ratio === null ? null : ratio <= 1.35,
    },
    {
      what: "probability of a false rollback, the most of lastgood's rules at any share of the traffic",
      goal: `< ${ALPHA}`,
      measured: `${rounded(probability, 6)} ± ${rounded(standardError, 6)}`,
      // With few runs one heavy weight decides.
      met: standardError > ALPHA / 10 ? null : probability + 2 * standardError < ALPHA,
    },
  ];
}

/**
 * How soon a bad candidate is found, and how often a good one is taken for bad, beside the rules of
 * other systems on the same simulated streams. A full run renews the tables of the page about it.
 */
export async function detection({ effort, runs, say }: BenchContext): Promise<BenchResult> {
  const { equal, worse, weighted } =
    runs === undefined ? RUNS[effort] : { equal: runs, worse: runs, weighted: runs };
  const all = cells({ equal, worse });
  const startedAt = performance.now();
  const alarms = await simulateCells(all, SEED, (share) => {
    say(`detection: ${Math.floor(share * 100)} % of the runs`);
  });
  say("detection: probability of a false rollback");
  const computed = SPLITS.flatMap((split) => falseRollbacks(split, weighted, SEED));
  const seconds = rounded((performance.now() - startedAt) / 1_000, 0);
  const found = all.flatMap((cell, index) => summarise(cell, alarms[index] ?? []));
  const byKey = new Map(
    found.map((each) => [`${each.rule} ${each.split} ${each.candidateRate}`, each]),
  );
  const lookup: Lookup = (rule, split, rate) => byKey.get(`${rule} ${split} ${rate}`);
  const setting = { seed: SEED, alpha: ALPHA, horizon: HORIZON, stableRate: STABLE_RATE };
  const data = { ...setting, seconds, found, falseRollbacks: computed };
  if (effort === "full") {
    writeFileSync(numbers, `${JSON.stringify(data, null, 2)}\n`);
    writeFileSync(page, detectionPage(readFileSync(page, "utf8"), lookup, computed, SEED));
  }
  return {
    title: "Detection: requests until a bad candidate is rolled back",
    method:
      `simulated, seed ${SEED}, ${equal} rollouts with an equal candidate and ${worse} with each ` +
      `worse one; stable version ${STABLE_RATE * 100} % bad, at most ${HORIZON} requests; requests of ` +
      `both versions until rollback, median / p95`,
    columns: COLUMNS,
    rows: SPLITS.flatMap((split) => [
      [
        `-- candidate has ${split * 100} % of the traffic`,
        "",
        ...CANDIDATE_RATES.map(() => ""),
        "",
      ],
      ...rowsOf(lookup, split),
    ]),
    goals: goalsOf(lookup, computed),
    notes: [
      "where – stands, that share of the rollouts was never rolled back",
      "rules with the split known look at each request, flushed ones every 100, all others every 1,000",
    ],
    data,
  };
}
