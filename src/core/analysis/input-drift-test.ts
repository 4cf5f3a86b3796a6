import {
  meanBet,
  populationStability,
  rateConfidenceSequence,
  rejectedByEvidence,
  type ArmCounts as Judged,
  type EProcess,
} from "../evidence/index.ts";
import type { Tolerance } from "../policy/index.ts";
import { binLabel, type ReferenceSet } from "../version/index.ts";
import { addInputs, type Interval } from "./interval.ts";
import { NOTHING } from "./judged.ts";
import { advance, averageLogE, averageOf, MOST_DISPERSION, startRegression } from "./process.ts";
import { addSpread, NO_SPREAD, spreadIndex, type Spread } from "./spread.ts";
import { chanceWords, percent } from "./words.ts";

/** One bin of a feature; frozen. */
interface InputBin {
  readonly label: string;
  /** Of the reference set. */
  readonly share: number;
  /** The largest and the smallest tolerated share; null: no share could be beyond it. */
  readonly most: number | null;
  readonly least: number | null;
}

/** One feature; frozen. */
interface InputFeature {
  readonly name: string;
  readonly bins: readonly InputBin[];
}

/** How inputs are tested against a reference set; frozen. */
export interface InputDriftPlan {
  /** Rows of the reference set. */
  readonly rows: number;
  readonly features: readonly InputFeature[];
}

/** Where the test of one feature stands. */
interface FeatureState {
  /** By bin: its share is higher than tolerated, lower than tolerated. */
  readonly higher: readonly (EProcess | null)[];
  readonly lower: readonly (EProcess | null)[];
  readonly spread: readonly Spread[];
  /** Inputs by bin, of all intervals. */
  readonly counts: readonly number[];
  readonly logE: number;
  readonly maxLogE: number;
}

/** Where the test stands. Plain JSON. */
export interface InputDriftState {
  readonly features: readonly FeatureState[];
  /** Inputs by feature and bin, too few to be looked at yet. */
  readonly waiting: readonly (readonly number[])[];
}

/** What is known of one feature, for display. */
export interface FeatureShift {
  readonly name: string;
  /** The bin whose share differs most from the reference set's. */
  readonly bin: string;
  readonly live: number;
  readonly reference: number;
  /** Population stability index: an effect size, no test. */
  readonly psi: number;
  readonly logE: number;
  /** Named as shifted, so that at most a share `holdAlpha` of those named is not. */
  readonly shifted: boolean;
}

/** Chance that any share of the population is outside of what the reference set's rows tell of it. */
const REFERENCE_ALPHA = 0.01;

/** Inputs come in bursts: so many are one observation of how much they cluster. */
const ROWS_AT_A_TIME = 100;

/** How much inputs are taken to cluster until that is known: callers send their like together. */
const ASSUMED_DISPERSION = 5;

/** Features that are told of. */
const MOST_TOLD = 5;

/** How inputs are tested against the reference set, within what its rows can tell (STATISTICS.md 1.8). */
export function planInputDrift(
  { rows, features }: Pick<ReferenceSet, "rows" | "features">,
  { absolute, relative }: Tolerance,
): InputDriftPlan {
  const bins = features.reduce((sum, { counts }) => sum + counts.length, 0);
  const alpha = REFERENCE_ALPHA / Math.max(1, bins);
  return {
    rows,
    features: features.map((feature) => ({
      name: feature.name,
      bins: feature.counts.map((count, bin) => {
        const { lower, upper } = rateConfidenceSequence({ requests: rows, bad: count }, alpha);
        const most = relative * upper + absolute;
        const least = lower / relative - absolute;
        return {
          label: binLabel(feature.bins, bin),
          share: count / rows,
          most: most < 1 ? most : null,
          least: least > 0 ? least : null,
        };
      }),
    })),
  };
}

/** The test before its first interval. */
export function startInputDrift({ features }: InputDriftPlan, horizon: number): InputDriftState {
  return {
    features: features.map(({ bins }) => ({
      higher: bins.map(({ most }) => (most === null ? null : startRegression(horizon))),
      lower: bins.map(({ least }) => (least === null ? null : startRegression(horizon))),
      spread: bins.map(() => NO_SPREAD),
      counts: bins.map(() => 0),
      logE: 0,
      maxLogE: 0,
    })),
    waiting: [],
  };
}

const sumOf = (counts: readonly number[]): number => counts.reduce((sum, one) => sum + one, 0);

function dispersionIn(spread: Spread, policy: "auto" | number): number {
  if (policy !== "auto") return Math.max(1, policy);
  return Math.min(MOST_DISPERSION, Math.max(1, spreadIndex(spread) ?? ASSUMED_DISPERSION));
}

