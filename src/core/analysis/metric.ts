import { logE, type EProcess } from "../evidence/index.ts";
import {
  countClasses,
  driftLogE,
  observeDrift,
  startDriftTest,
  type DriftTestState,
} from "./drift-test.ts";
import {
  inputDriftLogE,
  observeInputDrift,
  startInputDrift,
  type InputDriftState,
} from "./input-drift-test.ts";
import type { PairCounts, Signal } from "./interval.ts";
import {
  addArms,
  gatewayRate,
  NOTHING,
  pairArms,
  type GatewayRate,
  type JudgedArms,
} from "./judged.ts";
import {
  observeLatencyMetric,
  startLatencyMetric,
  type LatencyMetricState,
} from "./latency-metric.ts";
import { copiesLogE, latencyLogE } from "./latency-test.ts";
import type { MetricPlan, TestPlan } from "./plan.ts";
import { averageLogE } from "./process.ts";
import {
  directRateLogE,
  NO_INPUT,
  observeRate,
  rateLogE,
  startRateTest,
  type RateInput,
  type RateTestState,
} from "./rate-test.ts";
import { signalArms, signalInput, signalOf, signalSeen, type SignalRest } from "./signal-input.ts";
import { pairsShown, type Step } from "./step.ts";

/** Where the test of one metric stands. Plain JSON. */
export type TestState =
  | ({ readonly test: "rate"; readonly rate: RateTestState } & SignalRest)
  | LatencyMetricState
  | {
      readonly test: "drift";
      readonly drift: DriftTestState;
      /** By class: how many were predicted. */
      readonly classes: readonly JudgedArms[];
    }
  | { readonly test: "inputs"; readonly inputs: InputDriftState }
  /** Failures in a row, of each arm, and why the last one failed; null where that is not known. */
  | {
      readonly test: "health";
      readonly candidate: number;
      readonly stable: number;
      readonly failure: NonNullable<Signal["failure"]>;
    }
  | { readonly test: "none" };

/** Where one metric stands. Plain JSON. */
export interface MetricState {
  readonly state: TestState;
  /** What was observed of each arm, and how much of it was bad; for display. */
  readonly seen: JudgedArms;
  /** Natural log of its e-value now, and the largest so far. */
  readonly logE: number;
  readonly maxLogE: number;
  /** Whether it stops the rollout from advancing: set at 1 / holdAlpha, unset at a quarter of that. */
  readonly held: boolean;
  /** Why its source cannot be read; null: it can. */
  readonly broken: string | null;
}

const NO_ARMS: JudgedArms = { candidate: NOTHING, stable: NOTHING };

function startTest(test: TestPlan, horizon: number): TestState {
  switch (test.test) {
    case "rate":
      return {
        test: "rate",
        rate: startRateTest(test.rate, horizon),
        waiting: [],
        rest: NOTHING,
      };
    case "latency":
      return startLatencyMetric(test, horizon);
    case "drift":
      return {
        test: "drift",
        drift: startDriftTest(test.drift, horizon),
        classes: (test.drift.classes ?? []).map(() => NO_ARMS),
      };
    case "inputs":
      return { test: "inputs", inputs: startInputDrift(test.inputs, horizon) };
    case "health":
      return {
        test: "health",
        candidate: 0,
        stable: 0,
        failure: { candidate: null, stable: null },
      };
    case "none":
      return { test: "none" };
  }
}

/** A metric before its first interval. */
export function startMetric({ test, role }: MetricPlan, horizon: number): MetricState {
  return {
    state: startTest(test, horizon),
    seen: NO_ARMS,
    logE: 0,
    maxLogE: 0,
    held: false,
    // Who is asked to stop for it must hear that it is not looked at.
    broken: test.test === "none" && role === "hold" ? test.why : null,
  };
}

type RateState = TestState & { readonly test: "rate" };
type DriftState = TestState & { readonly test: "drift" };

