import type { Assessment } from "./assessment.ts";
import { describeMetric, namedWords } from "./describe-metric.ts";
import { actingEvidence, combined, observe, startAnalysis, type AnalysisState } from "./engine.ts";
import type { Interval } from "./interval.ts";
import { metricLogSafe, type MetricState } from "./metric.ts";
import { bothFail } from "./outage.ts";
import type { AnalysisPlan, MetricPlan } from "./plan.ts";
import { durationWords, grouped, percent } from "./words.ts";

/** What an assessment needs beside the evidence. */
export interface AssessmentContext {
  /** ms since 1970. */
  readonly now: number;
  /** When evidence last arrived, ms since 1970; before the first, when the watch began. Null: never. */
  readonly lastEvidenceAt: number | null;
  /** Since when evidence could have come: somebody served, and was listened to. Absent: all the time. ms since 1970 */
  readonly listeningSince?: number | undefined;
  /** It is promoted early in `canary` only: a bake waits for what shows late. */
  readonly phase: "canary" | "bake";
  /** Requests that the candidate will still get, or null. */
  readonly plannedRequestsLeft: number | null;
  /** The candidate's share of the traffic now, a fraction; 0: it has none by plan. */
  readonly candidateShare: number;
}

/** So many pairs did not come about before that is told: the other revision may be busy for a moment. */
const PAIRS_SKIPPED = 10;

/** What is decided, and why. */
export type Verdict = Pick<Assessment, "decision" | "why" | "blamed" | "source">;

/** A source that cannot be read, or a split that is not what was asked for. */
function brokenWords({ plan, metrics, split }: AnalysisState): string | null {
  if (split.mismatched) {
    const share = split.candidate / Math.max(1, split.candidate + split.stable);
    return `the comparison is not valid: ${percent(share)} of requests reached the candidate, ${percent(split.share ?? 0)} should have`;
  }
  const broken = plan.metrics.flatMap(({ metric, role }, at) => {
    const why = role === "report" ? null : (metrics[at]?.broken ?? null);
    return why === null ? [] : [`${metric.name} cannot be read: ${why}`];
  });
  return broken.length === 0 ? null : broken.join("; ");
}

/** The checks that both revisions fail, with why; null: there is none. */
function healthOutage({ plan, metrics }: AnalysisState): string | null {
  const failing = plan.metrics.flatMap(({ metric, test, role }, at) => {
    const state = metrics[at]?.state;
    if (test.test !== "health" || role === "report" || state?.test !== "health") return [];
    if (state.candidate < test.failures || state.stable < test.failures) return [];
    const why = state.failure.candidate ?? state.failure.stable;
    return [`${metric.name}${why === null ? "" : ` (${why})`}`];
  });
  return failing.length === 0
    ? null
    : `an outage: the health checks of both revisions fail: ${failing.join(", ")}`;
}

/** Stable and candidate fail alike. */
function outageWords(state: AnalysisState): string | null {
  if (state.proposal?.outage === true)
    return "an outage: stable failed what the candidate failed as well";
  const health = healthOutage(state);
  if (health !== null) return health;
  if (state.held || !bothFail(state.recent, state.plan.base)) return null;
  const rate = (arm: "candidate" | "stable"): string =>
    percent(state.recent[arm].bad / state.recent[arm].requests);
  return `an outage: lately ${rate("candidate")} of the candidate's requests failed and ${rate("stable")} of stable's`;
}

/** What was not heard of for too long; what was before `from` is no silence. */
function silentWords(
  state: AnalysisState,
  context: AssessmentContext,
  from = -Infinity,
): string | null {
  const { plan, since, candidateAt, stableAt } = state;
  const { now, lastEvidenceAt, candidateShare } = context;
  const { afterMs } = plan.analysis.noData;
  if (lastEvidenceAt === null) return "no evidence has come yet";
  const waited = (at: number | null): number | null => {
    const heard = at ?? since;
    return heard !== null && now - Math.max(heard, from) > afterMs ? now - heard : null;
  };
  const unheard = waited(lastEvidenceAt);
  if (unheard !== null) return `no evidence for ${durationWords(unheard)}`;
  const candidate = candidateShare > 0 ? waited(candidateAt) : null;
  if (candidate !== null) return `the candidate had no requests for ${durationWords(candidate)}`;
  const unpaired = unpairedWords(state, now, from);
  if (unpaired !== null) return unpaired;
  const compared = plan.comparison === "live" && candidateShare < 1;
  const stable = compared ? waited(stableAt) : null;
  return stable === null
    ? null
    : `stable had no requests to compare with for ${durationWords(stable)}`;
}

/** Requests are to be compared in pairs, and none is. */
function unpairedWords({ plan, pairing }: AnalysisState, now: number, from: number): string | null {
  const { at, skipped } = pairing;
  if (at === null || skipped < PAIRS_SKIPPED) return null;
  if (now - Math.max(at, from) <= plan.analysis.noData.afterMs) return null;
  return `no request was answered by both revisions for ${durationWords(now - at)}: of ${grouped(skipped)} that were to be mirrored none could be, the other revision is busy or not there`;
}

function proposalWords({ proposal }: AnalysisState): string | null {
  if (proposal === null) return null;
  if (proposal.asked === 0)
    return "it fails more than stable did before, and nothing it failed was tried on stable: nobody knows whether stable would do better";
  return `it fails more than stable did before; stable was tried on ${grouped(proposal.asked)} of what it failed, and failed ${grouped(proposal.failed)}`;
}