function observeFeature(
  { bins }: InputFeature,
  before: FeatureState,
  counts: readonly number[],
  { dispersion, over }: { readonly dispersion: "auto" | number; readonly over: number },
): FeatureState {
  const observations = sumOf(counts);
  const next = (
    process: EProcess | null,
    at: number,
    limit: number | null | undefined,
    bad: number,
  ): EProcess | null => {
    if (process === null || limit === null || limit === undefined) return process;
    // What is known of how inputs cluster before these came.
    const known = dispersionIn(before.spread[at] ?? NO_SPREAD, dispersion);
    return advance(process, meanBet({ observations, bad }, limit), { dispersion: known, over });
  };
  const higher = before.higher.map((process, at) =>
    next(process, at, bins[at]?.most, counts[at] ?? 0),
  );
  const lower = before.lower.map((process, at) => {
    const least = bins[at]?.least ?? null;
    return next(process, at, least === null ? null : 1 - least, observations - (counts[at] ?? 0));
  });
  const logE = averageOf([...higher, ...lower].filter((one) => one !== null));
  return {
    higher,
    lower,
    spread: before.spread.map((spread, at) =>
      addSpread(spread, { requests: observations, bad: counts[at] ?? 0 }),
    ),
    counts: before.counts.map((count, at) => count + (counts[at] ?? 0)),
    logE,
    maxLogE: Math.max(before.maxLogE, logE),
  };
}

/** Counts of another reference set than the plan's say nothing. */
function fits({ features }: InputDriftPlan, inputs: readonly (readonly number[])[]): boolean {
  return (
    inputs.length === features.length &&
    features.every(({ bins }, at) => inputs[at]?.length === bins.length)
  );
}

/** The test after one more interval: what both arms were asked, for the inputs are the endpoint's. */
export function observeInputDrift(
  plan: InputDriftPlan,
  before: InputDriftState,
  { candidate, stable }: Pick<Interval, "candidate" | "stable">,
  step: { readonly dispersion: "auto" | number; readonly over: number },
): InputDriftState {
  let waiting = before.waiting.map((bins) => [...bins]);
  for (const { inputs } of [candidate, stable])
    if (fits(plan, inputs)) waiting = addInputs(waiting, inputs);
  if (sumOf(waiting[0] ?? []) < ROWS_AT_A_TIME) return { ...before, waiting };
  return {
    features: before.features.map((state, at) => {
      const feature = plan.features[at];
      return feature === undefined
        ? state
        : observeFeature(feature, state, waiting[at] ?? [], step);
    }),
    waiting: [],
  };
}

/** ln of the evidence that inputs are beyond what is tolerated of the reference set. */
export function inputDriftLogE({ features }: InputDriftState): number {
  return averageLogE(features.map(({ logE }) => logE));
}

function mostShiftedBin(shares: readonly number[], bins: readonly InputBin[]): number {
  let most = 0;
  const shift = (at: number): number => Math.abs((shares[at] ?? 0) - (bins[at]?.share ?? 0));
  for (const at of bins.keys()) if (shift(at) > shift(most)) most = at;
  return most;
}

/** The features with the most evidence, the most first; empty while nothing was seen. */
export function shiftedFeatures(
  plan: InputDriftPlan,
  { features }: InputDriftState,
  holdAlpha: number,
): readonly FeatureShift[] {
  const named = new Set(
    rejectedByEvidence(
      features.map(({ maxLogE }) => maxLogE),
      holdAlpha,
    ),
  );
  return plan.features
    .flatMap(({ name, bins }, at) => {
      const state = features[at];
      const rows = sumOf(state?.counts ?? []);
      if (state === undefined || rows === 0) return [];
      const shares = state.counts.map((count) => count / rows);
      const bin = mostShiftedBin(shares, bins);
      return [
        {
          name,
          bin: bins[bin]?.label ?? "",
          live: shares[bin] ?? 0,
          reference: bins[bin]?.share ?? 0,
          psi: populationStability(
            shares,
            bins.map(({ share }) => share),
          ),
          logE: state.maxLogE,
          shifted: named.has(at),
        },
      ];
    })
    .toSorted((a, b) => b.logE - a.logE || b.psi - a.psi)
    .slice(0, MOST_TOLD);
}

/** Inputs seen so far, and those in the bin that shifted most. */
export function inputsSeen(plan: InputDriftPlan, { features }: InputDriftState): Judged {
  let most = 0;
  for (const [at, { maxLogE }] of features.entries())
    if (maxLogE > (features[most]?.maxLogE ?? 0)) most = at;
  const counts = features[most]?.counts ?? [];
  const requests = sumOf(counts);
  if (requests === 0) return NOTHING;
  const bin = mostShiftedBin(
    counts.map((count) => count / requests),
    plan.features[most]?.bins ?? [],
  );
  return { requests, bad: counts[bin] ?? 0 };
}

const shiftWords = ({ name, bin, live, reference, psi }: FeatureShift): string =>
  `${name} ${bin}: ${percent(live)} of inputs, reference ${percent(reference)} (PSI ${Number(psi.toPrecision(2))})`;

/** The shift in words: the features that are named, else the one with the most evidence. */
export function inputDriftWords(shifts: readonly FeatureShift[], maxLogE: number): string {
  const [first] = shifts;
  if (first === undefined) return "too few inputs yet";
  const named = shifts.filter(({ shifted }) => shifted);
  const told = named.length > 0 ? named : [first];
  return `${told.map(shiftWords).join(", ")}: ${chanceWords(maxLogE)}`;
}
