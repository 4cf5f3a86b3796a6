import { beforeEach, describe, expect, test } from "vitest";

import { armsBy, plainRoute, WATCHED } from "../../../test/support/route-facts.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { Route } from "../../link/route/index.ts";
import {
  decide,
  guardedRevision,
  reasonOf,
  type BreakerFacts,
  type TargetHealth,
} from "./breaker.ts";
import { CrashLog } from "./crash-log.ts";
import { fingerprint } from "./fingerprint.ts";
import { HARD_LIMITS, type Breach } from "./hard-limits.ts";
import { strikeOf, Strikes } from "./strikes.ts";

function route(weights: Readonly<Record<number, number>>, change: Partial<Route> = {}): Route {
  return plainRoute({
    split: { salt: "s", arms: armsBy(weights) },
    watch: WATCHED,
    safeguards: { fallback: false, breaker: true },
    ...change,
  });
}

const healthy: TargetHealth = {
  revision: 1,
  label: "v1.0",
  doubt: null,
  crashes: 0,
  failures: 0,
  lastGoodAt: 90,
};
const invalid: Breach = { limit: "invalid", count: 20, since: 100, why: "output y holds NaN" };
const crashes: Breach = { limit: "crashes", count: 3, why: "signal SIGSEGV" };

function decided(change: Partial<BreakerFacts> = {}): ReturnType<typeof decide> {
  return decide({
    route: route({ 1: 50, 2: 50 }),
    revision: 2,
    breach: invalid,
    lastGoodAt: null,
    target: healthy,
    ...change,
  });
}

describe("whom hard limits act on", () => {
  test("the candidate while it has traffic, whatever its share", () => {
    expect(guardedRevision(route({ 1: 99, 2: 1 }))).toBe(2);
    expect(guardedRevision(route({ 2: 100 }))).toBe(2);
    expect(decided({ revision: 1 })).toEqual({ act: false, why: null });
  });

  test("at rest what serves, also where the breaker put it there", () => {
    expect(guardedRevision(route({ 3: 100 }, { watch: null }))).toBe(3);
    expect(guardedRevision(route({ 1: 100 }))).toBe(1);
    expect(guardedRevision(route({ 1: 50, 3: 50 }, { watch: null }))).toBeNull();
    expect(guardedRevision(route({}, { watch: null }))).toBeNull();
  });

  test("nobody where the safeguard is off", () => {
    const off = route({ 2: 100 }, { safeguards: { fallback: true, breaker: false } });
    expect(guardedRevision(off)).toBeNull();
    expect(decided({ route: off })).toEqual({ act: false, why: null });
  });
});

describe("when they act", () => {
  test("a limit that is reached acts while the target is healthy, with its exact count", () => {
    expect(decided()).toEqual({
      act: true,
      trigger: "limit",
      reason: "20 consecutive invalid answers: output y holds NaN",
    });
    expect(decided({ breach: crashes })).toMatchObject({ act: true, trigger: "limit" });
    const shed: Breach = { limit: "shed", count: 20, since: 100, why: "it threw" };
    expect(decided({ breach: shed })).toMatchObject({ act: true, trigger: "breaker" });
  });

  test("not where another worker got a good answer within the streak", () => {
    expect(decided({ lastGoodAt: 101 })).toEqual({ act: false, why: null });
    expect(decided({ lastGoodAt: 99 }).act).toBe(true);
    expect(decided({ lastGoodAt: 101, breach: crashes }).act).toBe(true);
  });

  test.each([
    [{ doubt: "still being loaded" }, "still being loaded"],
    [{ crashes: 1 }, "its process died within the last 60 s"],
    [{ failures: 3, lastGoodAt: 101 }, "3 requests in a row failed"],
    [{ failures: 1 }, "it answered nothing well meanwhile"],
    [{ failures: 1, lastGoodAt: null }, "it answered nothing well meanwhile"],
  ])("not while the target fails alike: %j", (change, why) => {
    expect(decided({ target: { ...healthy, ...change } })).toEqual({
      act: false,
      why: `v1.0 is not healthy either: ${why}`,
    });
  });

  test("a target's single failure between good answers is no outage", () => {
    const target = { ...healthy, failures: 2, lastGoodAt: 101 };
    expect(decided({ target }).act).toBe(true);
    expect(decided({ target: { ...healthy, failures: 2 }, breach: crashes }).act).toBe(true);
  });

  test("not to anything but the stable revision, and not to nothing", () => {
    expect(decided({ target: { ...healthy, revision: 7 } })).toMatchObject({
      act: false,
      why: "the stable revision 1 is not ready to take over",
    });
    expect(decided({ target: null }).act).toBe(false);
    const rest = route({ 2: 100 }, { watch: null });
    expect(decided({ route: rest, target: { ...healthy, revision: 7 } }).act).toBe(true);
  });
});

test("every breach has its words", () => {
  expect(
    [
      crashes,
      { limit: "unreachable", count: 23, since: 1, why: "ECONNREFUSED" } as const,
      { limit: "shed", count: 20, since: 1, why: "it threw" } as const,
      { limit: "neverReady", count: 3, why: "exit code 1" } as const,
      { limit: "neverReady", count: 1, why: "it does not match its digest" } as const,
    ].map(reasonOf),
  ).toEqual([
    "3 crashes of the model process within 60 s: signal SIGSEGV",
    "23 consecutive connection failures: ECONNREFUSED",
    "20 failed requests within 10 s that stable had no room to answer: it threw",
    "3 failed loads in a row: exit code 1",
    "it cannot be loaded: it does not match its digest",
  ]);
});

