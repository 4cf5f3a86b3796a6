import type {
  EndpointIdentity,
  Revision,
  RevisionStatus,
  Strategy,
  Trigger,
} from "../endpoint/index.ts";
import type { ErrorBody, PassedOver } from "../errors/index.ts";
import type { Policy, RolloutStep } from "../policy/index.ts";
import type { Target } from "../target/index.ts";
import type { Retry } from "./retry.ts";

/** A share of the traffic. */
export interface Arm {
  readonly revision: number;
  /** Percent. */
  readonly weight: number;
}

/** What a switch was measured to have done; times are ms after the command was read. */
export interface Measured {
  readonly switchMs: number;
  readonly lastOldAdmittedMs: number | null;
  readonly lastOldResponseMs: number | null;
  readonly failedRequests: number;
  readonly verified: boolean;
  readonly durable: boolean;
}

/** Why a rollout does not advance, until when. */
export interface Pause {
  readonly by: string;
  readonly why: string | null;
  /** ms since 1970. */
  readonly since: number;
  /** ms since 1970, or null for no end. */
  readonly until: number | null;
}

/** The transition from a stable revision to a candidate. */
export interface Rollout {
  readonly id: string;
  readonly strategy: Strategy;
  /** What served before; null for an endpoint's first revision. */
  readonly from: number | null;
  readonly candidate: number;
  /** As it was when the rollout started; a change is for the next one. */
  readonly policy: Policy;
  readonly bakeMs: number;
  /** A canary whose steps a person takes; it is watched all the same. */
  readonly byHand: boolean;
  /** Times that its evidence was begun anew, because a person took a rollback of it back. */
  readonly restarts: number;
  readonly startedAt: number;
  readonly actor: string;
  readonly reason: string | null;
  readonly pause: Pause | null;
}

/** How far a rollout had come by its evidence. */
export interface Progress {
  /** Requests that the candidate was assigned so far. */
  readonly candidate: number;
  /** Requests that both revisions answered so far. */
  readonly pairs: number;
}

/** Why the evidence keeps a rollout from advancing. */
export interface Held {
  readonly why: string;
  /** ms since 1970; a pause moves it by its length, since the policy's deadline counts from here. */
  readonly since: number;
  /** What holds, without its numbers: while it stays the same, nothing new is told. */
  readonly cause: string;
}

/** How a rollout stands by its evidence. */
export interface Standing {
  readonly held: Held | null;
  /** Since when it could have advanced by its clock and had not enough evidence to, without pauses, or null. */
  readonly overdueSince: number | null;
  /** When a person was last told that it stays undecided, or null. */
  readonly undecidedAt: number | null;
  /** The policy goes back at the deadline: what keeps it from that, as it was told; else null. */
  readonly refused: Refused | null;
  /** When a person was last told that no requests came, or null: where few do, that is no news each time. */
  readonly silenceToldAt: number | null;
  /** When a person was told of what the evidence proposes; null or absent: not, or it was taken back. */
  readonly proposalToldAt?: number | null;
}

/** Why a rollout does not go back by itself. */
export interface Refused {
  readonly why: string;
  /** The code under which it is told: while it stays the same, nothing new is. */
  readonly cause: string;
}

/** One step of a rollout. */
export interface StepProgress {
  /** Index in the rollout's steps. */
  readonly index: number;
  /** The step's clock when it was last reckoned, ms. */
  readonly elapsedMs: number;
  /** When that was; null while the clock stands (switching or paused). */
  readonly runningSince: number | null;
  /** What the evidence had come to when the step began; null until that is known. */
  readonly entered: Progress | null;
}

/** Automatic rollback is off until then. */
export interface Pin {
  readonly by: string;
  readonly why: string;
  readonly since: number;
  readonly until: number;
}

/** A switch of the split that has been decided and is not reported done yet. */
export interface Switching {
  readonly id: string;
  /** Who waits for it; null when the machine decided it itself. */
  readonly operation: string | null;
  /** What a steering command is answered with; null when a deploy waits. */
  readonly done: string | null;
  /** Set while it cannot be verified because what served before fails as well. */
  readonly outage: Outage | null;
}

/** Stable fails what the candidate fails: it says nothing of the candidate, and is tried again. */
export interface Outage extends Retry {
  readonly why: string;
}

