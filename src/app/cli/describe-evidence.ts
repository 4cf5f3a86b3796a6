import { untestedAs, type Assessment, type MetricAssessment } from "../../core/analysis/index.ts";
import { untestedLines } from "./describe-outlook.ts";
import { grouped, percentText } from "./phrase.ts";
import type { Session } from "./session.ts";
import { tableLines } from "./table.ts";

const BAR_CELLS = 10;
/** Latency and drift are tested at many edges at once: one rate would say little. */
const WITHOUT_DETECTABLE: readonly string[] = ["latency", "drift", "inputDrift", "health"];

/** Decimal digits of evidence: `2.3` is 200 to 1. What rounds to nothing has no sign. */
const digits = (logE: number): string => (logE / Math.LN10).toFixed(1).replace(/^-0\.0$/, "0.0");

/** How far the evidence is on its way to the threshold. */
function bar(logE: number, threshold: number): string {
  const share = threshold > 0 ? Math.min(1, Math.max(0, logE / threshold)) : 0;
  const full = Math.floor(share * BAR_CELLS);
  return `${"█".repeat(full)}${"░".repeat(BAR_CELLS - full)}`;
}

function rateText({ observations, bad, rate }: MetricAssessment["candidate"]): string {
  return rate === null ? "-" : `${percentText(rate)} (${grouped(bad)}/${grouped(observations)})`;
}

function pText(p: number): string {
  if (p >= 1) return "1";
  return p < 1e-6 ? "< 0.000001" : String(Number(p.toPrecision(2)));
}

function armText(metric: MetricAssessment, arm: "candidate" | "stable"): string {
  const { quantiles } = metric;
  const ms = quantiles?.[arm] ?? null;
  if (quantiles === null) return rateText(metric[arm]);
  return ms === null ? "-" : `${Number(ms.toPrecision(3))} ms at p${quantiles.at * 100}`;
}

function detectableText(metric: MetricAssessment): string {
  if (WITHOUT_DETECTABLE.includes(metric.kind) || metric.detectable === null) return "-";
  return `≥ ${percentText(metric.detectable)}`;
}

/** A check has no e-value: its failures in a row act. */
function evidenceText({ kind, logE, threshold }: MetricAssessment): string {
  if (kind === "health") return "-";
  return `${bar(logE, threshold)} ${digits(logE)} of ${digits(threshold)}`;
}

function verdictText(metric: MetricAssessment, session: Session): string {
  const { terminal } = session;
  if (untestedAs(metric) !== null) return terminal.style("yellow", "not tested");
  if (metric.verdict === "fail") return terminal.style(["bold", "red"], "fails");
  if (metric.verdict === "pass") return terminal.style("green", "within the margin");
  return metric.action === "rollback" ? "not decided" : `not decided (${metric.action} only)`;
}

/** Each metric's evidence against its threshold, as a table. */
export function metricLines(
  metrics: readonly MetricAssessment[],
  session: Session,
): readonly string[] {
  if (metrics.length === 0) return [];
  const head = [
    "METRIC",
    "CANDIDATE",
    "STABLE",
    "EVIDENCE (log10)",
    "P",
    "CAN STILL SEE",
    "VERDICT",
  ];
  const rows = metrics.map((metric) => [
    metric.name,
    armText(metric, "candidate"),
    armText(metric, "stable"),
    evidenceText(metric),
    metric.kind === "health" ? "-" : pText(metric.alwaysValidP),
    detectableText(metric),
    verdictText(metric, session),
  ]);
  return tableLines([head.map((word) => session.terminal.style("dim", word)), ...rows]);
}

const SOURCES: Readonly<Record<Assessment["source"], string | null>> = {
  ok: null,
  outage: "both revisions fail alike",
  broken: "the comparison is not valid",
  silent: "no data",
};

/** What a rate would not name: the features that inputs shifted in, why a check fails. */
function namingLines(metrics: readonly MetricAssessment[]): readonly string[] {
  return metrics.flatMap(({ name, kind, features, candidate, words }) =>
    features !== undefined || (kind === "health" && candidate.bad > 0)
      ? [`  ${name}: ${words}`]
      : [],
  );
}

/** What the evidence says of a rollout: the decision in words, then every metric. */
export function assessmentLines(assessment: Assessment, session: Session): readonly string[] {
  const { decision, why, logE, threshold, requests, gaps } = assessment;
  const source = SOURCES[assessment.source];
  const words = { continue: "go on", hold: "hold", rollback: "go back", promote: "promote" };
  const lost = gaps > 0 ? `; ${grouped(gaps)} intervals were lost` : "";
  return [
    `  decision  ${words[decision]}: ${why}${source === null ? "" : ` (${source})`}`,
    `  evidence  ${bar(logE, threshold)} ${digits(logE)} of ${digits(threshold)}, all metrics together; requests ${grouped(requests.candidate)} candidate, ${grouped(requests.stable)} stable${lost}`,
    ...metricLines(assessment.metrics, session).map((line) => `  ${line}`),
    ...namingLines(assessment.metrics),
    ...untestedLines(assessment.metrics.flatMap((metric) => untestedAs(metric) ?? [])).map(
      (line) => `  ${line}`,
    ),
  ];
}

/** Each metric in a line of words, those that fail first. */
export function metricWords(metrics: readonly MetricAssessment[]): string[] {
  const failing = metrics.filter(({ verdict }) => verdict === "fail");
  const others = metrics.filter(({ verdict }) => verdict !== "fail");
  return [...failing, ...others].map(({ name, words }) => `${name}: ${words}`);
}
