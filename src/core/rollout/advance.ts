import { versionLabel } from "../version/index.ts";
import { bakeClock } from "./bake.ts";
import { type Effect, type HistoryRecord } from "./effect.ts";
import { outageOver } from "./forward-failed.ts";
import {
  type Activity,
  type EndpointState,
  type Measured,
  type Rollout,
  type Switching,
  type WantedReturn,
  NO_STANDING,
  revisionOf,
  stepsOf,
} from "./state.ts";
import {
  type EventOf,
  type StateIn,
  type Step,
  amended,
  doing,
  ended,
  ignored,
  judged,
  label,
  refuse,
  revisionFacts,
  settle,
  step,
} from "./step.ts";

/** @throws `rollout.weight` unless it is a whole or broken percentage between 1 and 99. */
export function checkWeight(weight: number): number {
  if (weight >= 1 && weight <= 99) return weight;
  return refuse("rollout.weight", `a weight of ${weight} % is not a share of the traffic`, {
    hint: "1 to 99 is accepted; 0 is what `rollout abort` does, 100 what `rollout promote --full` does, and `rollout pause` stops advancing",
  });
}

/** The candidate carries all traffic; its bake has not begun. */
export function takeover(
  rollout: Rollout,
  switching: Extract<Activity, { phase: "Baking" }>["switching"],
): Extract<Activity, { phase: "Baking" }> {
  return {
    phase: "Baking",
    rollout,
    remainingMs: rollout.bakeMs,
    runningSince: null,
    standing: NO_STANDING,
    switching,
  };
}

type Progressing = Extract<Activity, { phase: "Progressing" }>;

/** The candidate is loaded and gets what the first step says. */
export function firstStep(rollout: Rollout, switching: Progressing["switching"]): Progressing {
  return atStep({ rollout, index: 0, weight: 0, switching });
}

/** A rollout at the beginning of one of its steps; `weight` is what the candidate carried before it. */
function atStep(at: {
  readonly rollout: Rollout;
  readonly index: number;
  readonly weight: number;
  readonly switching: Progressing["switching"];
}): Progressing {
  const { rollout, index, switching } = at;
  const entering = stepsOf(rollout)[index];
  return {
    phase: "Progressing",
    rollout,
    weight: entering?.kind === "weight" ? entering.percent : at.weight,
    step: { index, elapsedMs: 0, runningSince: null, entered: null },
    standing: NO_STANDING,
    switching,
  };
}

/** What the next switch of a rollout is known by. */
function nextSwitch(
  state: EndpointState,
  rollout: Rollout,
  by: { readonly operation: string | null; readonly done: string | null },
): Switching {
  return { id: `${rollout.id}:${state.changes}`, ...by, outage: null };
}

/** How people name what a step does. */
function stepWords(state: EndpointState, activity: Progressing): string {
  const { rollout, weight, step: at } = activity;
  const candidate = label(state, rollout.candidate);
  const entering = stepsOf(rollout)[at.index];
  switch (entering?.kind) {
    case "mirror":
      return `${entering.percent} % of the traffic is mirrored to ${candidate}`;
    case "pause":
      return `the rollout of ${candidate} waits`;
    case "analysis":
      return `${candidate} is being analysed at ${weight} %`;
    case "weight":
    case undefined:
      return `${candidate} carries ${weight} % of the traffic`;
  }
}

/**
 * The rollout goes on: to its step `index`, or to all traffic where there is none. `operation` is who
 * waits for it.
 */
export function advanceTo(
  state: StateIn<"Progressing">,
  index: number,
  by: { readonly operation: string | null; readonly actor: string; readonly reason: string | null },
): Step {
  const { rollout, weight } = state.activity;
  const hasStep = index < stepsOf(rollout).length;
  const planned = hasStep
    ? atStep({ rollout, index, weight, switching: null })
    : takeover(rollout, null);
  const done =
    planned.phase === "Progressing"
      ? stepWords(state, planned)
      : `${label(state, rollout.candidate)} carries all traffic`;
  const switching = nextSwitch(state, rollout, { operation: by.operation, done });
  return step(
    doing(state, { ...planned, switching }),
    [{ do: "switch", switchId: switching.id, verify: rollout.candidate }],
    [
      {
        kind: hasStep ? "rollout.advanced" : "rollout.promoted",
        actor: by.actor,
        reason: by.reason,
        data: {
          rollout: rollout.id,
          to: revisionFacts(state, rollout.candidate),
          ...(hasStep ? { step: index } : {}),
        },
      },
    ],
  );
}

