import { LastgoodError } from "../errors/index.ts";

/** What one version did in one interval. */
export interface ArmCounts {
  /** Requests that were judged, a whole number. */
  readonly requests: number;
  /**
   * Those of them that were bad, at most `requests`. Fractions where losses in [0, 1] are summed: the
   * logarithm is concave, so a sum of losses adds no more evidence than the losses one by one would.
   */
  readonly bad: number;
}

/** What both versions did in one interval. */
export interface SplitCounts {
  readonly candidate: ArmCounts;
  readonly stable: ArmCounts;
}

/** The refusal of numbers that no test can be made of. */
export function invalidEvidence(message: string, hint: string): LastgoodError {
  return new LastgoodError("evidence.invalid", message, { hint });
}

/** @throws `evidence.invalid` unless it is a whole number from 0 to 2^53 - 1. */
export function checkCount(name: string, count: number): void {
  if (!Number.isSafeInteger(count) || count < 0)
    throw invalidEvidence(`${name} is ${count}`, "counts are whole numbers from 0 to 2^53 - 1");
}

/** @throws `evidence.invalid` for no count, a negative sum of losses, or a larger one than there are. */
export function checkShare(name: string, of: string, total: number, bad: number): void {
  checkCount(of, total);
  checkRange(name, bad, { least: 0, most: Infinity, withLeast: true });
  if (bad > total)
    throw invalidEvidence(`${name} is ${bad}, ${of} only ${total}`, `${name} is at most ${of}`);
}

/** @throws `evidence.invalid` for counts that cannot be. */
export function checkArm(name: string, { requests, bad }: ArmCounts): void {
  checkShare(`${name}.bad`, `${name}.requests`, requests, bad);
}

/** Where a setting may lie. */
export interface Range {
  readonly least: number;
  readonly most: number;
  /** @default false */
  readonly withLeast?: boolean;
  /** @default false */
  readonly withMost?: boolean;
}

/** Above 0 and below 1. */
export const OPEN_UNIT: Range = { least: 0, most: 1 };

/** From 0, and below 1. */
export const HALF_OPEN_UNIT: Range = { least: 0, most: 1, withLeast: true };

/** @throws `evidence.invalid` for a setting outside its range, or no number. */
export function checkRange(name: string, value: number, range: Range): void {
  const { least, most, withLeast = false, withMost = false } = range;
  const high = withLeast ? value >= least : value > least;
  const low = withMost ? value <= most : value < most;
  if (high && low) return;
  const bounds = `${withLeast ? "[" : "("}${least}, ${most}${withMost ? "]" : ")"}`;
  throw invalidEvidence(`${name} is ${value}`, `${name} lies in ${bounds}`);
}

/** @throws `evidence.invalid` for Infinity and NaN. */
export function checkFinite(name: string, value: number): void {
  if (!Number.isFinite(value))
    throw invalidEvidence(`${name} is ${value}`, `${name} is a finite number`);
}
