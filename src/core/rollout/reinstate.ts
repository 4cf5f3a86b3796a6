import type { Revision } from "../endpoint/index.ts";
import { beginReturn } from "./back.ts";
import type { Effect } from "./effect.ts";
import {
  bakeLeft,
  NO_STANDING,
  resumable,
  revisionOf,
  type Activity,
  type EndpointState,
  type RollbackRecord,
} from "./state.ts";
import {
  doing,
  ignored,
  label,
  refuse,
  revisionFacts,
  settle,
  step,
  type EventOf,
  type StateIn,
  type Step,
} from "./step.ts";

/** reinstate: takes the last rollback back, as long as nothing came later. */
export function reinstate(state: StateIn<"Idle">, event: EventOf<"reinstate">, now: number): Step {
  const last = state.lastRollback;
  if (last === null || (event.rollback !== null && event.rollback !== last.id))
    return refuse(
      "rollback.not-found",
      `${state.identity.name} has no such rollback to take back`,
      {
        hint: "`lastgood history` lists them; only the last one can be taken back",
      },
    );
  if (last.kind === "reinstate")
    return refuse(
      "reinstate.refused",
      `${state.identity.name}: its last rollback was taken back already, it has ${label(state, last.to)} again`,
      { hint: `\`lastgood rollback ${state.identity.name}\` goes back once more` },
    );
  if (last.changesAfter !== state.changes)
    return refuse("reinstate.refused", `${state.identity.name} was changed after that rollback`, {
      hint: `deploy the version again: \`lastgood deploy ${state.identity.model}@${label(state, last.from)} --to ${state.identity.name} --force\``,
    });
  if ("unproven" in event.target)
    return refuse(
      "target.unproven",
      `${label(state, last.from)} could not be proven: ${event.target.unproven}`,
      { hint: "`lastgood doctor` shows what is wrong with it" },
    );
  return beginReturn(state, {
    id: event.rollbackId,
    kind: "reinstate",
    operation: event.operation,
    choice: { targets: [event.target], passedOver: [] },
    trigger: "manual",
    actor: event.actor,
    reason: event.reason,
    keepStatus: true,
    failure: null,
    now,
  });
}

/** What the endpoint was doing before the rollback, with its clock set going again. */
function resumed(undone: RollbackRecord, now: number): Activity {
  const activity = resumable(undone);
  if (activity === null) return { phase: "Idle" };
  const paused = activity.rollout.pause !== null;
  // What was held against it is taken back with the rollback: its evidence begins anew.
  const { restarts } = activity.rollout;
  const rollout = { ...activity.rollout, restarts: restarts + 1 };
  if (activity.phase === "Progressing") {
    const { index } = activity.step;
    const at = { index, elapsedMs: 0, runningSince: paused ? null : now, entered: null };
    return { ...activity, rollout, step: at, standing: NO_STANDING, switching: null };
  }
  return {
    ...activity,
    rollout,
    standing: NO_STANDING,
    switching: null,
    remainingMs: bakeLeft(activity, undone.at) ?? activity.rollout.bakeMs,
    runningSince: paused ? null : now,
  };
}

/** The statuses as they were; a candidate whose rollout does not go on stays what it became. */
function restored(
  state: EndpointState,
  undone: RollbackRecord,
  activity: Activity,
  now: number,
): readonly Revision[] {
  const statuses = new Map(undone.before.statuses.map((entry) => [entry.revision, entry]));
  const candidate = activity.phase === "Idle" ? null : undone.from;
  return state.revisions.map((revision) => {
    const entry = statuses.get(revision.revision);
    if (entry === undefined) return revision;
    if (entry.status !== "candidate")
      return { ...revision, status: entry.status, reason: entry.reason };
    if (revision.revision !== candidate) return revision;
    // It was rolled back on its way to all traffic, and carries all of it now.
    return activity.phase === "Baking"
      ? { ...revision, status: "provisional", reason: null, carriedAllAt: now }
      : { ...revision, status: "candidate", reason: entry.reason };
  });
}

/** What the registry is told: the verdict that the rollback gave is taken back. */
function verdictTakenBack(
  state: EndpointState,
  next: EndpointState,
  undone: RollbackRecord,
  reason: string | null,
): readonly Effect[] {
  const failed = revisionOf(state, undone.from);
  const left = revisionOf(next, undone.from);
  const to = revisionOf(state, undone.to);
  if (failed?.status !== "failed" || left === undefined || left.status === "failed") return [];
  if (!left.changedVersion || left.version.sequence === to?.version.sequence) return [];
  const wasStable = left.status === "stable" && state.identity.environment === "production";
  return [
    {
      do: "judge",
      sequence: left.version.sequence,
      status: wasStable ? "stable" : "pending",
      reason,
    },
  ];
}

/** The way forth is verified: everything is as it was before the rollback. */
export function reinstated(
  state: StateIn<"RollingBack">,
  measured: RollbackRecord,
  now: number,
): Step {
  const { back } = state.activity;
  const undone = state.lastRollback;
  if (undone === null) return ignored(state);
  const activity = resumed(undone, now);
  const next = doing(
    {
      ...state,
      current: activity.phase === "Progressing" ? undone.before.current : back.to.revision,
      revisions: restored(state, undone, activity, now),
      lastRollout: activity.phase === "Idle" ? state.lastRollout : null,
    },
    activity,
  );
  const record = { ...measured, changesAfter: next.changes };
  return step(
    { ...next, lastRollback: record },
    [
      ...verdictTakenBack(state, next, undone, back.reason),
      { do: "publish" },
      ...settle(back.operation, { ok: true, did: "returned", record, already: false }),
    ],
    [
      {
        kind: "rollback.reinstated",
        actor: back.actor,
        reason: back.reason,
        data: {
          rollback: undone.id,
          from: revisionFacts(state, back.from),
          to: revisionFacts(state, back.to.revision),
          ...measured.measured,
        },
      },
    ],
  );
}
