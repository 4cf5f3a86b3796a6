import type { AnalysisPolicy, RolloutStep } from "../policy/index.ts";
import { verdictOf } from "./assess.ts";
import { drawBinomial, seededRandom, type Random } from "./draw.ts";
import { observe, planAnalysis, startAnalysis, type AnalysisState } from "./engine.ts";
import {
  MOST_PAIRS_SEEN,
  noArmCounts,
  noPairCounts,
  type Interval,
  type PairCounts,
} from "./interval.ts";
import { bakesAlone, type Planned } from "./outlook.ts";
import type { AnalysisPlan, MetricPlan } from "./plan.ts";
import {
  drawPairedTimes,
  drawSimulated,
  simulatedArm,
  type SimulatedArm,
} from "./simulated-arm.ts";
import { isLabelled, LabelsOnTheirWay, type SimulatedLabels } from "./simulated-labels.ts";
import type { Labels, Traffic } from "./traffic.ts";

/** How a candidate differs from stable. */
export interface Scenario {
  /** Of the candidate; null: as stable's. */
  readonly errorRate: number | null;
  /** How many times as long it takes; 1: as long. */
  readonly times: number;
  /** Share of its answers that are wrong by their labels; null: as stable's. */
  readonly wrong?: number | null;
}

/** What a policy is simulated with. */
export interface Simulated {
  readonly planned: Planned;
  readonly traffic: Traffic;
  /** Stable answers what the candidate fails. */
  readonly fallback: boolean;
  /** Null: nobody tells what was right. */
  readonly labels: (Labels & { readonly wrong: number }) | null;
}

/** Latencies say nothing where only errors differ: what they add to the evidence is less than nothing. */
const withoutLatency = (traffic: Traffic): Traffic => ({ ...traffic, latency: {} });

/** Half and 95 of 100 runs had it by then; null: they had not. */
export interface Spread {
  readonly median: number | null;
  readonly p95: number | null;
}

/** How often a policy caught such a candidate, and how soon. */
export interface SimulationResult {
  readonly scenario: Scenario;
  readonly runs: number;
  /** Runs that went back. */
  readonly caught: number;
  /** Runs that waited for a person until the deadline. */
  readonly undecided: number;
  /** By stage (steps, then the bake): runs that went back in it. */
  readonly caughtIn: readonly number[];
  /** Requests of both arms until then. */
  readonly requests: Spread;
  readonly timeMs: Spread;
  /** Requests that the candidate failed until then. */
  readonly failed: Spread;
}

/** A part of a rollout with one split. */
interface Stage {
  readonly share: number;
  /** Share of the traffic that both answer. */
  readonly paired: number;
  readonly requests: number;
  readonly timeMs: number;
  readonly phase: "canary" | "bake";
  /** An early promotion goes past it. */
  readonly isSkipped: boolean;
}

/** Longer intervals later in a stage: a delay is known to this share of itself. */
const GROWTH = 0.25;
/** Beyond this many planned lengths of a stage nothing more is simulated. */
const MOST_TIMES = 20;
const MAX_HORIZON = 1_000_000;

function stageOf(step: RolloutStep, carried: number): Stage {
  const common = { phase: "canary", isSkipped: step.kind !== "pause" } as const;
  if (step.kind === "pause")
    return { ...common, share: carried, paired: 0, requests: 0, timeMs: step.forMs ?? 0 };
  const { requests, timeMs } = step.until;
  if (step.kind === "mirror")
    return { ...common, share: 0, paired: step.percent / 100, requests, timeMs };
  const share = step.kind === "weight" ? step.percent / 100 : carried;
  return { ...common, share, paired: 0, requests, timeMs };
}

function stagesOf({ steps, bakeMs, holdback, comparison }: Planned): readonly Stage[] {
  const stages: Stage[] = [];
  let carried = 0;
  for (const step of steps) {
    stages.push(stageOf(step, carried));
    if (step.kind === "weight") carried = step.percent / 100;
  }
  const bake = { requests: 0, timeMs: bakeMs, phase: "bake", isSkipped: false } as const;
  const share = comparison === "live" ? 1 - holdback : 1;
  stages.push({ ...bake, share, paired: comparison === "paired" ? holdback : 0 });
  return stages;
}

