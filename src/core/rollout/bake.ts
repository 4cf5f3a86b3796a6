import { sourceAlarm } from "./held.ts";
import { type Activity, bakeLeft } from "./state.ts";

type Baking = Extract<Activity, { phase: "Baking" }>;

/** The bake with its clock reckoned at `now`: it stands while nothing is learned, or a person paused it. */
export function bakeClock(activity: Baking, now: number): Baking {
  const { rollout, switching, standing } = activity;
  const isHeld = standing.held !== null && sourceAlarm(standing.held) !== null;
  const stands = rollout.pause !== null || switching !== null || isHeld;
  return {
    ...activity,
    remainingMs: bakeLeft(activity, now) ?? rollout.bakeMs,
    runningSince: stands ? null : now,
  };
}

/** Whether the bake was over at that time, ms since 1970, and nothing speaks against its end. */
export function isBaked(activity: Activity, at: number): boolean {
  return (
    activity.phase === "Baking" &&
    activity.switching === null &&
    activity.rollout.pause === null &&
    activity.standing.held === null &&
    bakeLeft(activity, at) === 0
  );
}
