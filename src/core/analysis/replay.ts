import { assess, contextOf, verdictOf, type AssessmentContext, type Verdict } from "./assess.ts";
import type { Assessment } from "./assessment.ts";
import { actingEvidence, combined, observe, startAnalysis } from "./engine.ts";
import type { Interval } from "./interval.ts";
import type { AnalysisPlan } from "./plan.ts";

/** A change of what the evidence said. */
export interface Decision extends Verdict {
  /** End of the interval after which it was so, or when it was looked at, ms since 1970. */
  readonly at: number;
  /** Intervals until then. */
  readonly intervals: number;
  /** ln of the evidence of all acting metrics together. */
  readonly logE: number;
}

/** What is known of a watch beside its intervals. */
export interface Known {
  /** Looks that changed something, in their order: after how many intervals, and what was known then. */
  readonly looks: readonly { readonly intervals: number; readonly context: AssessmentContext }[];
  /** ms since 1970: when the bake began; null: it did not. */
  readonly bakingSince: number | null;
}

const NOTHING_KNOWN: Known = { looks: [], bakingSince: null };

/** A watch computed again. */
export interface Replayed {
  /** What was decided over time, each time that it changed. */
  readonly decisions: readonly Decision[];
  /** After the last interval; null of none, where nothing was asked. */
  readonly assessment: Assessment | null;
}

/**
 * A watch computed again from its stored intervals, without assessing every metric after each. `asked`:
 * what is known at the end beside the evidence; without it, what the last interval tells. What depends on
 * the clock is as of each interval's end and, where `known` says so, as of a look that came later.
 */
export function replay(
  plan: AnalysisPlan,
  intervals: readonly Interval[],
  asked: AssessmentContext | null = null,
  { looks, bakingSince }: Known = NOTHING_KNOWN,
): Replayed {
  const decisions: Decision[] = [];
  const looksAfter = Map.groupBy(looks, ({ intervals: after }) => after);
  let state = startAnalysis(plan);
  const decide = (context: AssessmentContext, after: number): void => {
    const verdict = verdictOf(state, context);
    const before = decisions.at(-1);
    if (before?.decision === verdict.decision && before.source === verdict.source) return;
    const logE = combined(actingEvidence(plan, state.metrics, false));
    decisions.push({ ...verdict, at: context.now, intervals: after, logE });
  };
  const lookedAfter = (after: number): void => {
    for (const { context } of looksAfter.get(after) ?? []) decide(context, after);
  };
  lookedAfter(0);
  intervals.forEach((interval, at) => {
    state = observe(state, interval);
    const isLast = at === intervals.length - 1;
    const isBaking = bakingSince !== null && interval.to > bakingSince;
    const phase = isBaking ? "bake" : "canary";
    if (!isLast || asked === null) decide({ ...contextOf(interval), phase }, at + 1);
    lookedAfter(at + 1);
    if (isLast && asked !== null) decide(asked, at + 1);
  });
  const last = intervals.at(-1);
  const context = asked ?? (last === undefined ? null : contextOf(last));
  return { decisions, assessment: context === null ? null : assess(state, context) };
}

/** Where two values differ first, with both of them there; null: nowhere, to the last digit. */
export function firstDifference(
  left: unknown,
  right: unknown,
  path = "",
): { readonly path: string; readonly left: unknown; readonly right: unknown } | null {
  if (Object.is(left, right)) return null;
  // JSON has no -0.
  if (left === 0 && right === 0) return null;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null)
    return { path, left, right };
  const [lefts, rights] = [new Map(Object.entries(left)), new Map(Object.entries(right))];
  for (const name of new Set([...lefts.keys(), ...rights.keys()])) {
    const within = path === "" ? name : `${path}.${name}`;
    const found = firstDifference(lefts.get(name), rights.get(name), within);
    if (found !== null) return found;
  }
  return null;
}