/** What stable did before, as one interval: what a watch takes its edges and centres from. */
function baselineOf({ requests, errors, observedMs, latency }: Traffic): Interval {
  return {
    from: -observedMs,
    to: 0,
    split: 0,
    candidateShare: null,
    candidate: noArmCounts(),
    stable: { ...noArmCounts(), requests, errors, latency },
    pairs: noPairCounts(),
    signals: {},
    gaps: 0,
  };
}

function planOf(simulated: Simulated, stages: readonly Stage[]): AnalysisPlan {
  const { planned, traffic } = simulated;
  const { analysis, comparison } = planned;
  const plannedMs = stages.reduce((sum, { timeMs }) => sum + timeMs, 0);
  const plan = planAnalysis({
    analysis,
    horizonIntervals: Math.min(MAX_HORIZON, Math.max(1, plannedMs / analysis.flushMs)),
    baseline: [baselineOf(traffic)],
    comparison,
    alone: bakesAlone(planned),
  });
  return { ...plan, metrics: plan.metrics.map((metric) => adjusted(metric, simulated)) };
}

/**
 * One interval tells nothing of clusters: what was measured does. What nothing is drawn for keeps its
 * share of the evidence, at an e-value of 1; so does early promotion, where there is none.
 */
function adjusted(metric: MetricPlan, { planned, traffic, labels }: Simulated): MetricPlan {
  const { test } = metric;
  const margin = planned.analysis.early ? {} : { margin: null };
  if (labels !== null && isLabelled(metric.metric.kind) && test.test === "rate")
    return { ...metric, test: { ...test, rate: { ...test.rate, ...margin } } };
  if (test.test === "latency" && test.slower !== null)
    return { ...metric, test: { ...test, slower: { ...test.slower, ...margin } } };
  if (metric.metric.kind !== "errorRate") {
    // In earnest whoever is asked to stop for it and hears nothing of it does; here that says nothing.
    const role = metric.role === "hold" ? "report" : metric.role;
    return { ...metric, role, test: { test: "none", why: "it is not simulated" } };
  }
  if (test.test !== "rate") return metric;
  const { dispersion } = traffic;
  return {
    ...metric,
    test: { ...test, rate: { ...test.rate, ...margin, dispersion, adaptive: false } },
  };
}

/** How a run ended. */
interface Ended {
  readonly how: "rollback" | "undecided" | "succeeded";
  readonly stage: number;
  readonly requests: number;
  readonly timeMs: number;
  readonly failed: number;
}

/** Everything that stays the same over the runs of a scenario. */
interface Stand {
  readonly analysis: AnalysisPolicy;
  readonly start: AnalysisState;
  readonly stages: readonly Stage[];
  readonly perMs: number;
  readonly candidate: SimulatedArm;
  readonly stable: SimulatedArm;
  readonly labels: SimulatedLabels | null;
}

function drawPairs(
  random: Random,
  pairs: number,
  { candidate, stable, analysis }: Stand,
  widthMs: number,
): PairCounts {
  const bad = drawBinomial(random, pairs, candidate.errorRate);
  const both = drawBinomial(random, bad, stable.errorRate);
  const onlyStableBad = drawBinomial(random, pairs - bad, stable.errorRate);
  const answered = pairs - bad - onlyStableBad;
  const most = Math.ceil((MOST_PAIRS_SEEN * widthMs) / analysis.flushMs);
  return {
    ...noPairCounts(),
    pairs,
    onlyCandidateBad: bad - both,
    onlyStableBad,
    bothBad: both,
    latency: drawPairedTimes(random, Math.min(answered, most), { candidate, stable }),
  };
}

