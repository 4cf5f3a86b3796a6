import { LastgoodError } from "../errors/index.ts";
import type { RolloutStep } from "../policy/index.ts";
import { advanceTo, succeed } from "./advance.ts";
import { wentBack } from "./automatic.ts";
import { beginReturn, supersededSwitch } from "./back.ts";
import { bakeClock, isBaked } from "./bake.ts";
import type { HistoryRecord } from "./effect.ts";
import {
  causeOf,
  heldAlarm,
  isMute,
  isProposed,
  OUTAGE_ALARM,
  PROPOSAL_ALARM,
  SILENCE_ALARM,
  sourceAlarm,
} from "./held.ts";
import {
  isPinned,
  stepElapsed,
  coolingUntil,
  stepsOf,
  NO_STANDING,
  type Held,
  type Progress,
  type Refused,
  type Standing,
} from "./state.ts";
import {
  ignored,
  label,
  revisionFacts,
  step,
  type EventOf,
  type StateIn,
  type Step,
} from "./step.ts";

/** A rollout whose candidate has traffic or is mirrored to. */
type Under = StateIn<"Progressing"> | StateIn<"Baking">;

/** A person is told again that a rollout stays undecided after this time, ms. */
const TOLD_AGAIN_MS = 24 * 3_600_000;
const WANTS_BACK = "wants back";

/** What keeps a rollout from going back that the evidence or its deadline would send back; else null. */
export function refusedBack({ held, refused }: Standing): Refused | null {
  return held !== null && held.cause.startsWith(WANTS_BACK) ? held : refused;
}

/** What becomes of a rollout that is held where more evidence need not come. */
function heldWords(held: Held, name: string): string {
  if (heldAlarm(held) === null) return "";
  const until =
    sourceAlarm(held) === null ? ", since that alone decides nothing" : " until that is over";
  return `; the rollout is held${until}: \`lastgood rollout status ${name}\` shows it, \`lastgood rollout promote ${name} --reason "…"\` or \`lastgood rollback ${name}\` decides`;
}

/** Entries of what a look at the evidence changes, that anybody can compute again. */
const BY_A_LOOK: ReadonlySet<string> = new Set([
  "rollout.held",
  "rollout.released",
  "rollout.advanced",
  "rollout.promoted",
]);

/** What ends a rollout by a look keeps its verdict too, so that it can be compared with what is computed. */
const ENDED_BY_A_LOOK: ReadonlySet<string> = new Set(["rollout.succeeded", "rollback.started"]);

/** What the evidence says now: back, stay, or go on (DESIGN.md section 7, two axes). */
export function assessed(before: Under, event: EventOf<"assessed">, now: number): Step {
  const decided = decide(before, event, now);
  return { ...decided, history: decided.history.map((record) => noted(record, event)) };
}

function noted(record: HistoryRecord, { look, evidence }: EventOf<"assessed">): HistoryRecord {
  const { kind, data } = record;
  if (ENDED_BY_A_LOOK.has(kind)) return { ...record, data: { ...data, evidence } };
  return look !== undefined && BY_A_LOOK.has(kind)
    ? { ...record, data: { ...data, look } }
    : record;
}

function decide(before: Under, event: EventOf<"assessed">, now: number): Step {
  if (event.rolloutId !== before.activity.rollout.id) return ignored(before);
  const state = entered(before, event);
  switch (event.verdict.decision) {
    case "rollback":
      return backByItself(state, event, now);
    case "hold":
      return stays(state, event, now);
    case "continue":
    case "promote":
      return state === before ? goesOn(released(state, now), event, now) : released(state, now);
  }
}

/**
 * From the first look at a step on its requests count, also those of the time in which the evidence
 * holds it or a person paused it: they were assigned in it.
 */
function entered(state: Under, { progress }: EventOf<"assessed">): Under {
  if (state.activity.phase !== "Progressing") return state;
  const { activity } = state as StateIn<"Progressing">;
  const { rollout, step: at, switching } = activity;
  if (at.entered !== null || rollout.byHand || switching !== null) return state;
  const begun = { ...activity, step: { ...at, entered: progress } };
  return { ...state, activity: begun };
}

