import { expect, test } from "vitest";

import { Crowd } from "./crowd.ts";

test("a request sees the others of all workers, when it is sent and when it is answered", async () => {
  const room = Crowd.room();
  const [one, other] = [new Crowd(room, 0), new Crowd(room, 7)];
  expect([one.enter(), other.enter()]).toEqual([0, 1]);
  const answered = one.during(async () => {
    other.enter();
    await Promise.resolve();
    return { rows: 3 };
  });
  expect(await answered).toEqual({ rows: 3, beside: { atStart: 2, atEnd: 3 } });
  one.leave();
  other.leave();
  other.leave();
  expect(one.enter()).toBe(0);
});

test("what fails leaves as well", async () => {
  const crowd = new Crowd(Crowd.room(), 1);
  await expect(crowd.during(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(crowd.enter()).toBe(0);
});

test("what a worker had in flight is gone with it, and what the others have is not", () => {
  const room = Crowd.room();
  const [gone, there] = [new Crowd(room, 0), new Crowd(room, 1)];
  gone.enter();
  gone.enter();
  there.enter();
  Crowd.forget(room, 0);
  expect(there.others).toBe(0);
  expect(new Crowd(room, 255).enter()).toBe(1);
});
