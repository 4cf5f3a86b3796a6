/** How long a waiting command waits where nobody said. */
import { expect, test } from "vitest";

import { PlannedWait } from "./deadline.ts";

const MINUTE = 60_000;
const HELD = { why: "too little traffic", since: 0 };

const left = (
  plannedLeftMs: number,
  held: typeof HELD | null = null,
): {
  readonly plannedLeftMs: number;
  readonly held: typeof HELD | null;
} => ({ plannedLeftMs, held });

test("it waits as long as is planned, and gives up 10 min after that", () => {
  const wait = new PlannedWait();
  for (let minute = 0; minute <= 90; minute++)
    expect(wait.overAfter(left((90 - minute) * MINUTE), minute * MINUTE)).toBeNull();
  expect(wait.overAfter(left(0), 99 * MINUTE)).toBeNull();
  expect(wait.overAfter(left(0), 100 * MINUTE)).toBe("10 min after its planned end");
});

test("while it is held it waits on: the server ends what stays undecided", () => {
  const wait = new PlannedWait();
  expect(wait.overAfter(left(10 * MINUTE), 0)).toBeNull();
  for (const minute of [10, 60, 300])
    expect(wait.overAfter(left(0, HELD), minute * MINUTE)).toBeNull();
  expect(wait.overAfter(left(0), 309 * MINUTE)).toBeNull();
  expect(wait.overAfter(left(0), 310 * MINUTE)).not.toBeNull();
});

test("a clock that stands, or a step begun anew, moves the end", () => {
  const wait = new PlannedWait();
  for (const minute of [0, 60, 120])
    expect(wait.overAfter(left(30 * MINUTE), minute * MINUTE)).toBeNull();
  expect(wait.overAfter(left(0), 155 * MINUTE)).toBeNull();
  expect(wait.overAfter(left(0), 160 * MINUTE)).not.toBeNull();
});

test("what is under way back has no plan, and its end is waited for a while", () => {
  const wait = new PlannedWait();
  expect(wait.overAfter(left(0), 1_000)).toBeNull();
  expect(wait.overAfter(left(0), 1_000 + 10 * MINUTE)).not.toBeNull();
});