/** Going back by itself, unless a person keeps it from that or there is nowhere to go. */
function backByItself(state: Under, event: EventOf<"assessed">, now: number): Step {
  const { rollout } = state.activity;
  const { why, blamed } = event.verdict;
  const refused = whyNotBack(state, event, now);
  if (refused !== null) {
    const cause = `${WANTS_BACK}, ${refused.cause}`;
    return hold(state, { why: `${why}; ${refused.why}`, since: now, cause }, refused.cause);
  }
  const begun = beginReturn(state, {
    id: event.rollbackId,
    kind: "rollback",
    operation: null,
    choice: event.choice,
    trigger: event.trigger,
    actor: "lastgood",
    reason: why,
    keepStatus: false,
    failure: null,
    now,
  });
  const superseded = supersededSwitch(
    state,
    new LastgoodError(
      "rollout.rolled-back",
      `${label(state, rollout.candidate)} was rolled back: ${why}`,
    ),
  );
  return {
    state: wentBack(begun.state, now),
    effects: [...superseded, ...begun.effects],
    history: begun.history.map((record) => ({
      ...record,
      data: { ...record.data, blamed },
    })),
  };
}

function whyNotBack(state: Under, event: EventOf<"assessed">, now: number): Refused | null {
  const { name } = state.identity;
  if (isPinned(state, now) && state.pin !== null)
    return {
      why: `it does not go back by itself: pinned by ${state.pin.by} (${state.pin.why})`,
      cause: "rollback.pinned",
    };
  if (!state.activity.rollout.policy.rollback.automatic)
    return {
      why: `it does not go back by itself: its policy says automatic: false; type \`lastgood rollback ${name}\``,
      cause: "rollback.wanted",
    };
  if (event.choice.targets.length === 0)
    return { why: `there is no proven version to go back to`, cause: "target.none" };
  return null;
}

/** The evidence does not allow to advance, nor to go back. */
function stays(state: Under, event: EventOf<"assessed">, now: number): Step {
  const { why, source } = event.verdict;
  const cause = causeOf(event.verdict);
  const held = hold(state, { why, since: now, cause }, heldAlarm({ cause }));
  if (held.history.length > 0) return held;
  const since = state.activity.standing.held?.since ?? now;
  return undecided(state, event, { since, now, why, isBlank: source === "silent" });
}

/** Notes what holds, once; `alarm` is the code under which a person is told at once. */
function hold(state: Under, held: Held, alarm: string | null): Step {
  const { standing, rollout } = state.activity;
  if (standing.held?.cause === held.cause) return ignored(state);
  const history: HistoryRecord = {
    kind: "rollout.held",
    actor: "lastgood",
    reason: held.why,
    data: { rollout: rollout.id, to: revisionFacts(state, rollout.candidate), cause: held.cause },
  };
  const isTold = alarm === null || isToldAlready(state.activity, alarm, held.since);
  const told = (code: string): boolean => alarm === code && !isTold;
  const silenceToldAt = told(SILENCE_ALARM) ? held.since : standing.silenceToldAt;
  const proposalToldAt = told(PROPOSAL_ALARM) ? held.since : stillProposed(standing, held);
  const after = { ...heldBy(standing, held), silenceToldAt, proposalToldAt };
  const next = withStanding(state, after, held.since);
  if (isTold) return step(next, [], [history]);
  const { name } = state.identity;
  const message = `${name}: ${held.why}${heldWords(held, name)}`;
  return step(next, [{ do: "alarm", code: alarm, message }], [history]);
}

/** When a person was told of what is proposed, for as long as it is: also while its source is silent or broken. */
const stillProposed = ({ proposalToldAt = null }: Standing, held: Held): number | null =>
  isProposed(held) ? proposalToldAt : null;

/**
 * The outage that its switch waits out was told when that failed, one silence a day is enough, and what is
 * proposed stays so until it is taken back.
 */
