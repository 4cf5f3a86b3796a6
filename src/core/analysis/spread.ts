import type { ArmCounts as Judged } from "../evidence/index.ts";
import { NOTHING } from "./judged.ts";
import { ENOUGH_FOR_DISPERSION } from "./process.ts";

/** Sums over intervals, from which Pearson's index of dispersion follows. */
export interface Spread extends Judged {
  readonly intervals: number;
  /** Of bad² / requests. */
  readonly squares: number;
}

/** From how many intervals, and bad events in them, it can be told how much these cluster. */
interface Enough {
  readonly intervals: number;
  readonly bad: number;
}

const ENOUGH: Enough = { intervals: 30, bad: ENOUGH_FOR_DISPERSION };

/** No interval yet. */
export const NO_SPREAD: Spread = { ...NOTHING, intervals: 0, squares: 0 };

/** The index of dispersion, or null while too little is known. */
export function spreadIndex(
  { intervals, requests, bad, squares }: Spread,
  enough: Enough = ENOUGH,
): number | null {
  if (intervals < enough.intervals || bad < enough.bad || bad === requests) return null;
  const rate = bad / requests;
  return (squares - bad * rate) / (rate * (1 - rate)) / (intervals - 1);
}

/** With one more interval. */
export function addSpread(spread: Spread, { requests, bad }: Judged): Spread {
  if (requests === 0) return spread;
  return {
    intervals: spread.intervals + 1,
    requests: spread.requests + requests,
    bad: spread.bad + bad,
    squares: spread.squares + (bad * bad) / requests,
  };
}
