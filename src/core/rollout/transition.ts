import {
  progressed,
  promoteAtRest,
  promoteBaking,
  promoteCanary,
  setWeight,
  tookOver,
} from "./advance.ts";
import { returned, returnFailed } from "./arrive.ts";
import { assessed } from "./assess.ts";
import {
  abort,
  abortPreparing,
  attach,
  onTheWayBack,
  rollbackAtRest,
  rollbackNow,
} from "./back.ts";
import { pause, resume, tick } from "./clock.ts";
import { deployAtRest, deployDuring, preparationFailed, prepared } from "./deploy.ts";
import type { Effect } from "./effect.ts";
import type { EndpointEvent, EventType } from "./event.ts";
import { forwardFailed } from "./forward-failed.ts";
import { failedElsewhere, markAtRest, markDuring, markOnTheWayBack } from "./mark.ts";
import { overridden } from "./override.ts";
import { pin, unpin } from "./pin.ts";
import { applyPolicy } from "./policy.ts";
import { reinstate } from "./reinstate.ts";
import { remembering, repeated } from "./repeat.ts";
import type { EndpointState, Phase } from "./state.ts";
import { ignored, label, refuse, type EventOf, type StateIn, type Step } from "./step.ts";
import { retried, stillWanted } from "./wanted.ts";

type Handler<P extends Phase, E extends EventType> = (
  state: StateIn<P>,
  event: EventOf<E>,
  now: number,
) => Step;

/** Every phase answers every event: a new one of either does not compile until it is thought of. */
type Table = { readonly [P in Phase]: { readonly [E in EventType]: Handler<P, E> } };

function noRollout(state: EndpointState): never {
  return refuse("rollout.none", `no rollout is under way at ${state.identity.name}`, {
    hint: "`lastgood status` shows what serves; `lastgood deploy` starts a rollout",
  });
}

function stillPreparing(state: StateIn<"Preparing">): never {
  return refuse(
    "rollout.phase",
    `${label(state, state.activity.rollout.candidate)} is being prepared and has no traffic yet`,
    { hint: "`lastgood rollout abort` ends it; what serves now is untouched" },
  );
}

function joinRollback(state: StateIn<"RollingBack">, event: EventOf<"rollback">): Step {
  const { operation, actor, reason, keepStatus, named, choice } = event;
  const sequence = named ? (choice.targets[0]?.version.sequence ?? null) : null;
  return attach(state, { operation, actor, reason, sequence, keepStatus });
}

function bakingHasNoWeight(state: StateIn<"Baking">): never {
  return refuse(
    "rollout.phase",
    `${label(state, state.activity.rollout.candidate)} carries all traffic already`,
    { hint: "`lastgood rollback` or `lastgood rollout abort` goes back" },
  );
}

function notDuringRollout(state: EndpointState): never {
  return refuse("reinstate.refused", `a rollout is under way at ${state.identity.name}`, {
    hint: "end it first: `lastgood rollout abort` or `lastgood rollback`",
  });
}

const TABLE: Table = {
  Idle: {
    deploy: deployAtRest,
    rollback: rollbackAtRest,
    reinstate,
    mark: markAtRest,
    setWeight: noRollout,
    promote: promoteAtRest,
    pause: noRollout,
    resume: noRollout,
    abort: noRollout,
    applyPolicy,
    prepared: ignored,
    preparationFailed: ignored,
    switched: ignored,
    switchFailed: ignored,
    overridden,
    failedElsewhere,
    pin,
    unpin,
    assessed: ignored,
    retry: retried,
    tick: ignored,
  },
  Preparing: {
    deploy: deployDuring,
    rollback: stillPreparing,
    reinstate: notDuringRollout,
    mark: markDuring,
    setWeight: stillPreparing,
    promote: stillPreparing,
    pause: stillPreparing,
    resume: stillPreparing,
    abort: abortPreparing,
    applyPolicy,
    prepared,
    preparationFailed,
    switched: ignored,
    switchFailed: ignored,
    overridden,
    failedElsewhere,
    pin,
    unpin,
    assessed: ignored,
    retry: ignored,
    tick: ignored,
  },
  Progressing: {
    deploy: deployDuring,
    rollback: rollbackNow,
    reinstate: notDuringRollout,
    mark: markDuring,
    setWeight,
    promote: promoteCanary,
    pause,
    resume,
    abort,
    applyPolicy,
    prepared: ignored,
    preparationFailed: ignored,
    switched: progressed,
    switchFailed: forwardFailed,
    overridden,
    failedElsewhere,
    pin,
    unpin,
    assessed,
    retry: ignored,
    tick: (state, _event, now) => tick(state, now),
  },
  Baking: {
    deploy: deployDuring,
    rollback: rollbackNow,
    reinstate: notDuringRollout,
    mark: markDuring,
    setWeight: bakingHasNoWeight,
    promote: promoteBaking,
    pause,
    resume,
    abort,
    applyPolicy,
    prepared: ignored,
    preparationFailed: ignored,
    switched: tookOver,
    switchFailed: forwardFailed,
    overridden,
    failedElsewhere,
    pin,
    unpin,
    assessed,
    retry: ignored,
    tick: (state, _event, now) => tick(state, now),
  },
  RollingBack: {
    deploy: onTheWayBack,
    rollback: joinRollback,
    reinstate: onTheWayBack,
    mark: markOnTheWayBack,
    setWeight: onTheWayBack,
    promote: onTheWayBack,
    pause: onTheWayBack,
    resume: onTheWayBack,
    abort: onTheWayBack,
    applyPolicy,
    prepared: ignored,
    preparationFailed: ignored,
    switched: returned,
    switchFailed: returnFailed,
    overridden,
    failedElsewhere,
    pin,
    unpin,
    assessed: ignored,
    retry: ignored,
    tick: ignored,
  },
};

/**
 * What an event does to an endpoint: the new state, what has to be done, what goes into history. A
 * command that was taken before, by its operation, does nothing more. Pure; SPEC.md has the table in
 * words.
 * @throws LastgoodError when a command is refused; the state is then as before.
 */
export function transition(state: EndpointState, event: EndpointEvent, now: number): Step {
  const repeat = "operation" in event ? repeated(state, event.operation) : null;
  if (repeat !== null) return repeat;
  // The table is typed cell by cell; its lookup by two runtime keys is what TypeScript cannot follow.
  const handler = TABLE[state.activity.phase][event.type] as Handler<Phase, EventType>;
  const taken = handler(state, event, now);
  return remembering(state, event, { ...taken, state: stillWanted(taken.state) });
}

/** What a state still waits for: done again after a crash, it changes nothing that was done. */
export function pendingEffects(state: EndpointState): readonly Effect[] {
  const { activity } = state;
  switch (activity.phase) {
    case "Idle":
      return [{ do: "publish" }];
    case "Preparing":
      return [
        {
          do: "prepare",
          rolloutId: activity.rollout.id,
          revision: activity.rollout.candidate,
        },
      ];
    case "Progressing":
    case "Baking":
      return activity.switching === null
        ? [{ do: "publish" }]
        : [
            {
              do: "switch",
              switchId: activity.switching.id,
              verify: activity.rollout.candidate,
            },
          ];
    case "RollingBack":
      return [
        {
          do: "switch",
          switchId: activity.back.switchId,
          verify: activity.back.to.revision ?? 0,
        },
      ];
  }
}
