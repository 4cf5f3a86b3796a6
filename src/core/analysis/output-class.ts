import type { PairCounts as JudgedPairs } from "../evidence/index.ts";
import { binValue, type ArmCounts, type PairCounts } from "./interval.ts";
import { ENOUGH_TO_FREEZE } from "./judged.ts";
import { dispersionOf } from "./process.ts";

type Outputs = ArmCounts["outputs"];

/** Classes (or ranges, of numeric predictions) of a distribution; frozen before they are used. */
export interface OutputClass {
  /** Null: everything that is none of the others. */
  readonly name: string | null;
  /** Of numbers: the bins from one on and up to another one, which is not in it; null: without end. */
  readonly range?: { readonly from: number | null; readonly to: number | null };
  /** Stable's share of it, as known beforehand. */
  readonly share: number;
  readonly dispersion: number;
}

/** What tells a class from the others. */
type Bounds = Pick<OutputClass, "name" | "range">;

/** The most frequent classes that are tested one by one. */
const MOST_CLASSES = 20;
/** Numbers are cut at the quantiles of what stable predicted. */
const MOST_RANGES = 16;

/** How many predictions there are. */
export function totalOutputs(outputs: Outputs): number {
  let sum = 0;
  for (const times of Object.values(outputs)) sum += times;
  return sum;
}

function inRange(outputs: Outputs, { from, to }: NonNullable<OutputClass["range"]>): number {
  let sum = 0;
  for (const [label, times] of Object.entries(outputs)) {
    const value = binValue(label);
    if (value === null || (from !== null && value < from) || (to !== null && value >= to)) continue;
    sum += times;
  }
  return sum;
}

/** How many of a class, by the names of all others. */
export function countOutputs(one: Bounds, outputs: Outputs, classes: readonly Bounds[]): number {
  const { name, range } = one;
  if (range !== undefined) return inRange(outputs, range);
  if (name !== null) return Object.hasOwn(outputs, name) ? (outputs[name] ?? 0) : 0;
  let rest = totalOutputs(outputs);
  for (const other of classes)
    if (other.name !== null && other.range === undefined)
      rest -= countOutputs(other, outputs, classes);
  return rest;
}

/** By class: of pairs of predictions, those of which the one, the other or both are of it. */
export function classPairs(
  classes: readonly Bounds[],
  joint: PairCounts["outputs"],
): readonly JudgedPairs[] {
  // Labels come again and again, and telling their classes costs more than counting.
  const known = new Map<string, readonly boolean[]>();
  const classesOf = (label: string): readonly boolean[] => {
    let own = known.get(label);
    if (own === undefined) {
      own = classes.map((one) => countOutputs(one, { [label]: 1 }, classes) > 0);
      known.set(label, own);
    }
    return own;
  };
  const counts = classes.map(() => ({
    pairs: 0,
    onlyCandidateBad: 0,
    onlyStableBad: 0,
    bothBad: 0,
  }));
  for (const [candidate, stable, times] of joint) {
    const [ours, theirs] = [classesOf(candidate), classesOf(stable)];
    counts.forEach((own, at) => {
      own.pairs += times;
      if (ours[at] === true && theirs[at] === true) own.bothBad += times;
      else if (ours[at] === true) own.onlyCandidateBad += times;
      else if (theirs[at] === true) own.onlyStableBad += times;
    });
  }
  return counts;
}

/** The bins at which numbers are cut into ranges of about equal shares; null where they are no numbers. */
function cutsOf(gathered: Outputs): readonly number[] | null {
  const bins: { value: number; times: number }[] = [];
  for (const [label, times] of Object.entries(gathered)) {
    const value = binValue(label);
    if (value !== null) bins.push({ value, times });
    else if (label !== "other") return null;
  }
  bins.sort((a, b) => a.value - b.value);
  const size = bins.reduce((sum, { times }) => sum + times, 0);
  const cuts: number[] = [];
  let below = 0;
  for (const { value, times } of bins) {
    if (below > 0 && below >= ((cuts.length + 1) * size) / MOST_RANGES) cuts.push(value);
    below += times;
  }
  return bins.length === 0 ? null : cuts;
}

const shown = (cut: number): string => String(Number(cut.toPrecision(3)));

/**
 * Ranges and, as shifts of numbers are mostly of all of them, everything above each cut: one sees a
 * change of the shape, the other one of the place (STATISTICS.md 1.8).
 */
function rangesOf(cuts: readonly number[]): readonly Bounds[] {
  const ends = [null, ...cuts, null];
  const ranges = ends.slice(1).map((to, at): Bounds => {
    const from = ends[at] ?? null;
    if (from === null)
      return { name: to === null ? "any number" : `below ~${shown(to)}`, range: { from, to } };
    const name = to === null ? `~${shown(from)} and above` : `~${shown(from)} to ~${shown(to)}`;
    return { name, range: { from, to } };
  });
  const above = cuts
    .slice(0, -1)
    .map((from): Bounds => ({ name: `~${shown(from)} and above`, range: { from, to: null } }));
  return [...ranges, ...above];
}

/**
 * The classes of a distribution, from what stable predicted; null while that is not enough.
 * `intervals` are those of stable alone, if there are any.
 */
export function freezeClasses(
  gathered: Outputs,
  intervals: readonly Outputs[],
  dispersion: "auto" | number,
): readonly OutputClass[] | null {
  const size = totalOutputs(gathered);
  if (size < ENOUGH_TO_FREEZE) return null;
  const cuts = cutsOf(gathered);
  const named = Object.entries(gathered)
    .toSorted(([a, timesA], [b, timesB]) => timesB - timesA || (a < b ? -1 : 1))
    .slice(0, MOST_CLASSES)
    .map(([name]): Bounds => ({ name }));
  const classes = cuts === null ? [...named, { name: null }] : rangesOf(cuts);
  return classes.map((one) => ({
    ...one,
    share: countOutputs(one, gathered, classes) / size,
    dispersion: dispersionOf(
      dispersion,
      intervals.map((outputs) => ({
        requests: totalOutputs(outputs),
        bad: countOutputs(one, outputs, classes),
      })),
    ),
  }));
}
