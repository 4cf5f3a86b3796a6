import type { Revision, RevisionStatus } from "../endpoint/index.ts";
import { versionLabel } from "../version/index.ts";
import { attach, onTheWayBack, rollbackNow } from "./back.ts";
import { paused } from "./clock.ts";
import type { Effect, HistoryRecord } from "./effect.ts";
import { revisionOf, rolloutOf, type EndpointState } from "./state.ts";
import {
  amended,
  judged,
  label,
  refuse,
  revisionFacts,
  settle,
  step,
  type EventOf,
  type StateIn,
  type Step,
} from "./step.ts";

interface Verdict {
  readonly revision: Revision;
  readonly became: RevisionStatus;
}

/** What each revision of the marked version becomes; those it says nothing new about are left out. */
function verdicts(state: EndpointState, event: EventOf<"mark">): readonly Verdict[] {
  const rolledOut = rolloutOf(state)?.candidate;
  return state.revisions
    .filter((revision) => revision.version.sequence === event.sequence)
    .flatMap((revision): readonly Verdict[] => {
      const { status } = revision;
      switch (event.status) {
        case "failed":
          return status === "stable" || status === "provisional"
            ? [{ revision, became: "failed" }]
            : [];
        case "stable": {
          const resting = status === "provisional" && revision.revision !== rolledOut;
          return status === "failed" || resting ? [{ revision, became: "stable" }] : [];
        }
        case "pending": {
          const became = revision.carriedAllAt === null ? "aborted" : "provisional";
          return status === "failed" ? [{ revision, became }] : [];
        }
      }
    });
}

function candidateIsMeant(state: EndpointState, event: EventOf<"mark">): boolean {
  const candidate = revisionOf(state, rolloutOf(state)?.candidate ?? null);
  return event.status === "failed" && candidate?.version.sequence === event.sequence;
}

function judgedBy(state: EndpointState, event: EventOf<"mark">, now: number): EndpointState {
  return verdicts(state, event).reduce((each, { revision, became }) => {
    const next = judged(each, revision.revision, became, event.reason);
    return became === "stable"
      ? amended(next, revision.revision, { stableAt: revision.stableAt ?? now })
      : next;
  }, state);
}

interface Role {
  readonly message: string;
  /** Code of the alarm to raise, or null. */
  readonly alarm: string | null;
  /** Whether a rollout under way has to wait: it has lost its way back. */
  readonly holds: boolean;
}

/** What the verdict means at this endpoint (DESIGN.md section 7): the rule of the version's role. */
function roleOf(state: EndpointState, event: EventOf<"mark">): Role | null {
  const { name } = state.identity;
  const meant = verdicts(state, event);
  const target = event.choice.targets[0];
  if (
    event.status === "failed" &&
    meant.some(({ revision }) => revision.revision === state.current)
  )
    return {
      message: `${label(state, state.current)} serves ${name} and was marked failed: no traffic moved; type \`lastgood rollback ${name}\``,
      alarm: "revision.failed.serving",
      holds: false,
    };
  if (event.status === "failed" && target?.version.sequence === event.sequence) {
    const next = event.choice.targets.find((each) => each.version.sequence !== event.sequence);
    const was = `${versionLabel(target.version)} is no longer what a rollback of ${name} goes to`;
    return next === undefined
      ? { message: `${was}, and nothing else is proven`, alarm: "target.none", holds: true }
      : {
          message: `${was}: it is ${versionLabel(next.version)} now`,
          alarm: null,
          holds: false,
        };
  }
  if (meant.length === 0) return null;
  const numbers = meant.map(({ revision }) => revision.revision).join(", ");
  return {
    message: `revision ${numbers} of ${name} is ${meant[0]?.became} now`,
    alarm: null,
    holds: false,
  };
}

/** A person's verdict while nothing of it is being rolled out: it changes what a rollback may take. */
export function markAtRest(state: EndpointState, event: EventOf<"mark">, now: number): Step {
  const role = roleOf(state, event);
  if (role === null)
    return step(state, settle(event.operation, { ok: true, did: "steered", done: "" }));
  const next = judgedBy(state, event, now);
  const history: HistoryRecord[] = verdicts(state, event).map(({ revision, became }) => ({
    kind: "revision.marked",
    actor: event.actor,
    reason: event.reason,
    data: { ...revisionFacts(state, revision.revision), status: became, was: revision.status },
  }));
  const alarm: readonly Effect[] =
    role.alarm === null ? [] : [{ do: "alarm", code: role.alarm, message: role.message }];
  const told = role.alarm === null ? next : { ...next, alarms: [...next.alarms, role.message] };
  return step(
    role.holds
      ? paused(told, { by: "lastgood", why: role.message, since: now, until: null })
      : told,
    [
      { do: "publish" },
      ...alarm,
      ...settle(event.operation, { ok: true, did: "steered", done: role.message }),
    ],
    history,
  );
}

/** A person's verdict during a rollout: on the candidate `failed` is a rollback. */
export function markDuring(state: EndpointState, event: EventOf<"mark">, now: number): Step {
  if (!candidateIsMeant(state, event)) return markAtRest(state, event, now);
  if (state.activity.phase === "Preparing")
    return refuse(
      "rollout.phase",
      `${label(state, state.activity.rollout.candidate)} is being prepared at ${state.identity.name}`,
      { hint: "end its rollout first: `lastgood rollout abort`" },
    );
  return rollbackNow(
    state,
    {
      type: "rollback",
      operation: event.operation,
      actor: event.actor,
      reason: event.reason,
      rollbackId: event.rollbackId,
      trigger: "manual",
      choice: event.choice,
      named: false,
      again: false,
      keepStatus: false,
    },
    now,
  );
}

/** A person's verdict on the way back: `failed` on what is being left is what the rollback says too. */
export function markOnTheWayBack(
  state: StateIn<"RollingBack">,
  event: EventOf<"mark">,
  now: number,
): Step {
  const { back } = state.activity;
  if (event.status !== "failed") return markAtRest(state, event, now);
  if (back.to.version.sequence === event.sequence) return onTheWayBack(state);
  if (revisionOf(state, back.from)?.version.sequence !== event.sequence)
    return markAtRest(state, event, now);
  const { operation, actor, reason } = event;
  return attach(state, { operation, actor, reason, sequence: null, keepStatus: false });
}

/** A version that is trusted here failed at another endpoint: an alarm, and no traffic moves. */
export function failedElsewhere(state: EndpointState, event: EventOf<"failedElsewhere">): Step {
  const trusted = state.revisions.findLast(
    (revision) =>
      revision.version.sequence === event.sequence &&
      ["stable", "provisional", "candidate"].includes(revision.status),
  );
  if (trusted === undefined) return step(state);
  const version = label(state, trusted.revision);
  const message = `${version} failed at ${event.endpoint}; ${state.identity.name} still counts on it (revision ${trusted.revision}): no traffic moved`;
  return step(
    state,
    [{ do: "publish" }, { do: "alarm", code: "version.failed.elsewhere", message }],
    [
      {
        kind: "version.failed.elsewhere",
        actor: "lastgood",
        reason: event.reason,
        data: { ...revisionFacts(state, trusted.revision), failedAt: event.endpoint },
      },
    ],
  );
}