/** One rollout, interval by interval. */
class Run {
  readonly #stand: Stand;
  readonly #random: Random;
  readonly #labels: LabelsOnTheirWay | null;
  #state: AnalysisState;
  #clock = 0;
  /** Whole requests of the traffic so far, so that fractions of intervals add up. */
  #come = 0;
  #failed = 0;

  constructor(stand: Stand, random: Random) {
    this.#stand = stand;
    this.#random = random;
    this.#labels = stand.labels === null ? null : new LabelsOnTheirWay(stand.labels, random);
    this.#state = stand.start;
  }

  run(): Ended {
    const { stages } = this.#stand;
    let at = 0;
    for (let stage = stages[0]; stage !== undefined; stage = stages[at]) {
      const left = this.#stage(stage, at);
      if (left === "rollback" || left === "undecided") return this.#end(left, at);
      at = left === "next" ? at + 1 : this.#afterEvidence(at);
    }
    return this.#end("succeeded", stages.length - 1);
  }

  #afterEvidence(at: number): number {
    const gate = this.#stand.stages.findIndex((stage, index) => index > at && !stage.isSkipped);
    return gate === -1 ? at + 1 : gate;
  }

  #end(how: Ended["how"], stage: number): Ended {
    const { requests } = this.#state;
    return {
      how,
      stage,
      requests: Math.max(this.#come, requests.candidate + requests.stable),
      timeMs: this.#clock,
      failed: this.#failed,
    };
  }

  /** Until the stage is over, whatever makes it so. */
  #stage(stage: Stage, index: number): "next" | "promote" | "rollback" | "undecided" {
    const began = this.#clock;
    let counted = 0;
    let waitsSince: number | null = null;
    while (stage.timeMs > 0 || stage.requests > 0) {
      counted += this.#interval(stage, index, this.#width(stage, began));
      const decision = this.#decide(stage);
      if (decision === "rollback") return "rollback";
      if (decision === "promote" && stage.phase === "canary") return "promote";
      const isOver = this.#clock - began >= stage.timeMs;
      if (isOver && counted >= stage.requests && decision !== "hold") return "next";
      // Waiting for evidence, or for requests after the time is over.
      waitsSince = decision === "hold" || isOver ? (waitsSince ?? this.#clock) : null;
      if (this.#waitedLong(stage, began, waitsSince)) return this.#atTheDeadline();
    }
    return "next";
  }

  /** Whole ms, so that what is left of a stage comes to an end. */
  #width({ timeMs }: Stage, began: number): number {
    const elapsed = this.#clock - began;
    const left = timeMs > elapsed ? timeMs - elapsed : Infinity;
    const { flushMs } = this.#stand.analysis;
    return Math.ceil(Math.min(left, Math.max(flushMs, elapsed * GROWTH)));
  }

  #waitedLong({ timeMs }: Stage, began: number, since: number | null): boolean {
    const { deadlineMs } = this.#stand.analysis.inconclusive;
    const most = Math.max(timeMs, deadlineMs) * MOST_TIMES;
    return this.#clock - began >= most || (since !== null && this.#clock - since >= deadlineMs);
  }

  #atTheDeadline(): "next" | "rollback" | "undecided" {
    const { action } = this.#stand.analysis.inconclusive;
    if (action === "promote") return "next";
    return action === "rollback" ? "rollback" : "undecided";
  }

  #decide({ share, phase }: Stage): "continue" | "hold" | "rollback" | "promote" {
    return verdictOf(this.#state, {
      now: this.#clock,
      lastEvidenceAt: this.#clock,
      phase,
      plannedRequestsLeft: null,
      candidateShare: share,
    }).decision;
  }

  /** Gives what of it counts for the step. */
  #interval({ share, paired }: Stage, split: number, widthMs: number): number {
    const { candidate, stable, perMs } = this.#stand;
    const from = this.#clock;
    this.#clock = from + widthMs;
    const come = Math.floor(this.#clock * perMs);
    const requests = come - this.#come;
    this.#come = come;
    const own = share >= 1 ? requests : drawBinomial(this.#random, requests, share);
    const copies = paired > 0 ? drawBinomial(this.#random, requests, paired) : 0;
    const pairs =
      copies > 0 ? drawPairs(this.#random, copies, this.#stand, widthMs) : noPairCounts();
    const did = drawSimulated(this.#random, own, candidate);
    const beside = requests - own;
    const of = { to: this.#clock, split, candidate: own, stable: beside, copies };
    const signals = this.#labels === null ? {} : this.#labels.after(of);
    this.#failed += did.errors;
    this.#state = observe(this.#state, {
      from,
      to: this.#clock,
      split,
      candidateShare: share > 0 && share < 1 ? share : null,
      candidate: did,
      stable: share < 1 ? drawSimulated(this.#random, beside, stable) : noArmCounts(),
      pairs,
      signals,
      gaps: 0,
    });
    return share > 0 ? own : copies;
  }
}

function labelsOf(
  { labels }: Simulated,
  plan: AnalysisPlan,
  { wrong }: Scenario,
): SimulatedLabels | null {
  if (labels === null || labels.share === 0) return null;
  const metrics = plan.metrics.filter(
    ({ metric, test }) => isLabelled(metric.kind) && test.test === "rate",
  );
  if (metrics.length === 0) return null;
  return {
    share: labels.share,
    delayMs: labels.delayMs,
    candidateWrong: wrong ?? labels.wrong,
    stableWrong: labels.wrong,
    metrics: metrics.map(({ metric }) => metric.name),
  };
}

/** Values of the runs that were caught, those that were not beyond all. */
function spreadOf(values: readonly number[], runs: number): Spread {
  const rising = values.toSorted((a, b) => a - b);
  const at = (share: number): number | null => rising[Math.ceil(share * runs) - 1] ?? null;
  return { median: at(0.5), p95: at(0.95) };
}

/**
 * Rollouts of such a candidate under a policy, at the traffic that stable had: drawn at random from a
 * seed, through the very analysis that decides about real ones. Intervals grow with the time in a
 * stage, so that a delay is known to a quarter of itself.
 */
export function simulate(
  simulated: Simulated,
  scenario: Scenario,
  how: { readonly runs: number; readonly seed: number },
): SimulationResult {
  const { planned, fallback } = simulated;
  const isWrong = typeof scenario.wrong === "number";
  const withoutTimes = (scenario.errorRate !== null || isWrong) && scenario.times === 1;
  const traffic = withoutTimes ? withoutLatency(simulated.traffic) : simulated.traffic;
  const stages = stagesOf(planned);
  const plan = planOf({ ...simulated, traffic }, stages);
  const base = traffic.errorRate;
  const errorRate = scenario.errorRate ?? base;
  const stand: Stand = {
    analysis: planned.analysis,
    start: startAnalysis(plan),
    stages,
    perMs: traffic.requestsPerSecond / 1_000,
    candidate: simulatedArm(plan, traffic, {
      arm: "candidate",
      errorRate,
      times: scenario.times,
      answered: fallback || planned.comparison === "absolute" ? 1 - base : null,
    }),
    stable: simulatedArm(plan, traffic, {
      arm: "stable",
      errorRate: base,
      times: 1,
      answered: null,
    }),
    labels: labelsOf(simulated, plan, scenario),
  };
  const random = seededRandom(how.seed);
  const ended = Array.from({ length: how.runs }, () => new Run(stand, random).run());
  const caught = ended.filter((run) => run.how === "rollback");
  const spread = (of: (run: Ended) => number): Spread => spreadOf(caught.map(of), how.runs);
  return {
    scenario,
    runs: how.runs,
    caught: caught.length,
    undecided: ended.filter((run) => run.how === "undecided").length,
    caughtIn: stages.map((_, at) => caught.filter(({ stage }) => stage === at).length),
    requests: spread(({ requests }) => requests),
    timeMs: spread(({ timeMs }) => timeMs),
    failed: spread(({ failed }) => failed),
  };
}
