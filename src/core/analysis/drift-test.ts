import { splitBet, type EProcess } from "../evidence/index.ts";
import type { Tolerance } from "../policy/index.ts";
import { addOutputs, type ArmCounts } from "./interval.ts";
import { clampCentre, type JudgedArms } from "./judged.ts";
import { countOutputs, freezeClasses, totalOutputs, type OutputClass } from "./output-class.ts";
import { advance, averageOf, startRegression, type Weighing } from "./process.ts";

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

function compare(
  process: EProcess,
  arms: JudgedArms,
  centre: number,
  weighing: Weighing,
): EProcess {
  const increments = splitBet(arms, { ...SAME_SHARE, centre: clampCentre(centre) });
  return advance(process, increments, weighing);
}

function without({ candidate, stable }: JudgedArms): JudgedArms {
  return {
    candidate: { requests: candidate.requests, bad: candidate.requests - candidate.bad },
    stable: { requests: stable.requests, bad: stable.requests - stable.bad },
  };
}

/** The test after one more interval; null: an arm has nothing to compare. */
export function observeDrift(
  state: DriftTestState,
  arms: { readonly candidate: ArmCounts; readonly stable: ArmCounts } | null,
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
  if (arms === null) return state;
  if (classes === null) {
    const gathered = addOutputs(state.gathered, arms.stable.outputs);
    const frozen = freezeClasses(gathered, [], dispersion);
    return {
      classes: frozen,
      gathered: frozen === null ? gathered : {},
      ...startProcesses(frozen, horizon),
    };
  }
  const counts = countClasses(classes, arms);
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

/** What both arms predicted of each class, out of all their predictions. */
export function countClasses(
  classes: readonly OutputClass[],
  { candidate, stable }: { readonly candidate: ArmCounts; readonly stable: ArmCounts },
): readonly JudgedArms[] {
  const candidates = totalOutputs(candidate.outputs);
  const stables = totalOutputs(stable.outputs);
  return classes.map((one) => ({
    candidate: { requests: candidates, bad: countOutputs(one, candidate.outputs, classes) },
    stable: { requests: stables, bad: countOutputs(one, stable.outputs, classes) },
  }));
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
