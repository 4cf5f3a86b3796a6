import { expect, test } from "vitest";

import { countKey, countSchema, type Count } from "./count.ts";
import { evidenceSchema } from "./evidence.ts";

const key = {
  gateway: "g1",
  incarnation: "i1",
  worker: 0,
  endpoint: "fraud-prod",
  revision: 1,
  arm: "assigned",
  interval: 3,
} as const;
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

test("a gateway that does not tell pairs that both failed told of none", () => {
  const told = { pairs: 9, onlyCandidateBad: 1, onlyStableBad: 2, disagreed: 3 };
  const { pairs } = evidenceSchema.pick({ pairs: true }).parse({ pairs: told });
  expect(pairs).toEqual({ ...told, bothBad: 0, skipped: 0, latency: {}, outputs: [] });
});

test("an error without inputs, or with some of a later form, is an error all the same", () => {
  const error = { revision: 2, message: "it threw", count: 1, requestId: null };
  const inputs = { kind: "tensors", tensors: [], leftOut: 1 };
  const told = [error, { ...error, inputs }, { ...error, inputs: { kind: "sealed" } }];
  const { errors } = evidenceSchema.pick({ errors: true }).parse({ errors: told });
  expect(errors.map((each) => each.inputs)).toEqual([null, inputs, null]);
});
