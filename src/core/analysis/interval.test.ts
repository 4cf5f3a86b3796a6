import fc from "fast-check";
import { expect, test } from "vitest";

import { addArmCounts, batchRows, noArmCounts } from "./index.ts";

const count = fc.nat({ max: 1_000 });
const arms = fc
  .record({
    requests: count,
    errors: count,
    aborted: count,
    shed: count,
    latency: fc.dictionary(
      fc.constantFrom("1", "2", "7"),
      fc.uniqueArray(fc.tuple(fc.integer({ min: -9, max: 9 }), fc.integer({ min: 1, max: 9 })), {
        selector: ([bucket]) => bucket,
      }),
    ),
    outputs: fc.dictionary(fc.constantFrom("a", "constructor", "__proto__"), count),
    inputs: fc.array(fc.array(count, { maxLength: 3 }), { maxLength: 3 }),
  })
  .map((some) => ({ ...noArmCounts(), ...some }));

test("counts of several sources are the same sum in whatever order", () => {
  const none = addArmCounts(noArmCounts(), noArmCounts());
  fc.assert(
    fc.property(arms, arms, arms, (one, other, third) => {
      expect(addArmCounts(one, other)).toEqual(addArmCounts(other, one));
      const left = addArmCounts(addArmCounts(one, other), third);
      expect(left).toEqual(addArmCounts(one, addArmCounts(other, third)));
      expect(addArmCounts(addArmCounts(one, none), none)).toEqual(addArmCounts(one, none));
    }),
  );
});

test("batches of one size differ by less than the slowdown that is tolerated", () => {
  const smallest = new Map<number, number>();
  for (let rows = 1; rows <= 5_000; rows += 1) {
    const size = batchRows(rows);
    const least = smallest.get(size) ?? rows;
    smallest.set(size, least);
    expect(rows / least).toBeLessThan(1.07);
  }
  expect(smallest.size).toBeLessThan(160);
});