function isToldAlready(
  { switching, standing }: Under["activity"],
  alarm: string,
  now: number,
): boolean {
  if (alarm === OUTAGE_ALARM) return switching !== null && switching.outage !== null;
  const { silenceToldAt, proposalToldAt = null } = standing;
  if (alarm === PROPOSAL_ALARM) return proposalToldAt !== null;
  return alarm === SILENCE_ALARM && silenceToldAt !== null && now - silenceToldAt < TOLD_AGAIN_MS;
}

/** The time in which nobody can know is not what the policy's deadline counts: it begins anew after it. */
function heldBy(standing: Standing, held: Held): Standing {
  const before = standing.held;
  if (before !== null && isMute(before) === isMute(held))
    return { ...standing, held: { ...held, since: before.since } };
  return before === null && !isMute(held) ? { ...standing, held } : { ...NO_STANDING, held };
}

/** Nothing holds the rollout any more. */
function released(state: Under, now: number): Step {
  const { standing, rollout } = state.activity;
  if (standing.held === null) return ignored(state);
  // Where its requests are waited for as well, that stays as undecided as it was.
  const free: Standing =
    isMute(standing.held) || standing.overdueSince === null
      ? { ...NO_STANDING, silenceToldAt: standing.silenceToldAt }
      : { ...standing, held: null, proposalToldAt: null };
  return step(
    withStanding(state, free, now),
    [],
    [
      {
        kind: "rollout.released",
        actor: "lastgood",
        reason: `no longer held: ${standing.held.why}`,
        data: { rollout: rollout.id },
      },
    ],
  );
}

function withStanding(state: Under, standing: Standing, now: number): Under {
  const { activity } = state;
  if (activity.phase === "Baking")
    return { ...state, activity: bakeClock({ ...activity, standing }, now) };
  return { ...state, activity: { ...activity, standing } };
}

/** The evidence does not speak against it: the next step, or the end of the bake, when this one is over. */
function goesOn(from: Step, event: EventOf<"assessed">, now: number): Step {
  const after =
    from.state.activity.phase === "Progressing"
      ? steps(from.state as StateIn<"Progressing">, event, now)
      : bakes(from.state as StateIn<"Baking">, event, now);
  return {
    state: after.state,
    effects: [...from.effects, ...after.effects],
    history: [...from.history, ...after.history],
  };
}

/** A bake that is over is judged by what came until its end: no look that was before it, or that was deaf, ends it. */
function bakes(state: StateIn<"Baking">, { seenUntil }: EventOf<"assessed">, now: number): Step {
  if (seenUntil === null || !isBaked(state.activity, seenUntil)) return ignored(state);
  return succeed(state, state.activity.rollout, { actor: "lastgood", reason: null, now });
}

function steps(state: StateIn<"Progressing">, event: EventOf<"assessed">, now: number): Step {
  const { activity } = state;
  const at = stepsOf(activity.rollout)[activity.step.index];
  const { byHand, pause } = activity.rollout;
  const since = activity.step.entered;
  if (at === undefined || since === null || byHand || activity.switching !== null || pause !== null)
    return ignored(state);
  if (coolingUntil(state, now) !== null) return ignored(state);
  const by = { operation: null, actor: "lastgood" };
  if (event.verdict.decision === "promote" && at.kind !== "pause")
    return advanceTo(state, afterEvidence(state), { ...by, reason: event.verdict.why });
  switch (howFar(at, since, { event, elapsed: stepElapsed(activity.step, now) })) {
    case "done":
      return advanceTo(state, activity.step.index + 1, { ...by, reason: event.verdict.why });
    case "overdue":
      return overdue(state, event, now);
    case "running":
      return ignored(state);
  }
}

/** Where a rollout goes whose candidate is shown to be good: past its steps, up to the next gate of a person. */
function afterEvidence({ activity }: StateIn<"Progressing">): number {
  const all = stepsOf(activity.rollout);
  const gate = all.findIndex(
    (each, index) => index > activity.step.index && each.kind === "pause" && each.forMs === null,
  );
  return gate === -1 ? all.length : gate;
}

