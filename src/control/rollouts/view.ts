import type { EndpointView, RolloutView, Served, TargetView } from "../../core/api/index.ts";
import type { Revision } from "../../core/endpoint/index.ts";
import {
  armsOf,
  coolingUntil,
  bakeLeft,
  heldAlarm,
  isPinned,
  refusedBack,
  plannedLeft,
  revisionOf,
  rolloutOf,
  stepElapsed,
  stepsOf,
  waitsFor,
  type EndedRollout,
  type EndpointState,
  type Rollout,
} from "../../core/rollout/index.ts";
import type { TargetChoice } from "../../core/target/index.ts";
import { versionLabel } from "../../core/version/index.ts";
import type { RevisionState } from "../../link/message/index.ts";
import type { CountTotal } from "../../storage/store/index.ts";

/** Counts of what callers sent; probes, replays and what was shed are no requests of theirs. */
const FROM_CALLERS: readonly CountTotal["arm"][] = ["assigned", "targeted"];

/** A revision as answers name it. */
export function servedView(state: EndpointState, number: number | null): Served | null {
  const revision = revisionOf(state, number);
  return revision === undefined
    ? null
    : {
        version: versionLabel(revision.version),
        revision: revision.revision,
        digest: revision.digest,
      };
}

function requiredServed(state: EndpointState, number: number): Served {
  const served = servedView(state, number);
  if (served === null) throw new TypeError(`revision ${number} is not one of the endpoint's`);
  return served;
}

function weightOf(state: EndpointState, revision: number): number {
  return armsOf(state).find((arm) => arm.revision === revision)?.weight ?? 0;
}

/** Where the candidate of a rollout under way is reached whatever its weight: its version's own address. */
function previewOf({ activity, identity, revisions }: EndpointState): string | null {
  if (activity.phase !== "Progressing" && activity.phase !== "Baking") return null;
  const candidate = revisions.find((one) => one.revision === activity.rollout.candidate);
  if (candidate === undefined) return null;
  const version = encodeURIComponent(versionLabel(candidate.version));
  return `/v2/models/${identity.name}/versions/${version}`;
}

/** Where a rollout under way is among its steps. */
function stepView(state: EndpointState, now: number): RolloutView["step"] {
  const { activity } = state;
  if (activity.phase !== "Progressing") return null;
  const { rollout, step: at } = activity;
  const steps = stepsOf(rollout);
  const step = steps[at.index];
  if (step === undefined) return null;
  const until = step.kind === "pause" || rollout.byHand ? null : step.until;
  const timeMs = step.kind === "pause" ? step.forMs : (until?.timeMs ?? null);
  return {
    number: at.index + 1,
    of: steps.length,
    kind: step.kind,
    percent: step.kind === "weight" || step.kind === "mirror" ? step.percent : null,
    byHand: rollout.byHand,
    requests: until?.requests ?? null,
    timeLeftMs: timeMs === null ? null : Math.max(0, timeMs - stepElapsed(at, now)),
    coolingUntil: rollout.byHand ? null : coolingUntil(state, now),
  };
}

/** How a rollout under way stands by its evidence. */
function standingView(state: EndpointState): Pick<RolloutView, "held" | "undecided" | "waitsFor"> {
  const { activity } = state;
  if (activity.phase !== "Progressing" && activity.phase !== "Baking")
    return { held: null, undecided: false, waitsFor: null };
  const { held, undecidedAt } = activity.standing;
  const holds = activity.switching?.outage ?? held;
  const waits = waitsFor(state);
  return {
    held: holds === null ? null : { why: holds.why, since: holds.since },
    undecided: undecidedAt !== null,
    waitsFor: waits === null ? null : { why: waits.why, next: [...waits.next] },
  };
}

function rolloutFacts(
  state: EndpointState,
  rollout: Rollout,
): Omit<
  RolloutView,
  | "phase"
  | "preview"
  | "bakeEndsAt"
  | "plannedLeftMs"
  | "endedAt"
  | "step"
  | "held"
  | "undecided"
  | "waitsFor"
> {
  const { pause } = rollout;
  return {
    id: rollout.id,
    endpoint: state.identity.name,
    strategy: rollout.strategy,
    from: servedView(state, rollout.from),
    to: requiredServed(state, rollout.candidate),
    weight: weightOf(state, rollout.candidate),
    paused: pause === null ? null : { by: pause.by, why: pause.why, until: pause.until },
    bakeMs: rollout.bakeMs,
    startedAt: rollout.startedAt,
    reason: rollout.reason,
  };
}

function endedView(state: EndpointState, ended: EndedRollout): RolloutView {
  const facts = rolloutFacts(state, ended.rollout);
  return {
    ...facts,
    phase: ended.phase,
    preview: null,
    step: null,
    held: null,
    undecided: false,
    waitsFor: null,
    paused: null,
    bakeEndsAt: null,
    plannedLeftMs: 0,
    endedAt: ended.endedAt,
    reason: ended.reason ?? facts.reason,
  };
}

/** A rollout as answers show it: under way, or as it ended. */
export function rolloutView(
  state: EndpointState,
  rollout: Rollout | null,
  now: number,
): RolloutView | null {
  const { activity, lastRollout } = state;
  const current = rolloutOf(state);
  if (rollout === null) return null;
  if (activity.phase === "Idle" || current?.id !== rollout.id)
    return lastRollout?.rollout.id === rollout.id ? endedView(state, lastRollout) : null;
  const left = bakeLeft(activity, now);
  const running = activity.phase === "Baking" && activity.runningSince !== null;
  return {
    ...rolloutFacts(state, current),
    ...standingView(state),
    phase: activity.phase,
    preview: previewOf(state),
    step: stepView(state, now),
    bakeEndsAt: running && left !== null ? now + left : null,
    plannedLeftMs: plannedLeft(activity, now),
    endedAt: null,
  };
}

