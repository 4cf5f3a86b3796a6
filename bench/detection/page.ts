import { rounded } from "../measure.ts";
import { CANDIDATE_RATES, OUR_RULES, OURS, RULES, SPLITS, STABLE_RATE } from "./cells.ts";
import type { FalseRollbacks } from "./false-rollbacks.ts";
import { COLUMNS, ratioToOracle, rowsOf, type Lookup } from "./summary.ts";

const BEGIN = "<!-- measured: begin -->";
const END = "<!-- measured: end -->";

function table(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows;
  return [head, head.map(() => "---"), ...body].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

function bySplit(lookup: Lookup, split: number): string {
  const title = `### The candidate has ${split * 100} % of the traffic`;
  return `${title}\n\n${table([COLUMNS, ...rowsOf(lookup, split)])}`;
}

function probabilities(computed: readonly FalseRollbacks[]): string {
  const rows = OUR_RULES.map(({ name }) => [
    name,
    ...SPLITS.map((split) => {
      const found = computed.find((each) => each.rule === name && each.split === split);
      if (found === undefined) return "–";
      return `${found.probability.toFixed(6)} ± ${found.standardError.toFixed(6)}`;
    }),
  ]);
  return [
    "### The probability of a false rollback",
    table([["rule", ...SPLITS.map((split) => `${split * 100} % of the traffic`)], ...rows]),
  ].join("\n\n");
}

function ratios(lookup: Lookup): string {
  const rows = RULES.flatMap(({ name }) => {
    const ratio = ratioToOracle(lookup, name);
    return ratio === null ? [] : [[name, `${rounded(ratio, 2)}`]];
  });
  return [
    "### Beside the one who knows",
    table([["rule", "median over the bound, geometric mean of the 15 cells"], ...rows]),
    "A rule that is not listed misses more than half of the candidates in some cell.",
  ].join("\n\n");
}

function replications(lookup: Lookup): string {
  const [split = NaN] = SPLITS;
  const [rate = NaN] = CANDIDATE_RATES;
  const equal = lookup(OURS.known, split, STABLE_RATE)?.runs ?? 0;
  const worse = lookup(OURS.known, split, rate)?.runs ?? 0;
  return (
    `${equal.toLocaleString("en")} rollouts per share of the traffic with an equal candidate, ` +
    `${worse.toLocaleString("en")} with each worse one`
  );
}

/** The page with its tables renewed between the marks. @throws where it has no marks. */
export function detectionPage(
  page: string,
  lookup: Lookup,
  computed: readonly FalseRollbacks[],
  seed: number,
): string {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined)
    throw new Error(`the page lacks ${BEGIN} or ${END}`);
  const parts = [
    `Seed ${seed}; ${replications(lookup)}.`,
    ...SPLITS.map((split) => bySplit(lookup, split)),
    ratios(lookup),
    probabilities(computed),
  ];
  return `${before}${BEGIN}\n\n${parts.join("\n\n")}\n\n${END}${after}`;
}