function gatewayInput(source: GatewayRate, { interval, arms, pairs }: Step): RateInput {
  const { candidate } = interval;
  const own = candidate.requests === 0 ? null : gatewayRate(source, candidate);
  return {
    arms:
      arms === null
        ? []
        : [
            {
              candidate: gatewayRate(source, arms.candidate),
              stable: gatewayRate(source, arms.stable),
            },
          ],
    pairs: source === "errors" ? pairs : null,
    losses: [],
    candidate: own,
    alone: interval.stable.requests === 0 ? own : null,
  };
}

const disagreementOf = ({ pairs, disagreed }: PairCounts): JudgedArms["candidate"] => ({
  requests: pairs,
  bad: Math.min(pairs, disagreed),
});

function observeRateMetric(
  { metric }: MetricPlan,
  plan: TestPlan & { readonly test: "rate" },
  before: MetricState,
  state: RateState,
  step: Step,
): MetricState {
  const { interval } = step;
  if (plan.source === "signal") {
    const signal = signalOf(interval, metric.name);
    const { input, waiting, rest } = signalInput(state, interval.split, signal);
    return {
      ...before,
      state: {
        test: "rate",
        rate: observeRate(plan.rate, state.rate, input, step.over),
        waiting,
        rest,
      },
      seen:
        signal === null || signal.broken !== null
          ? before.seen
          : addArms(before.seen, signalSeen(signal)),
      broken: signal === null ? before.broken : signal.broken,
    };
  }
  if (plan.source === "disagreement") {
    const candidate = disagreementOf(interval.pairs);
    const input = { ...NO_INPUT, candidate: candidate.requests === 0 ? null : candidate };
    return {
      ...before,
      state: { ...state, rate: observeRate(plan.rate, state.rate, input, step.over) },
      seen: addArms(before.seen, { candidate, stable: NOTHING }),
    };
  }
  return {
    ...before,
    state: {
      ...state,
      rate: observeRate(plan.rate, state.rate, gatewayInput(plan.source, step), step.over),
    },
    seen: addArms(before.seen, seenAtGateway(plan.source, step)),
  };
}

function seenAtGateway(source: GatewayRate, step: Step): JudgedArms {
  const { interval } = step;
  const pairs = source === "errors" ? pairsShown(step) : null;
  if (pairs !== null) return pairArms(pairs);
  return {
    candidate: gatewayRate(source, interval.candidate),
    stable: gatewayRate(source, interval.stable),
  };
}

function observeDriftMetric(state: DriftState, step: Step): DriftState {
  const { drift } = state;
  const pairs = pairsShown(step);
  const told = pairs === null ? { arms: step.interval, pairs } : { arms: null, pairs };
  const counts = drift.classes === null ? null : countClasses(drift.classes, told);
  const next = observeDrift(drift, step, step);
  return {
    test: "drift",
    drift: next,
    classes:
      counts === null
        ? (next.classes ?? []).map(() => NO_ARMS)
        : state.classes.map((sums, at) => addArms(sums, counts[at] ?? NO_ARMS)),
  };
}

/** Checks of one interval have no order: one that succeeded among them ends the row. */
function rowOf(before: number, { observations, bad }: Signal["candidate"]): number {
  if (observations === 0) return before;
  return bad >= observations ? before + observations : 0;
}

function observeHealth({ metric }: MetricPlan, before: MetricState, step: Step): MetricState {
  const signal = signalOf(step.interval, metric.name);
  if (signal === null || before.state.test !== "health") return before;
  if (signal.broken !== null) return { ...before, broken: signal.broken };
  return {
    ...before,
    broken: null,
    seen: addArms(before.seen, signalArms(signal)),
    state: {
      test: "health",
      candidate: rowOf(before.state.candidate, signal.candidate),
      stable: rowOf(before.state.stable, signal.stable),
      failure: {
        candidate: signal.failure?.candidate ?? before.state.failure.candidate,
        stable: signal.failure?.stable ?? before.state.failure.stable,
      },
    },
  };
}