function switchReport(
  state: EndpointState,
  rollout: Rollout,
  measured: Measured,
): Readonly<Record<string, unknown>> {
  return { rollout: rollout.id, to: revisionFacts(state, rollout.candidate), ...measured };
}

function answer(
  switching: { readonly operation: string | null; readonly done: string | null },
  rollout: Rollout,
  measured: Measured,
): readonly Effect[] {
  return settle(
    switching.operation,
    switching.done === null
      ? { ok: true, did: "deployed", rollout, measured }
      : { ok: true, did: "steered", done: switching.done },
  );
}

/** The canary carries its share, verified. */
export function progressed(
  state: StateIn<"Progressing">,
  event: EventOf<"switched">,
  now: number,
): Step {
  const { rollout, switching, weight, step: at } = state.activity;
  if (switching?.id !== event.switchId) return ignored(state);
  const runningSince = rollout.pause === null ? now : null;
  const next = doing(state, {
    ...state.activity,
    switching: null,
    step: { ...at, runningSince },
  });
  return step(next, answer(switching, rollout, event.measured), [
    ...outageOver(rollout, switching),
    {
      kind: "rollout.weight.changed",
      actor: rollout.actor,
      reason: null,
      data: { ...switchReport(state, rollout, event.measured), weight },
    },
  ]);
}

/** The candidate carries all traffic, verified: the bake begins, or is over where it has none. */
export function tookOver(state: StateIn<"Baking">, event: EventOf<"switched">, now: number): Step {
  const { rollout, switching } = state.activity;
  if (switching?.id !== event.switchId) return ignored(state);
  const carried = amended(
    judged(state, rollout.candidate, "provisional", null),
    rollout.candidate,
    {
      carriedAllAt: now,
    },
  );
  const baking = doing(
    { ...carried, current: rollout.candidate },
    bakeClock({ ...state.activity, switching: null }, now),
  );
  const record: HistoryRecord = {
    kind: "rollout.baking",
    actor: rollout.actor,
    reason: null,
    data: { ...switchReport(state, rollout, event.measured), bakeMs: rollout.bakeMs },
  };
  const told = answer(switching, rollout, event.measured);
  const over = outageOver(rollout, switching);
  if (rollout.bakeMs > 0) return step(baking, told, [...over, record]);
  const done = succeed(baking, rollout, { actor: rollout.actor, reason: null, now });
  return {
    state: done.state,
    effects: [...done.effects, ...told],
    history: [...over, record, ...done.history],
  };
}

/** The bake is over: the candidate is stable. */
export function succeed(
  state: EndpointState,
  rollout: Rollout,
  by: { readonly actor: string; readonly reason: string | null; readonly now: number },
): Step {
  const stable = amended(judged(state, rollout.candidate, "stable", by.reason), rollout.candidate, {
    stableAt: by.now,
  });
  const revision = revisionOf(stable, rollout.candidate);
  const next = {
    ...ended(stable, rollout, { phase: "Succeeded", reason: by.reason, now: by.now }),
    current: rollout.candidate,
    alarms: [],
  };
  // Staging proves nothing for production.
  const judge: readonly Effect[] =
    revision === undefined || state.identity.environment !== "production"
      ? []
      : [
          {
            do: "judge",
            sequence: revision.version.sequence,
            status: "stable",
            reason: `revision ${rollout.candidate} of ${state.identity.name} became stable`,
          },
        ];
  return step(
    next,
    [...judge, { do: "publish" }],
    [
      {
        kind: "rollout.succeeded",
        actor: by.actor,
        reason: by.reason,
        data: { rollout: rollout.id, to: revisionFacts(next, rollout.candidate) },
      },
    ],
  );
}