/** What a rollback would do now. */
function targetView(choice: TargetChoice, expectedSeconds: number): TargetView {
  const target = choice.targets[0];
  return {
    target:
      target === undefined
        ? null
        : {
            version: versionLabel(target.version),
            revision: target.revision,
            digest: target.version.digest,
          },
    why: target?.why ?? "no version is proven, trusted and different from what serves",
    warm: target?.warm ?? false,
    provenAt: target?.provenAt ?? null,
    expectedSeconds,
    passedOver: choice.passedOver.map(({ version, why }) => ({ version, why })),
  };
}

/** Who keeps the endpoint from going back by itself, or null. */
export function pinView(state: EndpointState, now: number): EndpointView["pin"] {
  const { pin } = state;
  if (pin === null || !isPinned(state, now)) return null;
  return { by: pin.by, why: pin.why, until: pin.until };
}

/** Whether the endpoint goes back by itself: by the policy of the rollout under way, else its own. */
export function automaticView(state: EndpointState, now: number): EndpointView["automatic"] {
  const policy = rolloutOf(state)?.policy ?? state.policy;
  if (policy?.rollback.automatic === false)
    return { on: false, why: "its policy says automatic: false" };
  const pin = pinView(state, now);
  return pin === null ? { on: true, why: null } : { on: false, why: `pinned by ${pin.by}` };
}

/** What an endpoint's view is made of. */
export interface EndpointFacts {
  readonly state: EndpointState;
  readonly choice: TargetChoice;
  /** Until its target would answer. */
  readonly expectedSeconds: number;
  readonly revisionStates: readonly RevisionState[];
  readonly counts: readonly CountTotal[];
  readonly historyHead: string | null;
  readonly now: number;
}

function alarmsOf(facts: EndpointFacts): string[] {
  const { state, choice } = facts;
  const alarms = [...state.alarms, ...decisionAlarms(state, facts.now)];
  const resting = state.activity.phase !== "RollingBack";
  if (
    resting &&
    state.current !== null &&
    state.revisions.length > 1 &&
    choice.targets.length === 0
  )
    alarms.push("no way back: no version is proven, trusted and different from what serves");
  for (const revision of facts.revisionStates) {
    if (revision.state === "failed")
      alarms.push(`revision ${revision.revision} does not hold: ${revision.why ?? revision.proof}`);
  }
  return alarms;
}

/** What the machine would do and cannot, or waits for: an alarm for as long as it is so. */
function decisionAlarms(state: EndpointState, now: number): readonly string[] {
  const { wanted, activity } = state;
  const alarms: string[] = [];
  if (wanted !== null) {
    const next = isPinned(state, now) ? "not tried while it is pinned" : "tried again by itself";
    alarms.push(`a rollback is wanted: ${wanted.why}; ${next} (tries so far: ${wanted.tries})`);
  }
  if (activity.phase !== "Progressing" && activity.phase !== "Baking") return alarms;
  const { standing, switching } = activity;
  const isTold = standing.held !== null && heldAlarm(standing.held) !== null;
  const holds = switching?.outage ?? (isTold ? standing.held : null);
  if (holds !== null) alarms.push(`the rollout is held: ${holds.why}`);
  const refused = refusedBack(standing);
  if (refused !== null) alarms.push(`a rollback is wanted: ${refused.why}`);
  else if (standing.undecidedAt !== null)
    alarms.push("the rollout stays undecided: see `lastgood rollout status`");
  return alarms;
}

/** What a revision's own server takes and is made of, while it is there. */
function processView(
  { pid, process }: RevisionState,
  { runtime }: Revision,
): Pick<EndpointView["revisions"][number], "process"> {
  if (process === undefined || runtime.kind !== "process") return {};
  return { process: { ...process, pid, launcher: runtime.launcher } };
}

/** An endpoint at a glance. */
export function endpointView(facts: EndpointFacts): EndpointView {
  const { state, now } = facts;
  return {
    name: state.identity.name,
    model: state.identity.model,
    environment: state.identity.environment,
    current: servedView(state, state.current),
    split: armsOf(state).map(({ revision, weight }) => ({
      version: requiredServed(state, revision).version,
      revision,
      weight,
    })),
    rollout: rolloutView(state, rolloutOf(state), now),
    lastRollout: rolloutView(state, state.lastRollout?.rollout ?? null, now),
    rollback: targetView(facts.choice, facts.expectedSeconds),
    revisions: state.revisions.map((revision) => {
      const known = facts.revisionStates.find((entry) => entry.revision === revision.revision);
      const counts = facts.counts.filter(
        (count) => count.revision === revision.revision && FROM_CALLERS.includes(count.arm),
      );
      return {
        revision: revision.revision,
        version: versionLabel(revision.version),
        digest: revision.digest,
        status: revision.status,
        reason: revision.reason,
        createdAt: revision.createdAt,
        warm: known?.state === "ready",
        proof: known?.proof ?? null,
        ...(known === undefined ? {} : processView(known, revision)),
        requests: counts.reduce((sum, count) => sum + count.requests, 0),
        errors: counts.reduce((sum, count) => sum + count.errors, 0),
      };
    }),
    pin: pinView(state, now),
    automatic: automaticView(state, now),
    alarms: alarmsOf(facts),
    historyHead: facts.historyHead,
  };
}
