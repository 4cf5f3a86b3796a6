import { quantile, rounded } from "../measure.ts";
import {
  CANDIDATE_RATES,
  ORACLE,
  RULES,
  rulesOf,
  SPLITS,
  STABLE_RATE,
  type Cell,
} from "./cells.ts";
import type { Alarm } from "./stream.ts";

/** What a rule did in a cell. */
export interface RuleInCell {
  readonly rule: string;
  readonly split: number;
  readonly candidateRate: number;
  readonly runs: number;
  /** Runs in which it rolled back. */
  readonly rolledBack: number;
  /** Requests of both versions until then; null where that share of the runs never did. */
  readonly medianRequests: number | null;
  readonly p95Requests: number | null;
  /** Bad answers of the candidate until then, median. */
  readonly medianCandidateBad: number | null;
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** What each rule did in the runs of a cell. */
export function summarise(
  cell: Cell,
  runs: readonly (readonly (Alarm | null)[])[],
): readonly RuleInCell[] {
  return rulesOf(cell).map(({ name }, index) => {
    const alarms = runs.map((run) => run[index] ?? null);
    const requests = alarms.map((alarm) => alarm?.requests ?? Infinity);
    const candidateBad = alarms.map((alarm) => alarm?.candidateBad ?? Infinity);
    return {
      rule: name,
      split: cell.split,
      candidateRate: cell.candidateRate,
      runs: alarms.length,
      rolledBack: alarms.filter((alarm) => alarm !== null).length,
      medianRequests: finite(quantile(requests, 0.5)),
      p95Requests: finite(quantile(requests, 0.95)),
      medianCandidateBad: finite(quantile(candidateBad, 0.5)),
    };
  });
}

/** Finds what a rule did at a split, against a candidate of a rate. */
export type Lookup = (rule: string, split: number, rate: number) => RuleInCell | undefined;

/** The geometric mean of a rule's median over the oracle's; null where one of them has none. */
export function ratioToOracle(lookup: Lookup, rule: string): number | null {
  let log = 0;
  for (const split of SPLITS)
    for (const rate of CANDIDATE_RATES) {
      const own = lookup(rule, split, rate)?.medianRequests ?? null;
      const bound = lookup(ORACLE, split, rate)?.medianRequests ?? null;
      if (own === null || bound === null) return null;
      log += Math.log(own / bound);
    }
  return Math.exp(log / (SPLITS.length * CANDIDATE_RATES.length));
}

const shown = (value: number | null | undefined): string =>
  value === null || value === undefined ? "–" : value.toLocaleString("en");

/** What the columns of `rowsOf` are. */
export const COLUMNS: readonly string[] = [
  "rule",
  "false rollbacks",
  ...CANDIDATE_RATES.map((rate) => `${rate * 100} % bad`),
  "bad answers served, 2 % / 100 %",
];

/** A row of each rule at a split. */
export function rowsOf(lookup: Lookup, split: number): readonly (readonly string[])[] {
  return RULES.map(({ name }) => {
    const none = lookup(name, split, STABLE_RATE);
    return [
      name,
      none === undefined ? "–" : `${rounded(none.rolledBack / none.runs, 5)}`,
      ...CANDIDATE_RATES.map((rate) => {
        const found = lookup(name, split, rate);
        return `${shown(found?.medianRequests)} / ${shown(found?.p95Requests)}`;
      }),
      [0.02, 1].map((rate) => shown(lookup(name, split, rate)?.medianCandidateBad)).join(" / "),
    ];
  });
}
