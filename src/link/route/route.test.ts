import { isDeepStrictEqual } from "node:util";

import fc from "fast-check";
import { expect, test } from "vitest";

import { routeOf } from "../../../test/support/link-messages.ts";
import { compareOrder, generationOver, mainArm, routeSchema, type RouteOrder } from "./route.ts";

const place = fc.nat({ max: 3 });
const order = fc.record(
  { generation: place, epoch: place, sequence: place },
  { noNullPrototype: true },
);

test("orders of routes are total: of two that differ, one is newer", () => {
  fc.assert(
    fc.property(order, order, order, (a, b, c) => {
      expect(compareOrder(a, a)).toBe(0);
      expect(Math.sign(compareOrder(a, b))).toBe(0 - Math.sign(compareOrder(b, a)));
      expect(compareOrder(a, b) === 0).toBe(isDeepStrictEqual(a, b));
      const ascending = compareOrder(a, b) <= 0 && compareOrder(b, c) <= 0;
      expect(!ascending || compareOrder(a, c) <= 0).toBe(true);
    }),
    { numRuns: 500 },
  );
});

function at(generation: number, epoch: number, sequence: number): RouteOrder {
  return { generation, epoch, sequence };
}

test("the generation in which what is sent is newer than what a gateway knows", () => {
  const ours = { generation: 3, epoch: 5 };
  expect(generationOver(ours, [])).toBe(3);
  expect(generationOver(ours, [at(3, 5, 99), at(3, 4, 99), at(2, 9, 9)]), "ours and older").toBe(3);
  expect(generationOver(ours, [at(3, 6, 1)]), "an epoch that a restored store has not begun").toBe(
    4,
  );
  expect(generationOver(ours, [at(7, 4, 1)]), "our epoch is later there").toBe(7);
  expect(generationOver(ours, [at(7, 5, 1), at(3, 8, 1)])).toBe(8);
  fc.assert(
    fc.property(order, fc.array(order), (own, known) => {
      const sent = at(generationOver(own, known), own.epoch, 1);
      const others = known.filter(
        ({ generation, epoch }) => generation !== own.generation || epoch !== own.epoch,
      );
      expect(others.filter((other) => compareOrder(sent, other) <= 0)).toEqual([]);
    }),
  );
});

test("generation goes before epoch, epoch before sequence", () => {
  expect(compareOrder(at(2, 0, 0), at(1, 9, 9))).toBeGreaterThan(0);
  expect(compareOrder(at(1, 2, 0), at(1, 1, 9))).toBeGreaterThan(0);
  expect(compareOrder(at(1, 1, 2), at(1, 1, 1))).toBeGreaterThan(0);
});

test("the main arm is the one with the most traffic", () => {
  const route = routeOf();
  const split = (...weights: number[]): typeof route => ({
    ...route,
    split: { salt: "s", arms: weights.map((weight, index) => ({ revision: index + 1, weight })) },
  });
  expect(mainArm(split())).toBeNull();
  expect(mainArm(split(100))).toBe(1);
  expect(mainArm(split(10, 90))).toBe(2);
});

test("a route comes through JSON, and one with a piece missing is refused", () => {
  const route = routeOf();
  expect(routeSchema.parse(JSON.parse(JSON.stringify(route)))).toEqual(route);
  for (const key of Object.keys(route)) {
    const { [key as keyof typeof route]: gone, ...rest } = route;
    expect(gone).not.toBeUndefined();
    // What came with a later release is left out by routes that an earlier one wrote to disk.
    const isLater = ["watch", "safeguards", "predictions"].includes(key);
    expect(routeSchema.safeParse(rest).success, `without ${key}`).toBe(isLater);
  }
});

const wrong: readonly (readonly [string, unknown])[] = [
  ["a weight above 100", { split: { salt: "s", arms: [{ revision: 1, weight: 101 }] } }],
  ["a weight below 0", { split: { salt: "s", arms: [{ revision: 1, weight: -1 }] } }],
  ["revision 0", { split: { salt: "s", arms: [{ revision: 0, weight: 100 }] } }],
  ["a sequence that is no whole number", { order: { generation: 1, epoch: 1, sequence: 0.5 } }],
  ["an endpoint's name that leaves its folder", { endpoint: "../x" }],
  [
    "a target with another kind of digest",
    { targets: [{ ...routeOf().targets[0], digest: "md5:x" }] },
  ],
];
for (const [what, fields] of wrong)
  test(`a route with ${what} is refused`, () => {
    const told = JSON.parse(JSON.stringify(routeOf())) as Record<string, unknown>;
    expect(routeSchema.safeParse({ ...told, ...(fields as object) }).success).toBe(false);
  });
