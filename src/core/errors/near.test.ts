import { expect, test } from "vitest";

import { didYouMean, nearNames } from "./near.ts";

test("names that are a slip away are found, the nearest first", () => {
  expect(nearNames("v1.1", ["v2.0", "v1.10", "v1.0", "v1.2", "v3"])).toEqual([
    "v1.10",
    "v1.0",
    "v1.2",
  ]);
  expect(nearNames("FRAUD", ["fraud", "iris"])).toEqual(["fraud"]);
  expect(nearNames("champ", ["champion", "staging"])).toEqual(["champion"]);
  expect(nearNames("x", ["iris", "digits"])).toEqual([]);
  expect(nearNames("", ["iris"])).toEqual([]);
});

test("the question names them all, or is not asked", () => {
  expect(didYouMean(["a", "b"])).toBe("did you mean a or b?");
  expect(didYouMean([])).toBeUndefined();
});
