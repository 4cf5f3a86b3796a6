/** The numbered invariants of src/core/rollout/SPEC.md, checked after one event. */
import assert from "node:assert";
import { isDeepStrictEqual } from "node:util";

import type { Revision } from "../../src/core/endpoint/index.ts";
import {
  armsOf,
  pendingEffects,
  revisionOf,
  rolloutOf,
  transition,
  type Effect,
  type EndpointEvent,
  type EndpointState,
  type HistoryRecord,
  type Outcome,
} from "../../src/core/rollout/index.ts";
import { waitingOperations } from "../../src/core/rollout/state.ts";

/** One step and everything that happened up to it. */
export interface StepTaken {
  readonly before: EndpointState;
  readonly event: EndpointEvent;
  readonly after: EndpointState;
  /** When it was, ms since 1970. */
  readonly now: number;
  readonly effects: readonly Effect[];
  readonly history: readonly HistoryRecord[];
  /** Every operation that was given and not refused. */
  readonly operations: ReadonlySet<string>;
  readonly outcomes: ReadonlyMap<string, readonly Outcome[]>;
  /** Set where the event is a command that has changed something before, with what it was told then. */
  readonly repeats: { readonly told: Outcome | null } | null;
}

const TELLING: ReadonlySet<string> = new Set([
  "rollout.held",
  "rollout.released",
  "rollout.undecided",
]);

const FORTH: ReadonlySet<string> = new Set([
  "rollout.advanced",
  "rollout.promoted",
  "rollout.succeeded",
]);

/** What was frozen and found to be JSON already: states share most of their parts. */
const known = new WeakSet<object>();

/**
 * The value with everything in it frozen (a machine that is not pure throws on it), and I11 checked
 * of each part once: it comes through JSON unchanged.
 */
export function frozen<T>(value: T): T {
  if (typeof value !== "object" || value === null) {
    const isJson =
      value === null ||
      typeof value === "string" ||
      typeof value === "boolean" ||
      (Number.isFinite(value) && !Object.is(value, -0));
    if (!isJson) throw new assert.AssertionError({ message: `I11 no JSON: ${String(value)}` });
    return value;
  }
  if (known.has(value)) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== Array.prototype)
    throw new assert.AssertionError({ message: "I11 no JSON: neither plain object nor list" });
  Object.freeze(value);
  for (const inner of Object.values(value)) frozen(inner);
  known.add(value);
  return value;
}

function content(revision: Revision): unknown {
  const { version, digest, runtime, signature, changedVersion, createdAt } = revision;
  return {
    revision: revision.revision,
    version,
    digest,
    runtime,
    signature,
    changedVersion,
    createdAt,
  };
}

/** Cheaper than an assertion of the test runner: thousands of lives are checked at every step. */
function holds(promise: string, is: boolean, seen?: unknown): void {
  if (!is) throw new assert.AssertionError({ message: `${promise}: ${JSON.stringify(seen)}` });
}

function armsAreWhole({ after }: StepTaken): void {
  const arms = armsOf(after);
  if (arms.length === 0) return;
  const sum = arms.reduce((total, arm) => total + arm.weight, 0);
  holds("I1 arms sum to 100", sum === 100, arms);
  holds(
    "I1 no arm is empty",
    arms.every((arm) => arm.weight > 0),
    arms,
  );
}

/** A person, a gateway or what served before: the only ways to a revision that was judged bad. */
function isInsistedOn({ before, event, after }: StepTaken, revision: number): boolean {
  if (revision === before.current) return true;
  if (event.type === "rollback") return event.named;
  if (event.type === "switchFailed")
    return before.activity.phase === "RollingBack" && after.activity.phase === "Idle";
  return event.type === "reinstate" || event.type === "overridden";
}

function armsAreTrusted(taken: StepTaken): void {
  const had = new Set(armsOf(taken.before).map((arm) => arm.revision));
  for (const arm of armsOf(taken.after)) {
    const revision = revisionOf(taken.after, arm.revision);
    holds("I2 every arm is a revision", revision !== undefined, arm);
    const bad = revision?.status === "failed" || revision?.status === "rejected";
    holds(
      `I3 what was judged bad became an arm by ${taken.event.type}`,
      !bad || had.has(arm.revision) || isInsistedOn(taken, arm.revision),
      revision,
    );
  }
}

function operationsAreSettledOnce({ after, operations, outcomes }: StepTaken): void {
  const waiting = new Set(waitingOperations(after.activity));
  for (const operation of operations) {
    const times = (outcomes.get(operation)?.length ?? 0) + (waiting.has(operation) ? 1 : 0);
    holds("I5 an operation waits or was settled, once", times === 1, operation);
  }
  for (const operation of outcomes.keys())
    holds("I5 only what was given is settled", operations.has(operation), operation);
}

