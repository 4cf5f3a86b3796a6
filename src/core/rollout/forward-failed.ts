import { LastgoodError } from "../errors/index.ts";
import { wentBack } from "./automatic.ts";
import { beginReturn } from "./back.ts";
import type { HistoryRecord } from "./effect.ts";
import { failedAgain, failedFirst, isRetryDue, MOST_OUTAGE_WAIT_MS } from "./retry.ts";
import type { Activity, EndpointState, Rollout, Switching } from "./state.ts";
import {
  type EventOf,
  type StateIn,
  type Step,
  ended,
  ignored,
  judged,
  label,
  revisionFacts,
  settle,
  step,
} from "./step.ts";

/** The way forward could be verified after all. */
export function outageOver(rollout: Rollout, { outage }: Switching): readonly HistoryRecord[] {
  if (outage === null) return [];
  return [
    {
      kind: "rollout.released",
      actor: "lastgood",
      reason: `no longer held: ${outage.why}`,
      data: { rollout: rollout.id },
    },
  ];
}

/**
 * Stable failed the verification that the candidate failed: a common outage judges nobody. The switch
 * waits, and is verified again until stable answers; whoever waits for it is told.
 */
function waitsOutOutage(
  state: StateIn<"Progressing"> | StateIn<"Baking">,
  seen: { readonly switching: Switching; readonly outage: string; readonly error: LastgoodError },
  now: number,
): Step {
  const { rollout } = state.activity;
  const { switching, outage, error } = seen;
  const from = label(state, rollout.from);
  const why = `an outage: ${label(state, rollout.candidate)} could not be verified (${error.message}), and neither could ${from} (${outage})`;
  const known = switching.outage;
  const waiting = {
    ...switching,
    operation: null,
    outage: { ...(known ?? failedFirst(now)), why },
  };
  const next = { ...state, activity: { ...state.activity, switching: waiting } };
  if (known !== null) return step(next);
  const message = `${state.identity.name}: ${why}`;
  const undecided = new LastgoodError(
    "wait.undecided",
    `${message}; the rollout is held and goes on by itself once ${from} answers`,
    {
      hint: "`lastgood rollout status` shows it; `lastgood rollout abort` or `lastgood rollback` ends it",
    },
  );
  return step(
    next,
    [
      { do: "alarm", code: "rollout.outage", message },
      ...settle(switching.operation, { ok: false, error: undecided }),
    ],
    [
      {
        kind: "rollout.held",
        actor: "lastgood",
        reason: why,
        data: {
          rollout: rollout.id,
          to: revisionFacts(state, rollout.candidate),
          cause: "outage while switching",
        },
      },
    ],
  );
}

/** Whether a switch that waits for the end of an outage is to be verified again. */
export function isSwitchDue(activity: Activity, now: number): boolean {
  if (activity.phase !== "Progressing" && activity.phase !== "Baking") return false;
  const outage = activity.switching?.outage ?? null;
  return outage !== null && isRetryDue(outage, now);
}

/** The switch that waits for the end of an outage is verified again. */
export function verifiedAgain(state: EndpointState, now: number): Step {
  const { activity } = state;
  if (activity.phase !== "Progressing" && activity.phase !== "Baking") return ignored(state);
  const { switching, rollout } = activity;
  const outage = switching?.outage ?? null;
  if (switching === null || outage === null) return ignored(state);
  const again = { ...switching, outage: failedAgain(outage, now, MOST_OUTAGE_WAIT_MS) };
  return step({ ...state, activity: { ...activity, switching: again } }, [
    { do: "switch", switchId: switching.id, verify: rollout.candidate },
  ]);
}

/** A way forward could not be verified: back to what served before, or to nothing where nothing did. */
export function forwardFailed(
  state: StateIn<"Progressing"> | StateIn<"Baking">,
  event: EventOf<"switchFailed">,
  now: number,
): Step {
  const { rollout, switching } = state.activity;
  if (switching?.id !== event.switchId) return ignored(state);
  if (event.outage !== null)
    return waitsOutOutage(state, { switching, outage: event.outage, error: event.error }, now);
  if (rollout.from === null || event.choice.targets.length === 0) {
    const next = {
      ...ended(judged(state, rollout.candidate, "rejected", event.error.message), rollout, {
        phase: "Rejected",
        reason: event.error.message,
        now,
      }),
      current: rollout.from,
    };
    return step(
      next,
      [{ do: "publish" }, ...settle(switching.operation, { ok: false, error: event.error })],
      [
        {
          kind: "rollout.rejected",
          actor: "lastgood",
          reason: event.error.message,
          data: { rollout: rollout.id, to: revisionFacts(state, rollout.candidate) },
        },
      ],
    );
  }
  const begun = beginReturn(state, {
    id: `${rollout.id}:revert`,
    kind: "revert",
    operation: switching.operation,
    choice: event.choice,
    trigger: "health",
    actor: "lastgood",
    reason: event.error.message,
    keepStatus: false,
    failure: event.error.toBody(),
    now,
  });
  return { ...begun, state: wentBack(begun.state, now) };
}
