import type { OutputValue } from "../../core/tensor/index.ts";
import { goldenDifference } from "../../core/version/index.ts";
import type { Watch } from "../../link/route/index.ts";
import { classesOf } from "./prediction.ts";

/** When two answers to one input are different answers. */
export type DisagreementTerms = NonNullable<Watch["disagreement"]>;

/** Where the policy says nothing: another class, or a number that is off by more than 5 %. */
export const USUAL_TERMS: DisagreementTerms = { by: "class", relative: 0.05, absolute: 1e-6 };

/**
 * Whether the candidate answered something else than stable. By class that is another class in any
 * row, whatever the scores behind it: those of a version that was trained anew always differ. Answers
 * without classes, and all of them by value, differ where a number is beyond the tolerance or a text
 * is another one. What stable does not give is not compared.
 */
export function disagree(
  stable: readonly OutputValue[],
  candidate: readonly OutputValue[],
  { by, ...tolerance }: DisagreementTerms,
): boolean {
  const theirs = by === "class" ? classesOf(stable) : null;
  if (theirs === null) return goldenDifference(stable, candidate, tolerance) !== null;
  const given = new Set(stable.map(({ name }) => name));
  const ours = classesOf(candidate.filter(({ name }) => given.has(name)));
  return (
    ours === null || ours.length !== theirs.length || theirs.some((one, row) => one !== ours[row])
  );
}
