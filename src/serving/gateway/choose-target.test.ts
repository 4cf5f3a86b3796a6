import { expect, test } from "vitest";

import { armsBy, plainRoute, routeRevision, WATCHED } from "../../../test/support/route-facts.ts";
import {
  parseDigest,
  parseEndpointName,
  parseModelName,
  parseVersionName,
} from "../../core/version/index.ts";
import type { Override } from "../../link/override/index.ts";
import type { Route, RouteRevision } from "../../link/route/index.ts";
import { byTrafficOnly, chooseTargets, leftBehind, onlyServing } from "./choose-target.ts";
import {
  effectiveRoute,
  namesVersion,
  overridden,
  refusal,
  sameSplit,
  taken,
} from "./endpoint-state.ts";
import type { RouteRecord } from "./route-file.ts";

function revision(number: number, name: string): RouteRevision {
  return routeRevision(number, {
    version: { model: parseModelName("fraud"), name: parseVersionName(name), sequence: number },
  });
}

const versions = [revision(1, "v1.0"), revision(2, "v1.1"), revision(3, "v2.0")];

function route(weights: Readonly<Record<number, number>>, targets: readonly number[]): Route {
  return plainRoute({
    order: { generation: 1, epoch: 2, sequence: 3 },
    split: { salt: "s", arms: armsBy(weights) },
    revisions: versions,
    targets: targets.map((number) => ({
      revision: number,
      version: versions.find((each) => each.revision === number)?.version.name ?? `v0.${number}`,
      digest: parseDigest(`sha256:${String(number).padStart(64, "0")}`),
      provenAt: null,
      why: "newest stable",
    })),
    passedOver: [{ version: "v0.9", why: "failed: error rate" }],
  });
}

const nobody = new Set<number>();
const sure = (): null => null;

test("the first target that is loaded and proven is chosen, the others stand by", () => {
  const choice = { route: route({ 3: 100 }, [2, 1]), left: nobody, version: null };
  const chosen = chooseTargets({ ...choice, doubt: sure });
  expect(chosen.candidates.map((each) => each.revision.revision)).toEqual([2, 1]);
  const doubted = chooseTargets({
    ...choice,
    doubt: (each) => (each.revision === 2 ? "label[0] is 1 (was 0)" : null),
  });
  expect(doubted.candidates.map((each) => each.revision.revision)).toEqual([1]);
  expect(doubted.passedOver).toEqual([
    { version: "v1.1", why: "label[0] is 1 (was 0)" },
    { version: "v0.9", why: "failed: error rate" },
  ]);
});

test("nothing proven is refused with everyone looked at", () => {
  const choice = { route: route({ 3: 100 }, [1, 9]), left: nobody, version: null };
  expect(() => chooseTargets({ ...choice, doubt: () => "still being loaded" })).toThrow(
    expect.objectContaining({
      code: "target.none",
      passedOver: [
        { version: "v1.0", why: "still being loaded" },
        { version: "v0.9", why: "not loaded in the gateway" },
        { version: "v0.9", why: "failed: error rate" },
      ],
    }),
  );
});

test("a target that a rollback just left is not gone back to", () => {
  const choice = { route: route({ 1: 100 }, [3, 2]), version: null, doubt: sure };
  const chosen = chooseTargets({ ...choice, left: new Set([3]) });
  expect(chosen.candidates.map((each) => each.revision.revision)).toEqual([2]);
  expect(chosen.passedOver).toContainEqual({ version: "v2.0", why: "a rollback just left it" });
});

test("what serves all requests is no target; what has no share of them may be one", () => {
  const choice = { left: nobody, version: null, doubt: sure };
  const chosen = chooseTargets({ ...choice, route: route({ 3: 100, 2: 0 }, [3, 2, 1]) });
  expect(chosen.candidates.map((each) => each.revision.revision)).toEqual([2, 1]);
});

function refused(version: string, why: string, hint = "the control plane"): unknown {
  return expect.objectContaining({
    code: "target.none",
    message: `fraud-prod cannot go back to ${version}`,
    hint: expect.stringContaining(hint) as string,
    passedOver: [{ version, why }],
  });
}

const previewed = { ...route({ 2: 100 }, [2, 1]), watch: { ...WATCHED, candidate: 3, stable: 2 } };

test("a candidate without traffic is what a rollback leaves; the breaker, who acts on traffic, does not see it", () => {
  const choice = { left: nobody, version: null, doubt: sure };
  const byHand = chooseTargets({ ...choice, route: previewed });
  expect(byHand.candidates.map((each) => each.revision.revision)).toEqual([2, 1]);
  expect(leftBehind(previewed, 2)?.revision).toBe(3);
  expect(leftBehind(previewed, 1)?.revision).toBe(3);
  expect(onlyServing(previewed)).toBeNull();
  expect(() => chooseTargets({ ...choice, version: "v2.0", route: previewed })).toThrow(
    refused("v2.0", "it is being rolled out, and is not proven yet"),
  );
  const seen = byTrafficOnly(previewed);
  const byBreaker = chooseTargets({ ...choice, route: seen });
  expect(byBreaker.candidates.map((each) => each.revision.revision)).toEqual([1]);
  expect([leftBehind(seen, 1)?.revision, onlyServing(seen)?.revision]).toEqual([2, 2]);
  const canary = { ...previewed, split: { salt: "s", arms: armsBy({ 2: 90, 3: 10 }) } };
  expect(byTrafficOnly(canary)).toBe(canary);
  expect(leftBehind(canary, 1)?.revision, "not the one that most requests leave").toBe(3);
});

