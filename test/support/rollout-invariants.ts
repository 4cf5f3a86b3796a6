/** The numbered invariants of src/core/rollout/SPEC.md, checked after one event. */
import { isDeepStrictEqual } from "node:util";

import { expect } from "vitest";

import type { Revision } from "../../src/core/endpoint/index.ts";
import {
  armsOf,
  pendingEffects,
  revisionOf,
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
  readonly effects: readonly Effect[];
  readonly history: readonly HistoryRecord[];
  /** Every operation that was given and not refused. */
  readonly operations: ReadonlySet<string>;
  readonly outcomes: ReadonlyMap<string, readonly Outcome[]>;
}

/** The value with everything in it frozen: a machine that is not pure throws on it. */
export function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) frozen(inner);
  }
  return value;
}

function content(revision: Revision): unknown {
  const { version, digest, runtime, signature, changedVersion, createdAt } = revision;
  return { revision: revision.revision, version, digest, runtime, signature, changedVersion, createdAt };
}

function armsAreWhole({ after }: StepTaken): void {
  const arms = armsOf(after);
  if (arms.length === 0) return;
  expect(arms.reduce((sum, arm) => sum + arm.weight, 0), "I1 arms sum to 100").toBe(100);
  expect(arms.every((arm) => arm.weight > 0), "I1 no arm is empty").toBe(true);
}

/** A person, a gateway or what served before: the only ways to a revision that was judged bad. */
function isInsistedOn({ before, event, after }: StepTaken, revision: number): boolean {
  if (revision === before.current) return true;
  switch (event.type) {
    case "rollback":
      return event.named;
    case "reinstate":
    case "overridden":
      return true;
    case "switchFailed":
      return after.lastRollout?.phase === "NoTarget" || before.activity.phase === "RollingBack";
    case "switched":
    case "deploy":
    case "mark":
    case "setWeight":
    case "promote":
    case "pause":
    case "resume":
    case "abort":
    case "prepared":
    case "preparationFailed":
    case "tick":
      return false;
  }
}

function armsAreTrusted(taken: StepTaken): void {
  const known = new Set(armsOf(taken.before).map((arm) => arm.revision));
  for (const arm of armsOf(taken.after)) {
    const revision = revisionOf(taken.after, arm.revision);
    expect(revision, "I2 every arm is a revision").toBeDefined();
    const bad = revision?.status === "failed" || revision?.status === "rejected";
    if (bad && !known.has(arm.revision))
      expect(
        isInsistedOn(taken, arm.revision),
        `I3 revision ${arm.revision} is ${revision.status} and became an arm by ${taken.event.type}`,
      ).toBe(true);
  }
}

function operationsAreSettledOnce({ after, operations, outcomes }: StepTaken): void {
  const waiting = new Set(waitingOperations(after.activity));
  for (const operation of operations) {
    const times = outcomes.get(operation)?.length ?? 0;
    expect(times + (waiting.has(operation) ? 1 : 0), `I5 ${operation} is settled once`).toBe(1);
  }
  for (const operation of outcomes.keys())
    expect(operations.has(operation), `I5 ${operation} was given`).toBe(true);
}

function restIsSimple({ after }: StepTaken): void {
  if (after.activity.phase !== "Idle") return;
  const arms = after.current === null ? [] : [{ revision: after.current, weight: 100 }];
  expect(armsOf(after), "I6 at rest the current revision carries everything").toEqual(arms);
  expect(
    after.revisions.filter((revision) => revision.status === "candidate"),
    "I13 nothing is a candidate at rest",
  ).toEqual([]);
}

function revisionsAreImmutable({ before, after }: StepTaken): void {
  expect(after.revisions.slice(0, before.revisions.length).map(content), "I7").toEqual(
    before.revisions.map(content),
  );
  expect(after.revisions.map((revision) => revision.revision), "I7 numbered from 1").toEqual(
    after.revisions.map((_, index) => index + 1),
  );
}

function bakeIsOfWhatServes({ after }: StepTaken): void {
  const { activity } = after;
  if (activity.phase !== "Baking" || activity.switching !== null) return;
  expect(after.current, "I14 what bakes serves").toBe(activity.rollout.candidate);
  const candidate = revisionOf(after, activity.rollout.candidate);
  expect(candidate?.status, "I14 what bakes is provisional").toBe("provisional");
  expect(candidate?.carriedAllAt, "I14 it carries all traffic").not.toBeNull();
}

function noTargetStays({ before, history, after }: StepTaken): void {
  if (!history.some((record) => record.kind === "rollback.failed")) return;
  const left = before.activity.phase === "RollingBack" ? before.activity.back.from : null;
  expect(armsOf(after), "I12 it stays on what it left").toEqual([{ revision: left, weight: 100 }]);
}

function pendingWasAsked({ before, after, effects }: StepTaken): void {
  const asked = [...effects, ...pendingEffects(before)];
  for (const effect of pendingEffects(after))
    if (effect.do !== "publish")
      expect(
        asked.some((known) => isDeepStrictEqual(known, effect)),
        "I15 what is waited for was asked for",
      ).toBe(true);
}

/** @throws an assertion that names the broken invariant. */
export function checkInvariants(taken: StepTaken): void {
  armsAreWhole(taken);
  armsAreTrusted(taken);
  operationsAreSettledOnce(taken);
  restIsSimple(taken);
  revisionsAreImmutable(taken);
  expect(taken.after.changes, "I8 changes never falls").toBeGreaterThanOrEqual(
    taken.before.changes,
  );
  expect(JSON.parse(JSON.stringify(taken.after)), "I11 the state is JSON").toStrictEqual(
    taken.after,
  );
  noTargetStays(taken);
  bakeIsOfWhatServes(taken);
  pendingWasAsked(taken);
}