/** A way back that has been decided and is not reported done yet. */
export interface Return {
  readonly id: string;
  readonly operation: string | null;
  /** Who asked for the same way back while it was under way, and waits for it too. */
  readonly attached: readonly string[];
  readonly kind: "rollback" | "abort" | "revert" | "reinstate";
  readonly from: number;
  /** What is tried now; `tried` failed their verification before. */
  readonly to: Target;
  readonly tried: readonly string[];
  readonly remaining: readonly Target[];
  readonly passedOver: readonly PassedOver[];
  readonly trigger: Trigger;
  readonly actor: string;
  readonly reason: string | null;
  readonly startedAt: number;
  readonly keepStatus: boolean;
  readonly switchId: string;
  /** A `revert`: why the way forward failed. */
  readonly failure: ErrorBody | null;
  /** What the endpoint was doing, for a later reinstate. */
  readonly before: BeforeReturn;
}

/** What a rollback changed, so that it can be taken back. */
export interface BeforeReturn {
  readonly activity: Activity;
  readonly current: number | null;
  readonly statuses: readonly {
    readonly revision: number;
    readonly status: RevisionStatus;
    readonly reason: string | null;
  }[];
}

/** A way back that is wanted, and that no target could be verified for yet: it is tried again. */
export interface WantedReturn extends Retry {
  /** Of the rollback that failed first. */
  readonly id: string;
  /** What is to be left; it serves meanwhile. */
  readonly from: number;
  /** The rollout that ended with it. */
  readonly rollout: Rollout;
  readonly trigger: Trigger;
  readonly reason: string | null;
  /** What the last try failed of. */
  readonly why: string;
  /** What the endpoint was doing, for a later reinstate. */
  readonly before: BeforeReturn;
}

/** What an endpoint is doing; each phase has only its own fields. */
export type Activity =
  | { readonly phase: "Idle" }
  | { readonly phase: "Preparing"; readonly rollout: Rollout; readonly operation: string | null }
  | {
      readonly phase: "Progressing";
      readonly rollout: Rollout;
      /** Percent of the traffic the candidate is to carry; 0 while it is only prepared or mirrored to. */
      readonly weight: number;
      readonly step: StepProgress;
      readonly standing: Standing;
      readonly switching: Switching | null;
    }
  | {
      readonly phase: "Baking";
      readonly rollout: Rollout;
      /** Bake left when it was last reckoned, ms. */
      readonly remainingMs: number;
      /** When that was; null while the clock stands (switching, paused, or nothing is learned). */
      readonly runningSince: number | null;
      readonly standing: Standing;
      readonly switching: Switching | null;
    }
  | { readonly phase: "RollingBack"; readonly rollout: Rollout | null; readonly back: Return };

/** How a rollout ended. */
export type EndPhase = "Succeeded" | "RolledBack" | "Aborted" | "Rejected" | "NoTarget";

/** A rollout that is over. */
export interface EndedRollout {
  readonly rollout: Rollout;
  readonly phase: EndPhase;
  readonly endedAt: number;
  readonly reason: string | null;
}

/** What whoever waits for a rollback is told. */
export interface RollbackDone {
  readonly id: string;
  readonly kind: "rollback" | "abort" | "revert" | "reinstate";
  readonly from: number;
  readonly to: number;
  readonly why: string;
  readonly warm: boolean;
  readonly passedOver: readonly PassedOver[];
  readonly trigger: Trigger;
  readonly actor: string;
  readonly reason: string | null;
  readonly at: number;
  readonly via: "api" | "gateway";
  readonly measured: Measured;
}

/** A rollback that was reported done. */
export interface RollbackRecord extends RollbackDone {
  readonly before: BeforeReturn;
  /** `changes` of the endpoint right after it: equal as long as nothing came later. */
  readonly changesAfter: number;
}

/** What a command came to, as a repetition of it is told. */
export type CameTo =
  | {
      readonly ok: true;
      readonly did: "deployed" | "unchanged";
      /** Id of its rollout. */
      readonly rollout: string | null;
      readonly measured: Measured | null;
    }
  | { readonly ok: true; readonly did: "steered"; readonly done: string }
  | {
      readonly ok: true;
      readonly did: "returned";
      readonly record: RollbackDone;
      readonly already: boolean;
    }
  | { readonly ok: false; readonly error: ErrorBody };

/** A command that has changed something and is over: it is not done again. */
export interface Applied {
  readonly operation: string;
  readonly came: CameTo;
}