/** Metrics that stop it from advancing. */
function holding({ plan, metrics, held }: AnalysisState): readonly string[] {
  const own = plan.metrics.flatMap(({ metric }, at) =>
    metrics[at]?.held === true ? [metric.name] : [],
  );
  if (!held) return own;
  const acting = actingEvidence(plan, metrics, false);
  let most = acting[0];
  for (const one of acting) if (most === undefined || weighted(one) > weighted(most)) most = one;
  const name = most?.name;
  return name === undefined || own.includes(name) ? own : [name, ...own];
}

const weighted = ({ weight, logE }: { readonly weight: number; readonly logE: number }): number =>
  Math.log(weight) + logE;

const MAY_NOT_COME: ReadonlySet<string> = new Set([
  "accuracy",
  "meanError",
  "score",
  "disagreement",
]);

/**
 * Labels and copies are watched for without being asked; where none ever came there are none to wait
 * for. What shows in the bake is seen there.
 */
function isUnheardOf({ metric, test }: MetricPlan, { seen }: MetricState): boolean {
  if (!MAY_NOT_COME.has(metric.kind) || test.test !== "rate") return false;
  return test.rate.base.requests + seen.candidate.requests + seen.stable.requests === 0;
}

/** What the candidate was given: requests of its own, or copies. */
const answered = ({ requests, copies }: AnalysisState): number => requests.candidate + copies;

/** Whether all that is compared, and could bring it back, is within the margin. */
function safe(watch: AnalysisState): boolean {
  const { plan, metrics, held } = watch;
  const { early, minRequests, beta } = plan.analysis;
  if (!early || held || answered(watch) < minRequests) return false;
  const logs = plan.metrics.flatMap((metric, at) => {
    const state = metrics[at];
    if (state === undefined || metric.role !== "rollback" || metric.weight === 0) return [];
    const log = metricLogSafe(state);
    return log === null || isUnheardOf(metric, state) ? [] : [log];
  });
  return logs.length > 0 && logs.every((log) => log >= -Math.log(beta));
}

/** The first that is wrong with the source, by what was said of each. */
function sourceOf(said: {
  readonly broken: string | null;
  readonly outage: string | null;
  readonly deaf: string | null;
  readonly silent: string | null;
}): Verdict["source"] {
  if (said.broken !== null) return "broken";
  if (said.outage !== null) return "outage";
  if (said.deaf !== null) return "broken";
  return said.silent === null ? "ok" : "silent";
}

/** What is decided and why, without the metrics: what is asked after each interval of a long watch. */
export function verdictOf(state: AnalysisState, context: AssessmentContext): Verdict {
  const { latched, plan } = state;
  const broken = brokenWords(state);
  const outage = outageWords(state);
  const silent = silentWords(state, context);
  // Where nobody could have told, silence says nothing about the version.
  const deaf =
    silent !== null && silentWords(state, context, context.listeningSince) === null
      ? `${silent}; nobody could have told of requests all that time`
      : null;
  const source = sourceOf({ broken, outage, deaf, silent });
  if (latched !== null)
    return { decision: "rollback", why: latched.why, blamed: [...latched.blamed], source };
  const hold = (why: string, blamed: readonly string[] = []): Verdict => ({
    decision: "hold",
    why,
    blamed: [...blamed],
    source,
  });
  const unfit = broken ?? outage ?? deaf;
  if (unfit !== null) return hold(unfit);
  if (silent !== null)
    return { decision: plan.analysis.noData.action, why: silent, blamed: [], source };
  const names = holding(state);
  const proposed = proposalWords(state);
  const words = namedWords(plan, state.metrics, names);
  if (proposed !== null)
    return hold([words, proposed].filter((part) => part !== "").join("; "), names);
  if (names.length > 0) return hold(words, names);
  if (context.phase === "canary" && safe(state)) {
    const margin = percent(plan.analysis.margin.absolute);
    return {
      decision: "promote",
      why: `within the margin of ${margin} in all that is compared, after ${grouped(answered(state))} requests`,
      blamed: [],
      source,
    };
  }
  return {
    decision: "continue",
    why: `nothing against it after ${grouped(answered(state))} requests`,
    blamed: [],
    source,
  };
}

/** What the evidence so far says: the decision, why, and every metric. */
export function assess(state: AnalysisState, context: AssessmentContext): Assessment {
  const { plan, metrics, requests } = state;
  const verdict = verdictOf(state, context);
  const blamed = state.latched?.blamed ?? [];
  return {
    ...verdict,
    logE: combined(actingEvidence(plan, metrics, false)),
    threshold: -Math.log(plan.analysis.alpha),
    metrics: plan.metrics.flatMap((metric, at) => {
      const own = metrics[at];
      if (own === undefined) return [];
      const isBlamed = blamed.includes(metric.metric.name);
      return [describeMetric(metric, own, plan.analysis, context, isBlamed)];
    }),
    intervals: state.intervals,
    horizon: plan.horizon,
    requests: { ...requests },
    gaps: state.gaps,
  };
}

/** What is known at the end of an interval of the clock and the rollout, where nothing else is. */
export function contextOf({ to, candidateShare, candidate, stable }: Interval): AssessmentContext {
  const total = candidate.requests + stable.requests;
  return {
    now: to,
    lastEvidenceAt: to,
    phase: "canary",
    plannedRequestsLeft: null,
    candidateShare: candidateShare ?? (total === 0 ? 0 : candidate.requests / total),
  };
}

/**
 * The watch computed again from its stored intervals: the assessment after each. The evidence has the
 * same digits as it had then; what depends on the clock is as of each interval's end, unless told.
 */
export function recompute(
  plan: AnalysisPlan,
  intervals: readonly Interval[],
  at: (interval: Interval) => AssessmentContext = contextOf,
): readonly Assessment[] {
  let state = startAnalysis(plan);
  return intervals.map((interval) => {
    state = observe(state, interval);
    return assess(state, at(interval));
  });
}
