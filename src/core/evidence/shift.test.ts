import { expect, test } from "vitest";

import { populationStability, rejectedByEvidence } from "./shift.ts";

test("G12: the population stability index", () => {
  const psi = populationStability([0.5, 0.3, 0.2], [0.45, 0.25, 0.3]);
  expect(psi).toBeCloseTo(0.0549306144334, 12);
  expect(populationStability([0.5, 0.5], [0.5, 0.5])).toBe(0);
  expect(populationStability([1, 0], [0, 1])).toBeGreaterThan(10);
});

test("G14: e-BH", () => {
  const logs = [3, 1000, 1, 50, 30].map(Math.log);
  expect(rejectedByEvidence(logs, 0.1)).toEqual([1, 3, 4]);
  expect(rejectedByEvidence([0, 0, 0], 0.1)).toEqual([]);
  expect(rejectedByEvidence([], 0.1)).toEqual([]);
});