/** Everything that is decided about an endpoint. Plain data. */
export interface EndpointState {
  readonly identity: EndpointIdentity;
  readonly createdAt: number;
  /** What was applied last, for the rollouts to come; null: the defaults. */
  readonly policy: Policy | null;
  /** Ascending by number. */
  readonly revisions: readonly Revision[];
  /** What carries all traffic, or in a canary the trusted side; null before the first has taken over. */
  readonly current: number | null;
  readonly activity: Activity;
  readonly lastRollout: EndedRollout | null;
  readonly lastRollback: RollbackRecord | null;
  /** Set while a way back that the machine decided waits for a target that can be verified. */
  readonly wanted: WantedReturn | null;
  /** Rises with everything that changes what is served or judged. */
  readonly changes: number;
  /** Ids of the newest overrides taken in, at most 32. */
  readonly acknowledged: readonly string[];
  readonly alarms: readonly string[];
  /** Set while a person keeps the endpoint from going back by itself. */
  readonly pin: Pin | null;
  /** When the newest rollbacks that nobody asked for were decided, ms since 1970, ascending, at most 32. */
  readonly automatic: readonly number[];
  /** The newest commands that are over, at most 32; absent before the first. */
  readonly applied?: readonly Applied[];
}

/** The phase of an endpoint's activity. */
export type Phase = Activity["phase"];

/** An endpoint that serves nothing yet. */
export function newEndpoint(identity: EndpointIdentity, now: number): EndpointState {
  return {
    identity,
    createdAt: now,
    policy: null,
    revisions: [],
    current: null,
    activity: { phase: "Idle" },
    lastRollout: null,
    lastRollback: null,
    wanted: null,
    changes: 0,
    acknowledged: [],
    alarms: [],
    pin: null,
    automatic: [],
  };
}

/** A rollout about whose evidence nothing is known yet. */
export const NO_STANDING: Standing = {
  held: null,
  overdueSince: null,
  undecidedAt: null,
  refused: null,
  silenceToldAt: null,
};

/** Whether a person keeps the endpoint from going back by itself. */
export function isPinned(state: EndpointState, now: number): boolean {
  return state.pin !== null && now < state.pin.until;
}

/** The steps before the candidate carries all traffic. */
export function stepsOf({ policy, from }: Rollout): readonly RolloutStep[] {
  const { rollout } = policy;
  if (from === null || rollout.strategy === "recreate") return [];
  if (rollout.strategy === "canary" || rollout.promotion === "automatic") return rollout.steps;
  return [...rollout.steps, { kind: "pause", forMs: null }];
}

/** Under which name the evidence of a rollout is stored. */
export function evidenceIdOf({ id, restarts }: Rollout): string {
  return restarts === 0 ? id : `${id}.${restarts}`;
}

/** Percent that stays on the old revision while the candidate bakes. */
function holdbackOf(rollout: Rollout): number {
  const holds = rollout.strategy === "canary" && rollout.from !== null && rollout.bakeMs > 0;
  return holds ? rollout.policy.holdback * 100 : 0;
}

/** What is mirrored for the rollout now: this share of what `of` answers also goes to `to`. */
export interface Mirror {
  readonly of: number;
  readonly to: number;
  readonly percent: number;
}

/** What is mirrored now, or null. */
export function mirrorOf({ activity }: EndpointState): Mirror | null {
  if (activity.phase !== "Progressing" && activity.phase !== "Baking") return null;
  const { from, candidate, strategy, policy } = activity.rollout;
  if (from === null) return null;
  if (activity.phase === "Progressing") {
    const step = stepsOf(activity.rollout)[activity.step.index];
    return step?.kind === "mirror" ? { of: from, to: candidate, percent: step.percent } : null;
  }
  const percent = policy.holdback * 100;
  return strategy === "blueGreen" && percent > 0 ? { of: candidate, to: from, percent } : null;
}

/** The revision with this number, or undefined. */
export function revisionOf(state: EndpointState, number: number | null): Revision | undefined {
  return state.revisions.find((revision) => revision.revision === number);
}

/** The rollout under way, or null. */
export function rolloutOf(state: EndpointState): Rollout | null {
  return state.activity.phase === "Idle" ? null : state.activity.rollout;
}

/** The candidate while it has traffic, else what serves: what a rollback would leave. */
export function leavingRevision(state: EndpointState): Revision | undefined {
  const { activity } = state;
  const candidate =
    activity.phase === "Progressing" || activity.phase === "Baking"
      ? activity.rollout.candidate
      : state.current;
  return revisionOf(state, candidate);
}

/**
 * What the endpoint promises: the signature of what serves (in a rollout: of what it started from)
 * once that was stable, until then of the stable revision before it, of the first one while there is
 * none. Null while nothing was ever served.
 */
export function contractOf(state: EndpointState): Revision["signature"] | null {
  const number = rolloutOf(state)?.from ?? state.current;
  const base = revisionOf(state, number) ?? leavingRevision(state);
  if (base === undefined || base.stableAt !== null) return base?.signature ?? null;
  const before = state.revisions.filter((revision) => revision.revision <= base.revision);
  const trusted =
    before.findLast((revision) => revision.status === "stable") ??
    before.find((revision) => revision.carriedAllAt !== null);
  return (trusted ?? base).signature;
}

