import { expect, test } from "vitest";

import { codeOf } from "../../../test/support/refusal.ts";
import { drawBinomial, seededRandom } from "../../../test/support/seeded-random.ts";
import { dispersionIndex, estimateDispersion } from "./dispersion.ts";

const random = seededRandom(3);
/** Bad events of an interval that come in clusters of `size`. */
const clusters = (size: number, intervals: number) =>
  Array.from({ length: intervals }, () => ({
    requests: 1_000,
    bad: size * drawBinomial(random, 1_000, 0.01 / size),
  }));

test("independent events have a dispersion of about 1, clusters of m one of about m", () => {
  const independent = estimateDispersion(clusters(1, 500));
  expect(independent).toBeGreaterThanOrEqual(1);
  expect(independent).toBeLessThan(1.25);
  const clustered = estimateDispersion(clusters(8, 500));
  expect(clustered).toBeGreaterThan(6);
  expect(clustered).toBeLessThan(10);
});

test("too little is no dispersion", () => {
  const bursts = clusters(8, 60);
  expect(estimateDispersion(bursts)).toBeGreaterThan(3);
  expect(estimateDispersion(bursts.slice(0, 29))).toBe(1);
  const rare = bursts.map((interval, index) => ({ ...interval, bad: index === 0 ? 19 : 0 }));
  expect(estimateDispersion(rare)).toBe(1);
  expect(estimateDispersion([])).toBe(1);
});

test("intervals without requests are no intervals", () => {
  const bursts = clusters(8, 40);
  const empty = Array.from({ length: 50 }, () => ({ requests: 0, bad: 0 }));
  expect(estimateDispersion([...empty, ...bursts])).toBe(estimateDispersion(bursts));
  expect(estimateDispersion([...empty, ...bursts.slice(0, 29)])).toBe(1);
});

test("outcomes that are all alike have none", () => {
  const all = Array.from({ length: 40 }, () => ({ requests: 10, bad: 10 }));
  expect(dispersionIndex(all)).toBeNull();
  expect(estimateDispersion(all)).toBe(1);
});

test("more bad than there are is refused", () => {
  expect(codeOf(() => estimateDispersion([{ requests: 1, bad: 2 }]))).toBe("evidence.invalid");
});
