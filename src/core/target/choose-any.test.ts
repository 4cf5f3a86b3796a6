/** What is so of every choice, whatever the facts. */
import fc from "fast-check";
import { expect, test } from "vitest";

import { digestOf, versionOf } from "../../../test/support/rollout-facts.ts";
import { facts, proven, revision, type Served } from "../../../test/support/target-facts.ts";
import { REVISION_STATUSES } from "../endpoint/index.ts";
import { versionLabel } from "../version/index.ts";
import {
  chooseTargets,
  semanticVersion,
  type Proof,
  type Target,
  type TargetFacts,
} from "./choose.ts";

const someName = fc.constantFrom("v1.0", "v1.1", "v1.2", "v2.0", "nightly", "canary-7", null);
const someServed = fc.record(
  {
    name: someName,
    revision: fc.constantFrom(...REVISION_STATUSES),
    version: fc.constantFrom(
      "pending" as const,
      "stable" as const,
      "failed" as const,
      "archived" as const,
    ),
    digest: fc.integer({ min: 1, max: 6 }),
    dtype: fc.constantFrom("FP32" as const, "FP32" as const, "FP64" as const),
    proof: fc.constantFrom<Proof>(proven, proven, { holds: false, why: "bytes differ" }),
  },
  { requiredKeys: ["name", "digest"] },
);

/** Facts with any mix of statuses, contents and proofs; one of the served revisions is left. */
const someFacts = fc
  .tuple(fc.array(someServed, { minLength: 1, maxLength: 12 }), fc.nat({ max: 11 }))
  .map(([served, index]): TargetFacts => {
    const all: Served[] = [...served, { name: "v1.5", revision: "stable", digest: 9 }];
    const made = facts("v1.5", ...all);
    const leaving = made.revisions[index % made.revisions.length] ?? made.leaving;
    const bad = new Set(
      all.flatMap((each) => (each.proof?.holds === false ? [digestOf(each.digest ?? 0)] : [])),
    );
    return {
      ...made,
      leaving,
      contract: leaving.signature,
      proof: (digest) => (bad.has(digest) ? { holds: false, why: "bytes differ" } : proven),
    };
  });

function category(target: Target, from: TargetFacts): number {
  const own = from.revisions.find((each) => each.revision === target.revision);
  if (own === undefined || own.revision > from.leaving.revision) return 3;
  return own.status === "stable" ? 1 : 2;
}

test("never a failed, aborted, rejected, archived or unproven one, nor the same content or another contract", () => {
  fc.assert(
    fc.property(someFacts, (from) => {
      for (const target of chooseTargets(from).targets) {
        const own = from.revisions.find((each) => each.revision === target.revision);
        expect(["stable", own === undefined ? "stable" : "provisional"]).toContain(
          own?.status ?? target.version.status,
        );
        expect(target.version.status).not.toBe("archived");
        expect(from.proof(target.version.digest).holds).toBe(true);
        expect(target.version.digest).not.toBe(from.leaving.digest);
        expect(target.version.signature).toEqual(from.contract);
        expect(target.why).not.toBe("");
      }
    }),
    { numRuns: 500 },
  );
});

test("everything looked at is a target or passed over with a reason", () => {
  fc.assert(
    fc.property(someFacts, (from) => {
      const { targets, passedOver } = chooseTargets(from);
      const mentioned = new Set([
        ...targets.map((target) => versionLabel(target.version)),
        ...passedOver.map((entry) => entry.version),
      ]);
      for (const entry of passedOver) expect(entry.why).not.toBe("");
      const before = from.revisions.filter((own) => own.revision < from.leaving.revision);
      const bare = semanticVersion(from.leaving.version.name) === null;
      const below = from.versions.filter(
        (version) => bare && version.sequence < from.leaving.version.sequence,
      );
      for (const version of [...before.map((own) => own.version), ...below])
        expect(mentioned).toContain(versionLabel(version));
    }),
    { numRuns: 500 },
  );
});

test("the order is kept: own stable, own provisional, others; newest first in each", () => {
  fc.assert(
    fc.property(someFacts, (from) => {
      const { targets } = chooseTargets(from);
      const categories = targets.map((target) => category(target, from));
      expect(categories).toEqual(categories.toSorted((a, b) => a - b));
      for (const wanted of [1, 2]) {
        const numbers = targets
          .filter((target) => category(target, from) === wanted)
          .map((target) => target.revision ?? 0);
        expect(numbers).toEqual(numbers.toSorted((a, b) => b - a));
      }
    }),
    { numRuns: 500 },
  );
});

test("the same facts give the same choice, whatever order the versions come in", () => {
  fc.assert(
    fc.property(someFacts, (from) => {
      const turned = { ...from, versions: from.versions.toReversed() };
      expect(chooseTargets(turned)).toEqual(chooseTargets(from));
    }),
    { numRuns: 300 },
  );
});

test("one more failed version never changes the targets", () => {
  fc.assert(
    fc.property(someFacts, someName, (from, name) => {
      const sequence = from.versions.length + 1;
      const failed = { ...versionOf(sequence, name), status: "failed" as const };
      const more = { ...from, versions: [...from.versions, failed] };
      expect(chooseTargets(more).targets).toEqual(chooseTargets(from).targets);
      const served = [...from.revisions, revision(99, failed, "failed")];
      expect(chooseTargets({ ...more, revisions: served }).targets).toEqual(
        chooseTargets(from).targets,
      );
    }),
    { numRuns: 300 },
  );
});