test("a version is named by name, sequence number or model@version; the one that serves is refused", () => {
  const choice = { route: route({ 3: 100 }, [2, 1]), left: nobody, doubt: sure };
  for (const version of ["v1.0", "1", "fraud@v1.0", "fraud@1", "#1"])
    expect(chooseTargets({ ...choice, version }).candidates[0]?.revision.revision).toBe(1);
  expect(() => chooseTargets({ ...choice, version: "v2.0" })).toThrow(
    refused("v2.0", "it is serving already"),
  );
  expect(() => chooseTargets({ ...choice, version: "v9" })).toThrow(
    refused("v9", "not loaded in the gateway"),
  );
  expect(namesVersion("other@v1.0", revision(1, "v1.0"))).toBe(false);
});

test("of the targets that are the named version the first comes first", () => {
  const tuned = { ...revision(4, "v1.0"), version: revision(1, "v1.0").version };
  const both = { ...route({ 3: 100 }, [4, 1]), revisions: [...versions, tuned] };
  const chosen = chooseTargets({ route: both, left: nobody, version: "v1.0", doubt: sure });
  expect(chosen.candidates.map((each) => each.revision.revision)).toEqual([4, 1]);
});

test("naming a version that is rolled out, or only loaded, does not prove it", () => {
  const named = { left: nobody, version: "v2.0", doubt: sure };
  const instead = "`lastgood rollback fraud-prod` without --version goes to v1.1";
  const canary = route({ 2: 90, 3: 10 }, [2, 1]);
  const passedOver = [{ version: "v2.0", why: "the same content as the one to leave" }];
  expect(() => chooseTargets({ ...named, route: { ...canary, passedOver } })).toThrow(
    refused("v2.0", "it is being rolled out, and is not proven yet", instead),
  );
  const preparing = route({ 1: 100 }, [2]);
  expect(() => chooseTargets({ ...named, route: preparing })).toThrow(
    refused("v2.0", "it is loaded, but is no proven target", instead),
  );
  expect(() => chooseTargets({ ...named, route: preparing, left: new Set([2]) })).toThrow(
    refused("v2.0", "it is loaded, but is no proven target", "for any other version"),
  );
});

test("a named version that was passed over is refused with what the control plane said of it", () => {
  const choice = { route: route({ 3: 100 }, [2]), left: nobody, doubt: sure };
  for (const version of ["v0.9", "fraud@v0.9"])
    expect(() => chooseTargets({ ...choice, version })).toThrow(
      expect.objectContaining({
        passedOver: [{ version: "v0.9", why: "failed: error rate" }],
      }),
    );
  const doubted = { ...choice, version: "v1.1", doubt: () => "label[0] is 1 (was 0)" };
  expect(() => chooseTargets(doubted)).toThrow(refused("v1.1", "label[0] is 1 (was 0)"));
});

test("a version that a rollback just left is not gone back to by naming it either", () => {
  for (const targets of [[2], [3, 2]]) {
    const choice = { route: route({ 1: 100 }, targets), left: new Set([3]), doubt: sure };
    expect(() => chooseTargets({ ...choice, version: "v2.0" })).toThrow(
      refused("v2.0", "a rollback just left it", "goes to v1.1"),
    );
  }
});

test("in a canary the rollback goes to the stable arm and leaves the candidate", () => {
  const canary = route({ 2: 90, 3: 10 }, [2, 1]);
  const chosen = chooseTargets({ route: canary, left: nobody, version: null, doubt: sure });
  expect(chosen.candidates[0]?.revision.revision).toBe(2);
  expect(leftBehind(canary, 2)?.revision).toBe(3);
  expect(leftBehind(canary, 1)?.revision, "the one that most requests leave").toBe(2);
  expect(leftBehind(route({ 2: 100, 3: 0 }, []), 2)).toBeNull();
});

const override: Override = {
  id: "override-1",
  endpoint: parseEndpointName("fraud-prod"),
  kind: "rollback",
  over: { generation: 1, epoch: 2, sequence: 3 },
  from: 3,
  to: 1,
  at: 0,
  actor: "ann",
  reason: null,
  keepStatus: false,
  trigger: "manual",
  measured: {
    switchMs: 1,
    lastOldAdmittedMs: null,
    lastOldResponseMs: null,
    failedRequests: 0,
    verified: true,
    durable: true,
  },
};
const known: RouteRecord = { route: route({ 3: 100 }, [2, 1]), overrides: [] };

test("only a newer route is taken", () => {
  const order = (generation: number, epoch: number, sequence: number): Route => ({
    ...known.route,
    order: { generation, epoch, sequence },
  });
  expect(refusal(null, known.route)).toBeNull();
  expect(refusal(known, known.route)).toContain("not newer");
  expect(refusal(known, order(1, 1, 99))).toContain("not newer");
  expect(refusal(known, order(1, 2, 4))).toBeNull();
  expect(refusal(known, order(1, 3, 0))).toBeNull();
  expect(refusal(known, order(2, 0, 0))).toBeNull();
});

test("an override wins over every route that does not acknowledge it", () => {
  const standing = overridden(known, override);
  expect(effectiveRoute(standing).split.arms).toEqual([{ revision: 1, weight: 100 }]);
  const newer: Route = { ...known.route, order: { generation: 9, epoch: 0, sequence: 0 } };
  expect(refusal(standing, newer)).toContain("override-1");
  const acknowledging = { ...newer, acknowledges: ["override-1"] };
  expect(refusal(standing, acknowledging)).toBeNull();
  expect(taken(acknowledging)).toEqual({
    route: acknowledging,
    overrides: [],
  });
});

test("a split is the same whatever the order of its arms", () => {
  expect(sameSplit(route({ 2: 90, 3: 10 }, []), route({ 3: 10, 2: 90 }, []))).toBe(true);
  expect(sameSplit(route({ 2: 90, 3: 10 }, []), route({ 2: 80, 3: 20 }, []))).toBe(false);
});
