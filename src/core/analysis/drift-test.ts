import {
  pairedBet,
  splitBet,
  type EProcess,
  type PairCounts as JudgedPairs,
} from "../evidence/index.ts";
import type { Tolerance } from "../policy/index.ts";
import { addOutputs, type ArmCounts, type Arms, type Compared } from "./interval.ts";
import { addArms, clampCentre, NOTHING, pairArms, type JudgedArms } from "./judged.ts";
import {
  classPairs,
  countOutputs,
  freezeClasses,
  totalOutputs,
  type OutputClass,
} from "./output-class.ts";
import { advance, averageOf, startRegression, sumIncrements, type Weighing } from "./process.ts";

/** How the distribution of predictions is tested; frozen. */
export interface DriftTestPlan {
  /** Null: not seen enough. */
  readonly classes: readonly OutputClass[] | null;
  /** What stable predicted until then. */
  readonly gathered: ArmCounts["outputs"];
}

/** Where such a test stands. Plain JSON. */
export interface DriftTestState extends DriftTestPlan {
  /** By class: its share is higher than stable's. */
  readonly higher: readonly EProcess[];
  /** By class: its share is lower; null for a class too rare for that to matter. */
  readonly lower: readonly (EProcess | null)[];
}

/** Shares within one percentage point are the same: two versions of a model never agree wholly. */
const SAME_SHARE: Tolerance = { absolute: 0.01, relative: 1 };

/** A share that could fall by more than what is the same, and then some. */
const COMMON = 0.02;

function startProcesses(
  classes: readonly OutputClass[] | null,
  horizon: number,
): Pick<DriftTestState, "higher" | "lower"> {
  return {
    higher: (classes ?? []).map(() => startRegression(horizon)),
    lower: (classes ?? []).map(({ share }) => (share > COMMON ? startRegression(horizon) : null)),
  };
}

/** The test before its first interval. */
export function startDriftTest(plan: DriftTestPlan, horizon: number): DriftTestState {
  return { ...plan, ...startProcesses(plan.classes, horizon) };
}

/** What both predicted of one class. */
interface ClassCounts {
  readonly arms: JudgedArms | null;
  readonly pairs: JudgedPairs | null;
}

function compare(
  process: EProcess,
  { arms, pairs }: ClassCounts,
  centre: number,
  weighing: Weighing,
): EProcess {
  const tolerance = { ...SAME_SHARE, centre: clampCentre(centre) };
  const parts = [
    ...(arms === null ? [] : [splitBet(arms, tolerance)]),
    ...(pairs === null ? [] : [pairedBet(pairs, SAME_SHARE)]),
  ];
  return advance(process, sumIncrements(parts), weighing);
}

/** The same of all that is not of the class. */
function without({ arms, pairs }: ClassCounts): ClassCounts {
  return {
    arms: arms === null ? null : { candidate: restOf(arms.candidate), stable: restOf(arms.stable) },
    pairs:
      pairs === null
        ? null
        : {
            ...pairs,
            onlyCandidateBad: pairs.onlyStableBad,
            onlyStableBad: pairs.onlyCandidateBad,
            bothBad: pairs.pairs - pairs.onlyCandidateBad - pairs.onlyStableBad - pairs.bothBad,
          },
  };
}

function restOf({ requests, bad }: JudgedArms["stable"]): JudgedArms["stable"] {
  return { requests, bad: requests - bad };
}

/** What stable predicted. */
function outputsOfStable({ arms, pairs }: Compared): ArmCounts["outputs"] {
  const outputs = new Map<string, number>();
  for (const [, stable, times] of pairs?.outputs ?? [])
    outputs.set(stable, (outputs.get(stable) ?? 0) + times);
  return addOutputs(arms?.stable.outputs ?? {}, Object.fromEntries(outputs));
}

/** The test after one more interval. */
export function observeDrift(
  state: DriftTestState,
  compared: Compared,
  {
    horizon,
    dispersion,
    over,
  }: {
    readonly horizon: number;
    readonly dispersion: "auto" | number;
    readonly over: number;
  },
): DriftTestState {
  const { classes } = state;
  const { arms, pairs } = compared;
  if (arms === null && pairs === null) return state;
  if (classes === null) {
    const gathered = addOutputs(state.gathered, outputsOfStable(compared));
    const frozen = freezeClasses(gathered, [], dispersion);
    return {
      classes: frozen,
      gathered: frozen === null ? gathered : {},
      ...startProcesses(frozen, horizon),
    };
  }
  const byPairs = pairs === null ? null : classPairs(classes, pairs.outputs);
  const counts = classes.map((one, at): ClassCounts => ({
    arms: arms === null ? null : armsOfClass(one, arms, classes),
    pairs: byPairs?.[at] ?? null,
  }));
  const next = (process: EProcess, at: number, direction: "higher" | "lower"): EProcess => {
    const [own, one] = [counts[at], classes[at]];
    if (own === undefined || one === undefined) return process;
    const weighing = { dispersion: one.dispersion, over };
    return direction === "higher"
      ? compare(process, own, one.share, weighing)
      : compare(process, without(own), 1 - one.share, weighing);
  };
  return {
    ...state,
    higher: state.higher.map((process, at) => next(process, at, "higher")),
    lower: state.lower.map((process, at) => process && next(process, at, "lower")),
  };
}

/** ln of the evidence that the candidate predicts another distribution. */
export function driftLogE({ higher, lower }: DriftTestState): number {
  return averageOf([...higher, ...lower.filter((one) => one !== null)]);
}

function armsOfClass(
  one: OutputClass,
  { candidate, stable }: Arms,
  classes: readonly OutputClass[],
): JudgedArms {
  const of = ({ outputs }: ArmCounts): JudgedArms["stable"] => ({
    requests: totalOutputs(outputs),
    bad: countOutputs(one, outputs, classes),
  });
  return { candidate: of(candidate), stable: of(stable) };
}

/** What both predicted of each class, out of all their predictions. */
export function countClasses(
  classes: readonly OutputClass[],
  { arms, pairs }: Compared,
): readonly JudgedArms[] {
  const byPairs = pairs === null ? [] : classPairs(classes, pairs.outputs);
  return classes.map((one, at) => {
    const own =
      arms === null ? { candidate: NOTHING, stable: NOTHING } : armsOfClass(one, arms, classes);
    const more = byPairs[at];
    return more === undefined ? own : addArms(own, pairArms(more));
  });
}

/** Where the class is whose share differs most; null of nothing. */
export function mostShifted(counts: readonly JudgedArms[]): number | null {
  let most: number | null = null;
  let largest = -1;
  counts.forEach(({ candidate, stable }, at) => {
    if (candidate.requests === 0 || stable.requests === 0) return;
    const shift = Math.abs(candidate.bad / candidate.requests - stable.bad / stable.requests);
    if (shift <= largest) return;
    largest = shift;
    most = at;
  });
  return most;
}