function howFar(
  at: RolloutStep,
  since: Progress,
  now: { readonly event: EventOf<"assessed">; readonly elapsed: number },
): "done" | "overdue" | "running" {
  if (at.kind === "pause") return at.forMs !== null && now.elapsed >= at.forMs ? "done" : "running";
  if (now.elapsed < at.until.timeMs) return "running";
  const { progress } = now.event;
  const seen =
    at.kind === "mirror" ? progress.pairs - since.pairs : progress.candidate - since.candidate;
  return seen >= at.until.requests ? "done" : "overdue";
}

/** The step's time is over and its requests have not come. */
function overdue(state: StateIn<"Progressing">, event: EventOf<"assessed">, now: number): Step {
  const { standing } = state.activity;
  if (standing.overdueSince === null)
    return step(withStanding(state, { ...standing, overdueSince: now }, now));
  const { entered: since } = state.activity.step;
  const { candidate, pairs } = event.progress;
  return undecided(state, event, {
    since: standing.overdueSince,
    now,
    why: "too few requests came to decide by",
    isBlank: candidate === since?.candidate && pairs === since.pairs,
  });
}

/** Not enough evidence for too long: what the policy says is to be done then. */
function undecided(
  state: Under,
  event: EventOf<"assessed">,
  so: {
    readonly since: number;
    readonly now: number;
    readonly why: string;
    /** No request came: that promotes nothing, whatever the policy says. */
    readonly isBlank: boolean;
  },
): Step {
  const { rollout, standing } = state.activity;
  const { inconclusive } = rollout.policy.analysis;
  const { now } = so;
  if (rollout.pause !== null || now - so.since < inconclusive.deadlineMs) return ignored(state);
  const why = `undecided at the deadline: ${so.why}`;
  const action = standing.held !== null && isMute(standing.held) ? "hold" : inconclusive.action;
  const refused = action === "rollback" ? whyNotBack(state, event, now) : null;
  if (action === "rollback" && refused === null)
    return backByItself(state, { ...event, verdict: { ...event.verdict, why } }, now);
  if (action === "promote" && !so.isBlank) return promotedUndecided(state, why, now);
  return toldUndecided(state, { why, refused }, now);
}

/** A person is told that it stays undecided: at once, daily, and when something else keeps it from going back. */
function toldUndecided(
  state: Under,
  so: { readonly why: string; readonly refused: Refused | null },
  now: number,
): Step {
  const { rollout, standing } = state.activity;
  const { refused } = so;
  const isTold = standing.undecidedAt !== null && now - standing.undecidedAt < TOLD_AGAIN_MS;
  if (isTold && standing.refused?.cause === refused?.cause) return ignored(state);
  const why = refused === null ? so.why : `${so.why}; ${refused.why}`;
  const message = `${state.identity.name}: the rollout of ${label(state, rollout.candidate)} is ${why}`;
  return step(
    withStanding(
      state,
      {
        ...standing,
        undecidedAt: now,
        refused: refused === null ? null : { why, cause: refused.cause },
      },
      now,
    ),
    [{ do: "alarm", code: refused?.cause ?? "rollout.undecided", message }],
    [
      {
        kind: "rollout.undecided",
        actor: "lastgood",
        reason: why,
        data: { rollout: rollout.id, to: revisionFacts(state, rollout.candidate) },
      },
    ],
  );
}

/** The policy says that what stays undecided goes on. */
function promotedUndecided(state: Under, reason: string, now: number): Step {
  const actor = "lastgood";
  // What is not verified yet is neither stable nor a step that was taken.
  if (state.activity.switching !== null) return ignored(state);
  if (state.activity.phase === "Baking")
    return succeed(state, state.activity.rollout, { actor, reason, now });
  const forward = state as StateIn<"Progressing">;
  return advanceTo(forward, forward.activity.step.index + 1, { operation: null, actor, reason });
}
