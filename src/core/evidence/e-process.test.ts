import fc from "fast-check";
import { expect, test } from "vitest";

import { codeOf } from "../../../test/support/refusal.ts";
import { LOG_WEIGHTS } from "./bet-grid.ts";
import { addIncrements, logE, startEProcess, type EProcess } from "./e-process.ts";
import { splitBet } from "./split-bet.ts";

const exact = { relative: 1, absolute: 0, centre: 0 };
const interval = fc
  .record({
    requests: fc.integer({ min: 1, max: 200 }),
    bad: fc.integer({ min: 0, max: 3 }),
    stableRequests: fc.integer({ min: 1, max: 2_000 }),
    stableBad: fc.integer({ min: 0, max: 9 }),
  })
  .map(({ requests, bad, stableRequests, stableBad }) =>
    splitBet(
      {
        candidate: { requests, bad: Math.min(bad, requests) },
        stable: { requests: stableRequests, bad: Math.min(stableBad, stableRequests) },
      },
      exact,
    ),
  );
const intervals = fc.array(interval, { minLength: 1, maxLength: 30 });
const plain = startEProcess({ bets: "regression", horizon: null });

const after = (start: EProcess, all: readonly (readonly number[])[]): EProcess =>
  all.reduce((state, increments) => addIncrements(state, increments), start);
const nearly = (a: number, b: number): boolean =>
  Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));

test("it starts with a stake of 1, or half of it with the rest to come", () => {
  expect(logE(plain)).toBeCloseTo(0, 14);
  expect(logE(startEProcess({ bets: "safety", horizon: null }))).toBeCloseTo(0, 14);
  expect(logE(startEProcess({ bets: "regression", horizon: 7 }))).toBeCloseTo(Math.log(0.5), 14);
});

test("intervals may come in any order", () => {
  fc.assert(
    fc.property(intervals, (all) => {
      expect(nearly(logE(after(plain, all)), logE(after(plain, all.toReversed())))).toBe(true);
    }),
  );
});

test("two workers' wealth adds up", () => {
  fc.assert(
    fc.property(intervals, intervals, (one, two) => {
      const [first, second] = [after(plain, one), after(plain, two)];
      const merged = {
        ...plain,
        logWealth: first.logWealth.map((log, bet) => log + (second.logWealth[bet] ?? NaN)),
      };
      expect(nearly(logE(merged), logE(after(first, two)))).toBe(true);
    }),
  );
});

test("stored and read back it goes on to the same digits", () => {
  const horizons = fc.option(fc.integer({ min: 1, max: 100 }));
  fc.assert(
    fc.property(horizons, intervals, intervals, (horizon, before, later) => {
      const state = after(startEProcess({ bets: "regression", horizon }), before);
      const stored = JSON.parse(JSON.stringify(state)) as EProcess;
      expect(stored).toEqual(state);
      expect(after(stored, later)).toEqual(after(state, later));
    }),
  );
});

test("restarting costs at most half of the wealth", () => {
  fc.assert(
    fc.property(intervals, fc.integer({ min: 1, max: 40 }), (all, horizon) => {
      const restarted = logE(after(startEProcess({ bets: "regression", horizon }), all));
      expect(restarted).toBeGreaterThanOrEqual(logE(after(plain, all)) - Math.log(2) - 1e-9);
    }),
  );
});

test("all stakes of a restarted process sum to 1, and none is added beyond the horizon", () => {
  const nothing = LOG_WEIGHTS.regression.map(() => 0);
  let state = startEProcess({ bets: "regression", horizon: 5 });
  for (const total of [0.6, 0.7, 0.8, 0.9, 1, 1, 1]) {
    state = addIncrements(state, nothing);
    expect(Math.exp(logE(state))).toBeCloseTo(total, 12);
  }
  expect(state.intervals).toBe(7);
});

test("dispersion divides what is added", () => {
  fc.assert(
    fc.property(interval, fc.double({ min: 1, max: 50, noNaN: true }), (increments, dispersion) => {
      const { logWealth } = addIncrements(plain, increments, { dispersion });
      expect(logWealth).toEqual(increments.map((increment) => increment / dispersion));
    }),
  );
});

const increments = LOG_WEIGHTS.regression.map(() => 0.1);
const impossible: readonly (readonly [string, () => unknown])[] = [
  ["a horizon of nothing", () => startEProcess({ bets: "regression", horizon: 0 })],
  ["half an interval", () => startEProcess({ bets: "regression", horizon: 1.5 })],
  ["an endless horizon", () => startEProcess({ bets: "regression", horizon: Infinity })],
  ["increments of another family", () => addIncrements(plain, increments.slice(8))],
  ["an endless increment", () => addIncrements(plain, increments.with(3, -Infinity))],
  ["a dispersion below 1", () => addIncrements(plain, increments, { dispersion: 0.5 })],
  ["an endless dispersion", () => addIncrements(plain, increments, { dispersion: Infinity })],
];
for (const [name, run] of impossible)
  test(`${name} is refused`, () => {
    expect(codeOf(run)).toBe("evidence.invalid");
  });
