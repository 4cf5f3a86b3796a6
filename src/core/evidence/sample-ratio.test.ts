import fc from "fast-check";
import { expect, test } from "vitest";

import { codeOf } from "../../../test/support/refusal.ts";
import { drawBinomial, seededRandom } from "../../../test/support/seeded-random.ts";
import { sampleRatioMismatch } from "./sample-ratio.ts";

test("its mean over all assignments is 1 exactly", () => {
  for (const [share, total] of [
    [0.1, 20],
    [0.5, 9],
  ] as const) {
    let mean = 0;
    let probability = (1 - share) ** total;
    for (let candidate = 0; candidate <= total; candidate += 1) {
      const assigned = [candidate, total - candidate];
      mean += probability * Math.exp(sampleRatioMismatch(assigned, [share, 1 - share], 50));
      probability *= ((total - candidate) / (candidate + 1)) * (share / (1 - share));
    }
    expect(mean).toBeCloseTo(1, 12);
  }
});

test("the right split is not suspected, one that is off by half is", () => {
  const random = seededRandom(5);
  const assign = (share: number): number =>
    Array.from({ length: 20 }, () => drawBinomial(random, 500, share)).reduce((a, b) => a + b);
  const suspected = (share: number): number =>
    Array.from({ length: 200 }, () => assign(share)).filter(
      (candidate) =>
        sampleRatioMismatch([candidate, 10_000 - candidate], [0.1, 0.9]) >= Math.log(1_000),
    ).length;
  expect(suspected(0.1)).toBeLessThanOrEqual(1);
  expect(suspected(0.12)).toBeGreaterThan(100);
});

test("every number is finite up to 10^12 requests", () => {
  const count = fc.integer({ min: 0, max: 1e12 });
  const share = fc.double({ min: 1e-6, max: 1 - 1e-6, noNaN: true });
  fc.assert(
    fc.property(count, count, share, (candidate, stable, part) => {
      expect(Number.isFinite(sampleRatioMismatch([candidate, stable], [part, 1 - part]))).toBe(
        true,
      );
    }),
  );
});

test("at large counts it is what the normal approximation says", () => {
  // Two standard deviations of 10^12 requests: ln E = z^2 / 2 - ln(sqrt(n / k)) for n far above k.
  const off = 2 * Math.sqrt(1e12 * 0.25);
  const log = sampleRatioMismatch([5e11 + off, 5e11 - off], [0.5, 0.5]);
  expect(log).toBeCloseTo(2 - 0.5 * Math.log(1e12 / 1e4), 3);
});

const impossible: readonly (readonly [string, () => unknown])[] = [
  ["one arm", () => sampleRatioMismatch([1], [1])],
  ["an arm without a share", () => sampleRatioMismatch([1, 1, 1], [0.5, 0.5])],
  ["shares that sum to more", () => sampleRatioMismatch([1, 1], [0.5, 0.6])],
  ["a share of 0", () => sampleRatioMismatch([1, 1], [0, 1])],
  ["a negative count", () => sampleRatioMismatch([1, -1], [0.5, 0.5])],
  ["no concentration", () => sampleRatioMismatch([1, 1], [0.5, 0.5], 0)],
];
for (const [name, run] of impossible)
  test(`${name} is refused`, () => {
    expect(codeOf(run)).toBe("evidence.invalid");
  });
