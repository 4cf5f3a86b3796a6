import { type Activity, type Held, bakeLeft } from "./state.ts";

type Baking = Extract<Activity, { phase: "Baking" }>;

/** Whether nothing can be learned of the candidate: a source is broken, both fail alike, or no requests come. */
function teachesNothing({ cause }: Held): boolean {
  return /^(broken|outage|silent)/.test(cause);
}

/** The bake with its clock reckoned at `now`: it stands while nothing is learned, or a person paused it. */
export function bakeClock(activity: Baking, now: number): Baking {
  const { rollout, switching, standing } = activity;
  const isHeld = standing.held !== null && teachesNothing(standing.held);
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