function restIsSimple({ after }: StepTaken): void {
  if (after.activity.phase !== "Idle") return;
  const arms = after.current === null ? [] : [{ revision: after.current, weight: 100 }];
  holds("I6 at rest the current revision carries all", same(armsOf(after), arms), armsOf(after));
  const candidates = after.revisions.filter((revision) => revision.status === "candidate");
  holds("I13 nothing is a candidate at rest", candidates.length === 0, candidates);
}

function revisionsAreImmutable({ before, after }: StepTaken): void {
  const kept = after.revisions.slice(0, before.revisions.length);
  const isKept = before.revisions.every((revision, at) => {
    const now = kept[at];
    return now === revision || (now !== undefined && same(content(now), content(revision)));
  });
  holds("I7 content never changes", isKept, kept);
  const numbered = after.revisions.every((revision, index) => revision.revision === index + 1);
  holds("I7 revisions are numbered from 1", numbered, after.revisions);
}

function noTargetStays({ before, history, after }: StepTaken): void {
  if (!history.some((record) => record.kind === "rollback.failed")) return;
  const left = before.activity.phase === "RollingBack" ? before.activity.back.from : null;
  const arms = armsOf(after);
  holds("I12 NoTarget stays on what it left", same(arms, [{ revision: left, weight: 100 }]), arms);
}

function bakeIsOfWhatServes({ after }: StepTaken): void {
  const { activity } = after;
  if (activity.phase !== "Baking" || activity.switching !== null) return;
  const candidate = revisionOf(after, activity.rollout.candidate);
  holds("I14 what bakes serves", after.current === candidate?.revision, after.current);
  holds("I14 what bakes is provisional", candidate?.status === "provisional", candidate);
  holds(
    "I14 what bakes carries all traffic",
    typeof candidate?.carriedAllAt === "number",
    candidate,
  );
}

/** What carries the traffic of the candidate, percent. */
function candidateShare(state: EndpointState): number {
  const candidate = rolloutOf(state)?.candidate ?? null;
  return armsOf(state).find((arm) => arm.revision === candidate)?.weight ?? 0;
}

/** Nothing and nobody keeps the endpoint from going back. */
function mustGoBack({ before, event }: StepTaken): boolean {
  const { activity } = before;
  if (event.type !== "assessed" || event.verdict.decision !== "rollback") return false;
  if (activity.phase !== "Progressing" && activity.phase !== "Baking") return false;
  const { id, policy } = activity.rollout;
  const may = policy.rollback.automatic && before.pin === null;
  return may && id === event.rolloutId && event.choice.targets.length > 0;
}

/** Protection never waits, and the evidence alone never raises what it speaks against. */
function evidenceIsHeeded(taken: StepTaken): void {
  const { before, event, after } = taken;
  if (event.type !== "assessed") return;
  const { decision } = event.verdict;
  const went = after.activity.phase === "RollingBack" && before.activity.phase !== "RollingBack";
  holds(
    "I17 only evidence against it, or a deadline, sends it back",
    !went ||
      decision === "rollback" ||
      rolloutOf(before)?.policy.analysis.inconclusive.action === "rollback",
    decision,
  );
  holds(
    "I16 evidence against it raises no share",
    decision !== "rollback" || candidateShare(after) <= candidateShare(before),
    armsOf(after),
  );
  if (mustGoBack(taken))
    holds("I16 evidence against it sends it back at once", went, after.activity.phase);
}

function policyIsApplied({ before, event, after }: StepTaken): void {
  const applied = event.type === "applyPolicy";
  holds("I18 only applyPolicy changes the policy", applied || before.policy === after.policy);
  if (!applied) return;
  holds("I18 it is in force", same(after.policy, event.policy), after.policy);
  const { applied: remembered = [] } = after;
  const expected = { ...before, applied: remembered, policy: after.policy };
  holds("I18 it changes nothing else", same(expected, { ...after, applied: remembered }), after);
}

/** A wanted way back is of what serves, and nothing but success or a person ends it. */
function wantedIsKept({ before, event, after }: StepTaken): void {
  const { wanted } = after;
  if (wanted !== null) {
    const left = revisionOf(after, wanted.from);
    holds("I19 what is wanted back serves", after.current === wanted.from, after.current);
    holds("I19 what is wanted back is not stable", left?.status !== "stable", left);
  }
  if (before.wanted === null || wanted !== null) return;
  const isLeft = after.current !== before.wanted.from;
  const byPerson = ["promote", "mark"].includes(event.type);
  holds("I19 it is wanted until it is done or a person ends it", isLeft || byPerson, event.type);
}

