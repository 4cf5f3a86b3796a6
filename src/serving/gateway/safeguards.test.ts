import { expect, test } from "vitest";

import { armsBy, plainRoute, routeRevision, WATCHED } from "../../../test/support/route-facts.ts";
import { DEFAULT_LIMITS, type Route, type RouteRevision } from "../../link/route/index.ts";
import { fallbackRoom, patienceOf, standInOf } from "./safeguards.ts";

function revision(number: number, input = "x"): RouteRevision {
  const signature: RouteRevision["signature"] = {
    inputs: [{ name: input, kind: "tensor", dtype: "FP32", shape: [-1, 1] }],
    outputs: [],
  };
  return routeRevision(number, { signature, contract: signature });
}

function route(change: Partial<Route> = {}): Route {
  return plainRoute({
    split: { salt: "s", arms: armsBy({ 2: 100 }) },
    revisions: [revision(1), revision(2), revision(3)],
    watch: WATCHED,
    safeguards: { fallback: true, breaker: false },
    ...change,
  });
}

test("stable answers for the candidate that is watched, and for nobody else", () => {
  expect(standInOf(route())).toEqual({ candidate: 2, stable: 1 });
  expect(standInOf(route({ safeguards: { fallback: false, breaker: true } }))).toBeNull();
  expect(standInOf(route({ watch: null }))).toBeNull();
  const { watch } = route();
  if (watch === null) throw new Error("no watch");
  expect(standInOf(route({ watch: { ...watch, stable: null } }))).toBeNull();
  expect(standInOf(route({ revisions: [revision(2)] }))).toBeNull();
});

test("nobody answers where stable does not take what callers send the candidate", () => {
  expect(standInOf(route({ revisions: [revision(1), revision(2, "y")] }))).toBeNull();
});

test("both arms leave the same time for a second answer, and only the candidate is not waited for", () => {
  const standIn = { candidate: 2, stable: 1 };
  expect(patienceOf(revision(2), standIn)).toEqual({ timeoutMs: 29_000, waitMs: 1_000 });
  expect(patienceOf(revision(1), standIn)).toEqual({ timeoutMs: 29_000, waitMs: 29_000 });
  for (const given of [patienceOf(revision(3), standIn), patienceOf(revision(2), null)])
    expect(given).toEqual({ timeoutMs: 30_000, waitMs: 30_000 });
  const quick = { ...revision(2), limits: { ...DEFAULT_LIMITS, timeoutMs: 200 } };
  expect(patienceOf(quick, standIn)).toEqual({ timeoutMs: 180, waitMs: 180 });
});

test("there is room for a quarter of what stable takes, and for one at least", () => {
  expect(fallbackRoom(DEFAULT_LIMITS)).toBe(256);
  expect(fallbackRoom({ ...DEFAULT_LIMITS, queue: 2 })).toBe(1);
});
