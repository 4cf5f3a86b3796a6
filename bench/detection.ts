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
import { detectionPage } from "./detection/page.ts";
import { simulateCells } from "./detection/simulate-cells.ts";
import { COLUMNS, ratioToOracle, rowsOf, summarise, type Lookup } from "./detection/summary.ts";
import { rounded } from "./measure.ts";
import type { BenchContext, BenchResult, Goal } from "./report.ts";

const SEED = 20_261_128;

/** Simulated rollouts per cell: with an equal candidate, and with each worse one. */
const RUNS = {
  quick: { equal: 500, worse: 200 },
  normal: { equal: 3_000, worse: 1_000 },
  full: { equal: 20_000, worse: 2_000 },
} as const;

/** With fewer false rollbacks to expect at alpha, what is counted is chance. */
const LEAST_EXPECTED = 10;

const page = join(import.meta.dirname, "../docs/operating/detection.md");
const numbers = join(import.meta.dirname, "results/detection.json");

function goalsOf(lookup: Lookup): readonly Goal[] {
  const ratio = ratioToOracle(lookup, OURS.known);
  const falseRollbacks = Object.values(OURS).flatMap((rule) =>
    SPLITS.map((split) => {
      const { rolledBack = NaN, runs = NaN } = lookup(rule, split, STABLE_RATE) ?? {};
      return { rolledBack, runs, rate: rolledBack / runs };
    }),
  );
  const worst = falseRollbacks.reduce((most, each) => (each.rate > most.rate ? each : most));
  return [
    {
      what: `${OURS.known}: median over that of the SPRT that knows both rates, geometric mean of 15 cells`,
      goal: "≤ 1.35",
      measured: ratio === null ? "a median lies beyond the horizon" : `${rounded(ratio, 3)}`,
      met: ratio === null ? null : ratio <= 1.35,
    },
    {
      what: "most false rollbacks of lastgood's rules at any share of the traffic",
      goal: `≤ ${ALPHA}`,
      measured: `${rounded(worst.rate, 5)} (${worst.rolledBack} of ${worst.runs})`,
      met: worst.runs * ALPHA < LEAST_EXPECTED ? null : worst.rate <= ALPHA,
    },
  ];
}

/**
 * How soon a bad candidate is found, and how often a good one is taken for bad, beside the rules of
 * other systems on the same simulated streams. A full run renews the tables of the page about it.
 */
export async function detection({ effort, runs, say }: BenchContext): Promise<BenchResult> {
  const { equal, worse } = runs === undefined ? RUNS[effort] : { equal: runs, worse: runs };
  const all = cells({ equal, worse });
  const startedAt = performance.now();
  const alarms = await simulateCells(all, SEED, (share) => {
    say(`detection: ${Math.floor(share * 100)} % of the runs`);
  });
  const seconds = rounded((performance.now() - startedAt) / 1_000, 0);
  const found = all.flatMap((cell, index) => summarise(cell, alarms[index] ?? []));
  const byKey = new Map(
    found.map((each) => [`${each.rule} ${each.split} ${each.candidateRate}`, each]),
  );
  const lookup: Lookup = (rule, split, rate) => byKey.get(`${rule} ${split} ${rate}`);
  const setting = { seed: SEED, alpha: ALPHA, horizon: HORIZON, stableRate: STABLE_RATE };
  const data = { ...setting, seconds, found };
  if (effort === "full") {
    writeFileSync(numbers, `${JSON.stringify(data, null, 2)}\n`);
    writeFileSync(page, detectionPage(readFileSync(page, "utf8"), lookup, SEED));
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
    goals: goalsOf(lookup),
    notes: [
      "where – stands, that share of the rollouts was never rolled back",
      "rules with the split known look at each request, flushed ones every 100, all others every 1,000",
    ],
    data,
  };
}