/** set-weight in a canary. */
export function setWeight(state: StateIn<"Progressing">, event: EventOf<"setWeight">): Step {
  const { rollout } = state.activity;
  const weight = checkWeight(event.weight);
  notWhileSwitching(state);
  if (rollout.strategy !== "canary")
    refuse("rollout.weight", `a ${rollout.strategy} rollout has no weights`, {
      hint: "`lastgood rollout promote` gives the candidate all traffic",
    });
  const switching = nextSwitch(state, rollout, {
    operation: event.operation,
    done: `${label(state, rollout.candidate)} carries ${weight} % of the traffic`,
  });
  const { index } = state.activity.step;
  const taking: Progressing = {
    ...state.activity,
    weight,
    step: { index, elapsedMs: 0, runningSince: null, entered: null },
    standing: NO_STANDING,
    switching,
  };
  return step(doing(state, taking), [
    { do: "switch", switchId: switching.id, verify: rollout.candidate },
  ]);
}

function notWhileSwitching(state: StateIn<"Progressing"> | StateIn<"Baking">): void {
  const { switching } = state.activity;
  if (switching === null) return;
  if (switching.outage !== null)
    refuse("rollout.phase", `${state.identity.name} is held: ${switching.outage.why}`, {
      hint: "it goes on by itself; `lastgood rollout abort` or `lastgood rollback` ends the rollout",
    });
  refuse("rollout.phase", `${state.identity.name} is switching right now`, {
    hint: "it takes milliseconds: type the command again",
  });
}

/** promote before the bake: the next step, or all traffic where there is none or `full` is asked for. */
export function promoteCanary(state: StateIn<"Progressing">, event: EventOf<"promote">): Step {
  notWhileSwitching(state);
  const { operation, actor, reason } = event;
  const next = event.full ? Infinity : state.activity.step.index + 1;
  return advanceTo(state, next, { operation, actor, reason });
}

/** What the person who promoted a baking candidate, or one that was to be left, is told. */
function isStableNow(
  state: EndpointState,
  rollout: Rollout,
  event: EventOf<"promote">,
  by: { readonly done: string; readonly now: number },
): Step {
  const { actor, reason, operation } = event;
  const done = succeed(state, rollout, { actor, reason, now: by.now });
  const told = settle(operation, { ok: true, did: "steered", done: by.done });
  return { ...done, effects: [...done.effects, ...told] };
}

/** promote where a way back is wanted: a person says that what serves is good. */
function promoteInstead(
  state: StateIn<"Idle">,
  { rollout }: WantedReturn,
  event: EventOf<"promote">,
  now: number,
): Step {
  const done = `${label(state, rollout.candidate)} is stable, and no rollback is wanted any more`;
  return isStableNow(state, rollout, event, { done, now });
}

/** promote during the bake ends it. */
export function promoteBaking(
  state: StateIn<"Baking">,
  event: EventOf<"promote">,
  now: number,
): Step {
  notWhileSwitching(state);
  const { rollout } = state.activity;
  const done = `the bake of ${label(state, rollout.candidate)} is over: it is stable`;
  return isStableNow(state, rollout, event, { done, now });
}

/** promote at rest: fine when there is nothing left to promote. */
export function promoteAtRest(
  state: StateIn<"Idle">,
  event: EventOf<"promote">,
  now: number,
): Step {
  if (state.wanted !== null) return promoteInstead(state, state.wanted, event, now);
  const current = revisionOf(state, state.current);
  if (current?.status === "stable")
    return step(
      state,
      settle(event.operation, {
        ok: true,
        did: "steered",
        done: `${versionLabel(current.version)} is already stable`,
      }),
    );
  return refuse("rollout.none", `no rollout is under way at ${state.identity.name}`, {
    hint: "start one with `lastgood deploy`",
  });
}
