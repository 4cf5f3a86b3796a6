import { succeed } from "./advance.ts";
import { bakeClock, isBaked } from "./bake.ts";
import { isSwitchDue, verifiedAgain } from "./forward-failed.ts";
import {
  type Activity,
  type EndpointState,
  type Pause,
  type Rollout,
  type Standing,
  rolloutOf,
  stepElapsed,
} from "./state.ts";
import { type EventOf, type StateIn, type Step, doing, ignored, settle, step } from "./step.ts";

/** pause: stops the clock, never protection; ends by itself after 24 h unless told otherwise. */
export function pause(
  state: StateIn<"Progressing"> | StateIn<"Baking">,
  event: EventOf<"pause">,
  now: number,
): Step {
  const forMs = event.forMs ?? 24 * 3_600_000;
  const rollout: Rollout = {
    ...state.activity.rollout,
    pause: { by: event.actor, why: event.reason, since: now, until: now + forMs },
  };
  return steered(state, rollout, event, {
    kind: "rollout.paused",
    done: "the rollout is paused",
    now,
  });
}

/** resume: the clock runs again. */
export function resume(
  state: StateIn<"Progressing"> | StateIn<"Baking">,
  event: EventOf<"resume">,
  now: number,
): Step {
  const rollout: Rollout = { ...state.activity.rollout, pause: null };
  return steered(state, rollout, event, {
    kind: "rollout.resumed",
    done: "the rollout goes on",
    now,
  });
}

/** The state with its rollout paused, where one is under way. */
export function paused(state: EndpointState, by: Pause): EndpointState {
  const { activity } = state;
  if (activity.phase !== "Progressing" && activity.phase !== "Baking") return state;
  return doing(state, withClock(state, { ...activity.rollout, pause: by }, by.since));
}

function withClock(state: EndpointState, rollout: Rollout, now: number): Activity {
  const { activity } = state;
  if (activity.phase !== "Progressing" && activity.phase !== "Baking") return activity;
  const standing = afterPause(activity, rollout.pause, now);
  if (activity.phase === "Baking") return bakeClock({ ...activity, rollout, standing }, now);
  const stands = rollout.pause !== null || activity.switching !== null;
  const elapsedMs = stepElapsed(activity.step, now);
  return {
    ...activity,
    rollout,
    standing,
    step: { ...activity.step, elapsedMs, runningSince: stands ? null : now },
  };
}

/** What counts up to the policy's deadline stood still while the rollout was paused. */
function afterPause(
  { standing, rollout }: Extract<Activity, { phase: "Progressing" | "Baking" }>,
  next: Pause | null,
  now: number,
): Standing {
  const ended = next === null ? rollout.pause : null;
  if (ended === null) return standing;
  const later = (since: number): number => since + Math.max(0, now - Math.max(since, ended.since));
  const { held, overdueSince } = standing;
  return {
    ...standing,
    held: held === null ? null : { ...held, since: later(held.since) },
    overdueSince: overdueSince === null ? null : later(overdueSince),
  };
}

function steered(
  state: EndpointState,
  rollout: Rollout,
  event: { readonly operation: string; readonly actor: string; readonly reason: string | null },
  as: { readonly kind: string; readonly done: string; readonly now: number },
): Step {
  return step(
    doing(state, withClock(state, rollout, as.now)),
    settle(event.operation, { ok: true, did: "steered", done: as.done }),
    [
      {
        kind: as.kind,
        actor: event.actor,
        reason: event.reason,
        data: { rollout: rollout.id, until: rollout.pause?.until ?? null },
      },
    ],
  );
}

/** Where nothing served before there is nothing to judge by: the clock alone ends such a bake. */
function endsByClock(activity: Activity, now: number): boolean {
  return activity.phase === "Baking" && activity.rollout.from === null && isBaked(activity, now);
}

/** Whether a tick would change anything. */
export function isTickDue(state: EndpointState, now: number): boolean {
  const { activity } = state;
  const pauseOver = now >= (rolloutOf(state)?.pause?.until ?? Infinity);
  return pauseOver || endsByClock(activity, now) || isSwitchDue(activity, now);
}

/** The clock went on: pauses end, bakes of which nothing is judged end, what an outage held is verified again. */
export function tick(state: EndpointState, now: number): Step {
  const rollout = rolloutOf(state);
  const { activity } = state;
  if (rollout === null || (activity.phase !== "Progressing" && activity.phase !== "Baking"))
    return ignored(state);
  if (isSwitchDue(activity, now)) return verifiedAgain(state, now);
  if (rollout.pause !== null) {
    if (rollout.pause.until === null || now < rollout.pause.until) return ignored(state);
    const going: Rollout = { ...rollout, pause: null };
    return step(
      doing(state, withClock(state, going, now)),
      [],
      [
        {
          kind: "rollout.resumed",
          actor: "lastgood",
          reason: "the pause was over",
          data: { rollout: rollout.id },
        },
      ],
    );
  }
  if (endsByClock(activity, now))
    return succeed(state, rollout, { actor: "lastgood", reason: null, now });
  return ignored(state);
}
