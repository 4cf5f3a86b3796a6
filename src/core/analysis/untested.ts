import type { Metric } from "../policy/index.ts";
import type { MetricAssessment } from "./assessment.ts";
import type { AnalysisPlan } from "./plan.ts";

const NOT_TESTED = "not tested: ";
const A_CANARY =
  "a canary compares it with stable: --strategy canary, or canary steps in a policy file";
/** Of these a limit alone can be tested; above it the rollout holds. */
const HAVE_MAX: readonly Metric["kind"][] = [
  "errorRate",
  "rejected",
  "validity",
  "latency",
  "accuracy",
  "meanError",
  "score",
  "prometheus",
  "logs",
];

/** A metric of the policy that says nothing in a rollout, why, and what would test it. */
export interface Untested {
  readonly metric: string;
  readonly why: string;
  readonly testedBy: string;
}

/** What an assessment says of a metric that its plan cannot test. */
export const notTested = (why: string): string => `${NOT_TESTED}${why}`;

function testedBy(kind: string): string {
  if (kind === "inputDrift") return "register the version with --reference";
  if (kind === "drift") return A_CANARY;
  return HAVE_MAX.some((one) => one === kind)
    ? `${A_CANARY}; a max in the policy holds above it`
    : A_CANARY;
}

/** The metrics that a plan cannot test. */
export function untestedIn({ metrics }: Pick<AnalysisPlan, "metrics">): readonly Untested[] {
  return metrics.flatMap(({ metric: { name, kind }, test }) =>
    test.test === "none" ? [{ metric: name, why: test.why, testedBy: testedBy(kind) }] : [],
  );
}

/** Why a metric says nothing in the rollout that it is assessed in; null: it is tested. */
export function untestedAs({
  name,
  kind,
  words,
}: Pick<MetricAssessment, "name" | "kind" | "words">): Untested | null {
  if (!words.startsWith(NOT_TESTED)) return null;
  return { metric: name, why: words.slice(NOT_TESTED.length), testedBy: testedBy(kind) };
}
