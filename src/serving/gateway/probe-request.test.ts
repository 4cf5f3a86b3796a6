import { expect, test } from "vitest";

import { answerDifference } from "./probe-request.ts";

test("answers agree when their numbers do within the golden tolerance", () => {
  expect(answerDifference('{"a":[1,0.5,-2e-3]}', '{"a":[1,0.50001,-0.002]}')).toBeNull();
  expect(answerDifference('{"a":[1,0.5]}', '{"a":[1,0.501]}')).toBe(
    "0.501 was answered where 0.5 was recorded",
  );
});

test("whole numbers, text and form have to agree exactly", () => {
  expect(answerDifference('{"label":[100000]}', '{"label":[100001]}')).toContain("100001");
  expect(answerDifference('{"label":["a"]}', '{"label":["b"]}')).toContain("another form");
  expect(answerDifference("[1,2]", "[1,2,3]")).toContain("another form");
  expect(answerDifference("[NaN]", "[NaN]")).toBeNull();
});

test("a float that came out whole agrees with its neighbour", () => {
  expect(answerDifference("[1]", "[0.99999]")).toBeNull();
});
