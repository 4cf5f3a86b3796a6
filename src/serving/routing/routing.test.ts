import fc from "fast-check";
import { expect, test } from "vitest";

import { armsBy, plainRoute, routeRevision } from "../../../test/support/route-facts.ts";
import { parseEndpointName, parseModelName, parseVersionName } from "../../core/version/index.ts";
import { DEFAULT_LIMITS, type Route, type RouteRevision } from "../../link/route/index.ts";
import { CompiledRoute } from "./compiled-route.ts";
import { RouteTable } from "./route-table.ts";
import { stickyArm, type WeightedArm } from "./sticky.ts";

const IRIS = parseModelName("iris");

function revisionOf(number: number, name: string | null = `v${number}.0`): RouteRevision {
  const version = { model: IRIS, name: name === null ? null : parseVersionName(name) };
  return routeRevision(number, { version: { ...version, sequence: number } });
}

function route(
  endpoint: string,
  weights: Readonly<Record<number, number>>,
  model = "iris",
): CompiledRoute {
  const arms = armsBy(weights);
  return new CompiledRoute(
    plainRoute({
      endpoint: parseEndpointName(endpoint),
      model: parseModelName(model),
      split: { salt: "s", arms },
      revisions: arms.map((arm) => revisionOf(arm.revision)),
    }),
  );
}

function split(weight: number): readonly WeightedArm[] {
  return [
    { revision: 1, weight: 100 - weight },
    { revision: 2, weight },
  ];
}

const threeArms: readonly WeightedArm[] = [
  { revision: 1, weight: 60 },
  { revision: 2, weight: 30 },
  { revision: 3, weight: 10 },
];

test("raising a weight only ever moves keys from stable to candidate", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string(), { minLength: 1, maxLength: 40 }),
      fc.string(),
      fc.integer({ min: 0, max: 100 }),
      fc.integer({ min: 0, max: 100 }),
      (keys, salt, one, other) => {
        const [low, high] = one < other ? [one, other] : [other, one];
        const candidates = (weight: number): readonly string[] =>
          keys.filter((key) => stickyArm(split(weight), salt, key) === 2);
        expect(candidates(high)).toEqual(expect.arrayContaining([...candidates(low)]));
      },
    ),
  );
});

test("sticky keys are shared out by weight", () => {
  const keys = Array.from({ length: 20_000 }, (_, index) => `user-${index}`);
  for (const { revision, weight } of threeArms) {
    const share =
      keys.filter((key) => stickyArm(threeArms, "salt", key) === revision).length / keys.length;
    expect(Math.abs(share - weight / 100)).toBeLessThan(0.01);
  }
});

test("a key stays with its arm over a restart and over an upgrade", () => {
  const known = {
    ada: 2,
    grace: 2,
    käte: 1,
    "客户-7": 1,
    "": 3,
    "user-1": 1,
    "user-2": 2,
    "user-3": 1,
    "user-4": 3,
    "user-5": 1,
  };
  for (const [key, arm] of Object.entries(known))
    expect(stickyArm(threeArms, "salt", key), key).toBe(arm);
});

test("random numbers are shared out exactly by weight, and weight 0 gets nothing", () => {
  const compiled = route("iris-prod", { 1: 75, 2: 25, 3: 0 });
  const picked = Array.from({ length: 1_000 }, (_, index) => compiled.pick(null, index / 1_000));
  expect(picked.filter((revision) => revision === 1)).toHaveLength(750);
  expect(picked.filter((revision) => revision === 2)).toHaveLength(250);
});

test("an endpoint without arms picks nothing", () => {
  expect(route("iris-prod", {}).pick(null, 0.5)).toBeNull();
  expect(route("iris-prod", {}).pick("key", 0.5)).toBeNull();
});

test("what is taken in before the arm is chosen is what the most generous revision takes", () => {
  const { bodyBytes, queue } = DEFAULT_LIMITS;
  const plain = route("a", { 1: 90, 2: 10 }).route;
  const generous = { ...DEFAULT_LIMITS, bodyBytes: bodyBytes * 2, queue: queue * 2 };
  const revisions = [{ ...revisionOf(1), limits: generous }, revisionOf(2)];
  expect(new CompiledRoute({ ...plain, revisions })).toMatchObject({
    bodyBytes: bodyBytes * 2,
    queue: queue * 2,
  });
  expect(route("a", {}), "while nothing is served").toMatchObject({ bodyBytes, queue });
});

test("a URL finds an endpoint by name, and by its model's name while that is unambiguous", () => {
  const one = new RouteTable([route("iris-prod", { 1: 100 })], null);
  expect(one.find("iris-prod").endpoint).toBe("iris-prod");
  expect(one.find("iris").endpoint).toBe("iris-prod");
  const two = one.with(route("iris-staging", { 1: 100 }));
  expect(() => two.find("iris")).toThrow(
    'several endpoints serve the model "iris": iris-prod, iris-staging',
  );
  expect(() => two.find("fraud")).toThrow('no endpoint is named "fraud"');
  expect(two.find("iris-staging").endpoint).toBe("iris-staging");
});

test("the default endpoint is the only one, else the configured one, else a 404 that lists names", () => {
  const only = new RouteTable([route("b", { 1: 100 })], null);
  expect(only.find(null).endpoint).toBe("b");
  const two = only.with(route("a", { 1: 100 }, "other"));
  expect(() => two.find(null)).toThrow("there are: a, b");
  expect(() => new RouteTable([], null).find(null)).toThrow("nothing is served yet");
  expect(new RouteTable(two.routes(), "b").find(null).endpoint).toBe("b");
});

test("a version in a URL means its newest revision, those with traffic first", () => {
  const plain = route("a", { 1: 90, 2: 10, 3: 0 }).route;
  const again = { version: revisionOf(1).version };
  const compiled = new CompiledRoute({
    ...plain,
    revisions: [
      { ...revisionOf(3), ...again },
      { ...revisionOf(4), ...again },
      revisionOf(1),
      revisionOf(2),
    ],
  });
  expect(compiled.ofVersion("v1.0").map((each) => each.revision)).toEqual([1, 4, 3]);
  expect(compiled.ofVersion("2").map((each) => each.revision)).toEqual([2]);
  expect(compiled.ofVersion("v9")).toEqual([]);
});

test("stable and canary are labels of what a rollout compares, where no version is named so", () => {
  const plain = route("a", { 1: 90, 2: 10 }).route;
  const labelled = (more: Partial<Route>): (number | undefined)[] =>
    ["stable", "canary"].map(
      (label) => new CompiledRoute({ ...plain, ...more }).ofVersion(label)[0]?.revision,
    );
  expect(labelled({})).toEqual([1, undefined]);
  const watch = {
    rollout: "r",
    candidate: 2,
    stable: 1,
    candidateShare: 0.1,
    flushMs: 1,
    deadlineMs: 1,
    mirror: null,
    inputs: null,
  };
  expect(labelled({ watch })).toEqual([1, 2]);
  // As the control plane has it at rest: what serves is counted, and nothing is rolled out.
  const only = { ...plain.split, arms: [{ revision: 2, weight: 100 }] };
  expect(labelled({ split: only, watch: { ...watch, stable: null } })).toEqual([2, undefined]);
  expect(labelled({ watch, revisions: [revisionOf(1, "canary"), revisionOf(2)] })).toEqual([1, 1]);
});