function all(revision: number | null): readonly Arm[] {
  return revision === null ? [] : [{ revision, weight: 100 }];
}

/** The candidate carries `weight` percent, what it started from the rest. */
function split(rollout: Rollout, weight: number): readonly Arm[] {
  if (rollout.from === null || weight === 100) return all(rollout.candidate);
  if (weight === 0) return all(rollout.from);
  return [
    { revision: rollout.from, weight: 100 - weight },
    { revision: rollout.candidate, weight },
  ];
}

function sharesOf(under: Extract<Activity, { phase: "Progressing" | "Baking" }>): readonly Arm[] {
  const { rollout } = under;
  return split(rollout, under.phase === "Progressing" ? under.weight : 100 - holdbackOf(rollout));
}

/** The rollout that a rollback ended and a reinstate would go on with, or null. */
export function resumable(
  undone: RollbackRecord,
): Extract<Activity, { phase: "Progressing" | "Baking" }> | null {
  const { activity } = undone.before;
  if (activity.phase !== "Progressing" && activity.phase !== "Baking") return null;
  return activity.rollout.candidate === undone.from ? activity : null;
}

/** The rollout that a reinstate is going on with, while its traffic is on the way there; else null. */
export function resumingRollout({ activity, lastRollback }: EndpointState): Rollout | null {
  if (activity.phase !== "RollingBack" || activity.back.kind !== "reinstate") return null;
  const before = lastRollback === null ? null : resumable(lastRollback);
  return before === null ? null : { ...before.rollout, restarts: before.rollout.restarts + 1 };
}

/** The shares of the traffic that the state asks for. */
export function armsOf(state: EndpointState): readonly Arm[] {
  const { activity, current } = state;
  switch (activity.phase) {
    case "Idle":
    case "Preparing":
      return all(current);
    case "Progressing":
    case "Baking":
      return sharesOf(activity);
    case "RollingBack": {
      const { back } = activity;
      const undone = back.kind === "reinstate" ? state.lastRollback : null;
      const before = undone === null ? null : resumable(undone);
      return before === null ? all(back.to.revision) : sharesOf(before);
    }
  }
}

/** Revisions that must be loaded for the state to go on, arms first. */
export function neededRevisions(state: EndpointState): readonly number[] {
  const { activity } = state;
  const needed = armsOf(state).map((arm) => arm.revision);
  // While it is prepared, mirrored to, or waits for a person it has no share of the traffic.
  if (activity.phase === "Preparing" || activity.phase === "Progressing")
    needed.push(activity.rollout.candidate);
  if (activity.phase === "Baking" && activity.rollout.from !== null)
    needed.push(activity.rollout.from);
  if (activity.phase === "RollingBack") {
    needed.push(activity.back.from);
    // A reinstated candidate may have no share of the traffic, and answers probes all the same.
    if (activity.back.to.revision !== null) needed.push(activity.back.to.revision);
  }
  return [...new Set(needed)];
}

/** Bake left at `now`, ms; null when the endpoint is not baking. */
export function bakeLeft(activity: Activity, now: number): number | null {
  if (activity.phase !== "Baking") return null;
  const elapsed = activity.runningSince === null ? 0 : Math.max(0, now - activity.runningSince);
  return Math.max(0, activity.remainingMs - elapsed);
}

/**
 * It went back by itself a moment ago: until when the next rollout takes no step by itself, ms since
 * 1970. Null when it may.
 */
export function coolingUntil({ automatic, activity }: EndpointState, now: number): number | null {
  const last = automatic.at(-1);
  if (last === undefined || activity.phase !== "Progressing") return null;
  const until = last + activity.rollout.policy.rollback.cooldownMs;
  return now < until ? until : null;
}

/** How long the clock of a step has run at `now`, ms. */
export function stepElapsed({ elapsedMs, runningSince }: StepProgress, now: number): number {
  return elapsedMs + (runningSince === null ? 0 : Math.max(0, now - runningSince));
}

/** Who waits for what is under way. */
export function waitingOperations(activity: Activity): readonly string[] {
  switch (activity.phase) {
    case "Idle":
      return [];
    case "Preparing":
      return waiting(activity.operation);
    case "Progressing":
    case "Baking":
      return waiting(activity.switching?.operation ?? null);
    case "RollingBack":
      return [...waiting(activity.back.operation), ...activity.back.attached];
  }
}

function waiting(operation: string | null): readonly string[] {
  return operation === null ? [] : [operation];
}
