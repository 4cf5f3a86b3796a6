import type { RolloutStep } from "../policy/index.ts";
import { bakeLeft, stepElapsed, stepsOf, type Activity, type Rollout } from "./state.ts";

/** What a step takes by its clock, ms; 0 where a person ends it. */
function plannedOf(step: RolloutStep, byHand: boolean): number {
  if (byHand) return 0;
  return step.kind === "pause" ? (step.forMs ?? 0) : step.until.timeMs;
}

function wholeOf(rollout: Rollout, from: number): number {
  const steps = stepsOf(rollout).slice(from);
  return steps.reduce((sum, step) => sum + plannedOf(step, rollout.byHand), rollout.bakeMs);
}

/**
 * Left of the rollout under way by its plan, steps and bake together, ms: the least it takes from
 * `now` unless it is promoted early. What only requests or a person can end counts for nothing; 0
 * where nothing is planned any more.
 */
export function plannedLeft(activity: Activity, now: number): number {
  switch (activity.phase) {
    case "Preparing":
      return wholeOf(activity.rollout, 0);
    case "Progressing": {
      const { rollout, step: at } = activity;
      const step = stepsOf(rollout)[at.index];
      const inStep = step === undefined ? 0 : plannedOf(step, rollout.byHand);
      return Math.max(0, inStep - stepElapsed(at, now)) + wholeOf(rollout, at.index + 1);
    }
    case "Baking":
      return bakeLeft(activity, now) ?? 0;
    case "Idle":
    case "RollingBack":
      return 0;
  }
}