/** A way back that the machine decided and that led nowhere stays wanted. */
function noTargetIsNotTheEnd({ before, history, after }: StepTaken): void {
  if (!history.some((record) => record.kind === "rollback.failed")) return;
  if (before.activity.phase !== "RollingBack") return;
  const { trigger, kind } = before.activity.back;
  const decided = kind !== "reinstate" && trigger !== "manual" && trigger !== "api";
  holds("I20 it stays wanted", !decided || after.wanted !== null, before.activity.back);
}

/** An outage of both judges nobody and moves nothing. */
function outageIsNoVerdict({ before, event, after }: StepTaken): void {
  if (event.type !== "switchFailed" || event.outage === null) return;
  if (before.activity.phase !== "Progressing" && before.activity.phase !== "Baking") return;
  holds("I21 the phase stays", after.activity.phase === before.activity.phase, after.activity);
  holds("I21 the traffic stays", same(armsOf(after), armsOf(before)), armsOf(after));
  holds("I21 nobody is judged", same(after.revisions, before.revisions), after.revisions);
}

/** A way back that nobody asked for counts for the policy's limits, once; a person's never does. */
function automaticIsCounted({ before, event, after, history }: StepTaken): void {
  const begins = history.some(({ kind, data }) => kind === "rollback.started" && !data["again"]);
  const decided = begins && (event.type === "assessed" || event.type === "switchFailed");
  const kept = same(after.automatic, before.automatic);
  if (decided) {
    holds("I22 what the machine decided counts", !kept && after.automatic.length > 0, event.type);
    return;
  }
  const alone = event.type === "overridden" && event.from !== event.to ? event.trigger : "manual";
  const byItself = alone !== "manual" && alone !== "api";
  holds("I22 nothing else counts", kept || byItself, event);
  const isNews = history.some(({ kind }) => kind === "rollback.completed");
  holds("I22 what a gateway decided counts", !byItself || !isNews || after.automatic.length > 0);
}

/** The same look again and again tells nothing new: what holds is told by one, that its time is over by the next. */
function looksAreQuiet({ event, after, now }: StepTaken): void {
  if (event.type !== "assessed") return;
  const next = transition(after, event, now);
  // A policy that promotes what stays undecided takes it to a step of which nothing was told yet.
  if (next.history.some(({ kind }) => FORTH.has(kind))) return;
  const again = transition(next.state, event, now);
  const told = [
    ...again.effects.filter((effect) => effect.do === "alarm"),
    ...again.history.filter(({ kind }) => TELLING.has(kind)),
  ];
  holds("I23 the same look again and again tells nothing", told.length === 0, told);
}

/** What people see of an outcome. */
function words(outcome: Outcome | null | undefined): unknown {
  if (outcome === null || outcome === undefined) return null;
  if (!outcome.ok) return outcome.error.toBody();
  if (outcome.did === "steered") return outcome;
  return outcome.did === "returned"
    ? { id: outcome.record.id, to: outcome.record.to, already: outcome.already }
    : { did: outcome.did, measured: outcome.measured };
}

/** A command that has changed something changes nothing when it is repeated; it is told the same. */
function repeatChangesNothing({
  before,
  event,
  after,
  effects,
  history,
  ...taken
}: StepTaken): void {
  if (taken.repeats === null || !("operation" in event)) return;
  holds("I24 a repeat changes nothing", after === before && history.length === 0, event);
  const isTelling = effects.every(
    (each) => each.do === "settle" && each.operation === event.operation,
  );
  holds("I24 a repeat does nothing", isTelling, effects);
  const { told } = taken.repeats;
  const now = taken.outcomes.get(event.operation)?.at(-1);
  holds("I24 a repeat is told the same", same(words(now), words(told)), { now, told });
}

function pendingWasAsked({ before, after, effects }: StepTaken): void {
  const asked = [...effects, ...pendingEffects(before)];
  for (const effect of pendingEffects(after))
    holds(
      "I15 what is waited for was asked for",
      effect.do === "publish" || asked.some((one) => one.do === effect.do && same(one, effect)),
      effect,
    );
}

function same(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(a, b);
}

/** @throws an assertion that names the broken invariant. */
export function checkInvariants(taken: StepTaken): void {
  const { before, after } = taken;
  armsAreWhole(taken);
  armsAreTrusted(taken);
  operationsAreSettledOnce(taken);
  restIsSimple(taken);
  revisionsAreImmutable(taken);
  holds("I8 changes never falls", after.changes >= before.changes, after.changes);
  noTargetStays(taken);
  bakeIsOfWhatServes(taken);
  evidenceIsHeeded(taken);
  wantedIsKept(taken);
  noTargetIsNotTheEnd(taken);
  outageIsNoVerdict(taken);
  automaticIsCounted(taken);
  looksAreQuiet(taken);
  pendingWasAsked(taken);
  repeatChangesNothing(taken);
  if (taken.repeats === null) policyIsApplied(taken);
}
