import { sampleRatioMismatch } from "../evidence/index.ts";
import type { ArmCounts, Interval } from "./interval.ts";

/** A mismatch that chance explains less often than this makes the comparison invalid. */
const MISMATCH_ALPHA = 0.001;

/** Whether requests reach the arms in the shares that were asked for. Plain JSON. */
export interface SplitCheck {
  /** ln of the e-value of the shares before this one. */
  readonly closed: number;
  /** The candidate's share that counts now; null before the first. */
  readonly share: number | null;
  readonly candidate: number;
  readonly stable: number;
  /** ln of the e-value now. */
  readonly logE: number;
  /** Set once, for good. */
  readonly mismatched: boolean;
}

/** Before the first interval. */
export const NO_SPLIT: SplitCheck = {
  closed: 0,
  share: null,
  candidate: 0,
  stable: 0,
  logE: 0,
  mismatched: false,
};

/** All that the split assigned, whatever became of it. */
const assigned = ({ requests, violations, aborted, shed }: ArmCounts): number =>
  requests + violations + aborted + shed;

/** The check after one more interval; one whose split is nobody's chance (sticky keys) is left out. */
export function checkSplit(
  before: SplitCheck,
  { candidateShare: share, candidate, stable }: Interval,
): SplitCheck {
  if (share === null || share <= 0 || share >= 1) return before;
  // Several gateways tell of splits of their own: what was asked of all of them is the share.
  const same = before.share === share;
  const candidates = (same ? before.candidate : 0) + assigned(candidate);
  const stables = (same ? before.stable : 0) + assigned(stable);
  const closed = same ? before.closed : before.logE;
  const logE =
    candidates + stables === 0
      ? closed
      : closed + sampleRatioMismatch([candidates, stables], [share, 1 - share]);
  return {
    closed,
    share,
    candidate: candidates,
    stable: stables,
    logE,
    mismatched: before.mismatched || logE >= -Math.log(MISMATCH_ALPHA),
  };
}