function observeTest(plan: MetricPlan, before: MetricState, step: Step): MetricState {
  const { test } = plan;
  const { state } = before;
  if (test.test === "rate" && state.test === "rate")
    return observeRateMetric(plan, test, before, state, step);
  if (test.test === "latency" && state.test === "latency")
    return { ...before, state: observeLatencyMetric(test, state, step) };
  if (state.test === "drift") return { ...before, state: observeDriftMetric(state, step) };
  if (test.test === "inputs" && state.test === "inputs") {
    const inputs = observeInputDrift(test.inputs, state.inputs, step.interval, step);
    return { ...before, state: { test: "inputs", inputs } };
  }
  if (state.test === "health") return observeHealth(plan, before, step);
  const signal = signalOf(step.interval, plan.metric.name);
  if (signal === null || signal.broken !== null) return before;
  return { ...before, seen: addArms(before.seen, signalArms(signal)) };
}

/** ln of the evidence against the candidate in this metric; 0 where nothing is tested. */
function metricLogE({ state }: Pick<MetricState, "state">): number {
  switch (state.test) {
    case "rate":
      return rateLogE(state.rate);
    case "latency": {
      const parts: number[] = [];
      if (state.slower !== null) parts.push(latencyLogE(state.slower));
      if (state.limit !== null) parts.push(rateLogE(state.limit));
      return averageLogE(parts);
    }
    case "drift":
      return driftLogE(state.drift);
    case "inputs":
      return inputDriftLogE(state.inputs);
    case "health":
    case "none":
      return 0;
  }
}

const least = (processes: readonly EProcess[]): number | null =>
  processes.length === 0 ? null : Math.min(...processes.map(logE));

/** The part of a metric's evidence that brings it back without anybody being asked. */
export function directLogE({ state, logE: all }: MetricState): number {
  return state.test === "rate" ? directRateLogE(state.rate) : all;
}

/** ln of the evidence that the candidate is within the margin; null where that is not tested. */
export function metricLogSafe({ state }: Pick<MetricState, "state">): number | null {
  if (state.test === "rate") return state.rate.safe === null ? null : logE(state.rate.safe);
  if (state.test === "latency") return least(state.slower?.safe ?? []);
  return null;
}

/** ln of the evidence that the candidate alone is above a limit that stable guards; null without one. */
export function limitLogE({ state }: Pick<MetricState, "state">): number | null {
  const rate = state.test === "rate" ? state.rate : state.test === "latency" ? state.limit : null;
  if (rate === null || rate.limit === null || rate.better === null) return null;
  return logE(rate.limit);
}

/** ln of the evidence of copies that hold, and bring nothing back by themselves; null where there are none. */
export function heldByCopies({ state }: Pick<MetricState, "state">): number | null {
  return state.test !== "latency" || state.slower === null ? null : copiesLogE(state.slower);
}

/** A threshold that is left only well below where it was reached. */
export function heldAt(before: boolean, log: number, holdAlpha: number): boolean {
  return log >= -Math.log(holdAlpha) + (before ? Math.log(0.25) : 0);
}

/** A metric after one more interval. */
export function observeMetric(
  plan: MetricPlan,
  before: MetricState,
  step: Step,
  holdAlpha: number,
): MetricState {
  const next = observeTest(plan, before, step);
  const log = metricLogE(next);
  const holding: number[] = [];
  if (plan.role === "hold") holding.push(log);
  if (plan.role !== "report")
    for (const one of [limitLogE(next), heldByCopies(next)]) if (one !== null) holding.push(one);
  return {
    ...next,
    logE: log,
    maxLogE: Math.max(before.maxLogE, log),
    held: holding.some((one) => heldAt(before.held, one, holdAlpha)),
  };
}
