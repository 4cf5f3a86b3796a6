import { expect, test } from "vitest";

import { KINDS, soakParts } from "./soak-parts.ts";

const soak = { seed: 2 ** 31 - 5, scale: 100, kinds: KINDS };

test("the parts of a soak are all that it was asked for, each kind from the start", () => {
  const parts = soakParts(soak);
  for (const kind of KINDS) {
    const own = parts.filter((part) => part.kind === kind);
    expect(own.reduce((sum, { runs }) => sum + runs, 0)).toBe(kind.usual * soak.scale);
    expect(own[0]?.number).toBeLessThanOrEqual(parts.length / 2);
  }
  expect(parts.map(({ number }) => number)).toEqual(parts.map((_, at) => at + 1));
});

test("a part is the same whenever it is run, and no two try the same histories", () => {
  const parts = soakParts(soak);
  expect(soakParts(soak)).toEqual(parts);
  const seeds = parts.map(({ seed }) => seed).toSorted((a, b) => a - b);
  for (const [at, seed] of seeds.entries())
    expect((seeds[at + 1] ?? Number.POSITIVE_INFINITY) - seed).toBeGreaterThan(1_000);
  for (const seed of seeds) expect(seed).toBeLessThan(2 ** 31);
});

test("a small soak has small parts", () => {
  const [only] = soakParts({
    seed: 7,
    scale: 1,
    kinds: KINDS.filter(({ name }) => name === "world"),
  });
  expect(only).toMatchObject({ number: 1, seed: 7, runs: 250 });
});