test.each([
  ["remote", { sent: false }, "unreachable"],
  ["remote", { sent: true }, "lost"],
  ["process", { sent: false }, "unreachable"],
  // It waited for a server that is being started again.
  ["process", {}, "other"],
  ["process", { unloaded: true }, "other"],
  ["onnx", {}, "other"],
] as const)("a %s that is unavailable with %j is %s", (runtime, details, kind) => {
  const error = new LastgoodError("runtime.unavailable", "it is not there", { details });
  expect(strikeOf(runtime, error)).toBe(kind);
});

describe("streaks in one worker", () => {
  let strikes: Strikes;
  beforeEach(() => {
    strikes = new Strikes();
  });
  const fail = (kind: "invalid" | "unreachable" | "other", times: number, from = 0) =>
    Array.from({ length: times }, (_, index) => strikes.failed(kind, `${index}`, from + index));

  test.each(["invalid", "unreachable"] as const)(
    "%s: the 20th in a row reaches the limit, the 19th does not",
    (kind) => {
      const told = fail(kind, 20, 5);
      expect(told.slice(0, 19).every((each) => each === null)).toBe(true);
      expect(told[19]).toEqual({ limit: kind, count: 20, since: 5, why: "19" });
    },
  );

  test("requests that one lost connection, or one crash, took together are one failure of 20", () => {
    const together = Array.from({ length: 100 }, () => strikes.lost("reset", 10, 50));
    expect(together.every((each) => each === null)).toBe(true);
    expect(strikes.report.failures).toBe(1);
    const later = Array.from({ length: 19 }, (_, index) =>
      strikes.lost("reset", 100 + index, 100 + index),
    );
    expect(later.slice(0, 18).every((each) => each === null)).toBe(true);
    expect(later[18]).toEqual({ limit: "unreachable", count: 20, since: 50, why: "reset" });
  });

  test("a good answer ends every streak", () => {
    fail("invalid", 19);
    strikes.good(50);
    expect(fail("invalid", 19).every((each) => each === null)).toBe(true);
    expect(strikes.report).toEqual({ failures: 19, lastGoodAt: 50 });
  });

  test("what throws between invalid answers is no valid one; what threw was connected", () => {
    fail("invalid", 19);
    fail("other", 1);
    expect(fail("invalid", 1)[0]).toMatchObject({ limit: "invalid", count: 20 });
    fail("unreachable", 19);
    fail("other", 1);
    expect(fail("unreachable", 19).every((each) => each === null)).toBe(true);
  });

  test("a limit that stays reached is told once a second", () => {
    const told = fail("invalid", 2_030).filter((each) => each !== null);
    expect(told.map((each) => each.count)).toEqual([20, 1_020, 2_020]);
  });

  test("20 within 10 s that stable had no room for reach the limit, spread wider they do not", () => {
    const sparse = Array.from({ length: 40 }, (_, index) => strikes.shed("", index * 600));
    expect(sparse.every((each) => each === null)).toBe(true);
    const dense = Array.from({ length: 20 }, (_, index) => strikes.shed("x", 50_000 + index));
    expect(dense.at(-1)).toEqual({ limit: "shed", count: 20, since: 50_000, why: "x" });
    expect(dense.slice(0, 19).every((each) => each === null)).toBe(true);
  });
});

describe("crashes as incidents", () => {
  const none = new Set<string>();

  test("a request that ends the process, and the replacement, is one incident", () => {
    const log = new CrashLog();
    log.died(0, "signal SIGFPE");
    log.killed(1, "a");
    expect(log.counted(2, none)).toEqual({ count: 1, why: "signal SIGFPE" });
    log.killed(3, "b");
    expect(log.counted(4, none).count).toBe(2);
    expect(log.killers(4)).toEqual(new Set(["a", "b"]));
  });

  test("a caller who sends it again makes another, unless it ends other revisions too", () => {
    const log = new CrashLog();
    for (let at = 0; at < 6; at += 2) {
      log.died(at, "signal SIGFPE");
      log.killed(at + 1, "a");
    }
    expect(log.counted(6, none).count).toBe(HARD_LIMITS.crashes);
    expect(log.counted(6, new Set(["a"])).count).toBe(0);
    log.died(7, "signal SIGKILL");
    expect(log.counted(8, new Set(["a"])).count).toBe(1);
  });

  test("they leave the window after 60 s, and the memory after 10 min", () => {
    const log = new CrashLog();
    log.died(0, "");
    log.killed(1, "a");
    expect(log.counted(59_999, none).count).toBe(1);
    expect(log.counted(60_000, none).count).toBe(0);
    expect(log.isForgotten(60_000)).toBe(false);
    expect(log.killers(600_000).size).toBe(0);
    expect(log.isForgotten(600_000)).toBe(true);
  });
});

test("a fingerprint follows name, type, shape and values", () => {
  const base = { name: "x", dtype: "FP32", shape: [2], data: Float32Array.of(1, 2) } as const;
  const others = [
    base,
    { ...base, name: "y" },
    { ...base, shape: [2, 1] },
    { ...base, data: Float32Array.of(1, 3) },
    { ...base, dtype: "INT32", data: Int32Array.of(1, 2) } as const,
    { ...base, dtype: "BYTES", data: ["1", "2"] } as const,
    { ...base, dtype: "BYTES", data: ["1,2", ""] } as const,
  ];
  expect(new Set(others.map((tensor) => fingerprint([tensor]))).size).toBe(others.length);
  expect(fingerprint([{ ...base, data: Float32Array.of(1, 2) }])).toBe(fingerprint([base]));
});
