import fc from "fast-check";
import { expect, test } from "vitest";

import { countKey, countSchema, mergeCounts, type Count } from "./count.ts";

const total = fc.nat({ max: 1_000 });
const key = {
  gateway: "g1",
  incarnation: "i1",
  worker: 0,
  endpoint: "fraud-prod",
  revision: 1,
  arm: "assigned",
  interval: 3,
} as const;
const count = fc
  .record({ requests: total, errors: total, rejected: total })
  .map((totals): Count => ({ ...key, ...totals }));

test("told twice is told once", () => {
  fc.assert(
    fc.property(count, count, (a, b) => {
      expect(mergeCounts(undefined, a)).toEqual(a);
      expect(mergeCounts(a, a)).toEqual(a);
      const both = mergeCounts(a, b);
      expect(mergeCounts(both, b)).toEqual(both);
      expect(mergeCounts(both, a)).toEqual(both);
    }),
  );
});

test("the order in which counts come makes no difference", () => {
  fc.assert(
    fc.property(count, count, count, (a, b, c) => {
      expect(mergeCounts(a, b)).toEqual(mergeCounts(b, a));
      expect(mergeCounts(mergeCounts(a, b), c)).toEqual(mergeCounts(a, mergeCounts(b, c)));
    }),
  );
});

test("a life of growing totals, told with losses, repeats and out of order, ends at the last", () => {
  const life = fc
    .array(fc.tuple(total, total, total), { minLength: 1, maxLength: 10 })
    .map((steps) => {
      let [requests, errors, rejected] = [0, 0, 0];
      return steps.map(([more, failed, refused]): Count => {
        requests += more;
        errors += failed;
        rejected += refused;
        return { ...key, requests, errors, rejected };
      });
    });
  const told = life.chain((totals) =>
    fc.tuple(fc.constant(totals), fc.array(fc.constantFrom(...totals), { maxLength: 20 })),
  );
  fc.assert(
    fc.property(told, ([totals, messages]) => {
      const last = totals.at(-1);
      if (last === undefined) return;
      const known = [...messages, last, ...messages].reduce<Count | undefined>(
        mergeCounts,
        undefined,
      );
      expect(known).toEqual(last);
    }),
  );
});

test("every part of the key tells two counts apart, and the totals do not", () => {
  const base: Count = { ...key, requests: 1, errors: 0, rejected: 0 };
  const others: readonly Partial<Count>[] = [
    { gateway: "g2" },
    { incarnation: "i2" },
    { worker: 1 },
    { endpoint: "fraud-staging" },
    { revision: 2 },
    { arm: "probe" },
    { interval: 4 },
  ];
  const keys = [base, ...others.map((other) => ({ ...base, ...other }))].map(countKey);
  expect(new Set(keys).size).toBe(keys.length);
  expect(countKey({ ...base, requests: 99, errors: 9 })).toBe(countKey(base));
});

test("totals below 0 or in pieces are refused", () => {
  const base: Count = { ...key, requests: 1, errors: 0, rejected: 0 };
  expect(countSchema.parse(base)).toEqual(base);
  for (const other of [{ requests: -1 }, { errors: 0.5 }, { arm: "stable" }, { worker: "0" }])
    expect(countSchema.safeParse({ ...base, ...other }).success).toBe(false);
});
