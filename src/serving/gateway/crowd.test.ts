import { expect, test } from "vitest";

import { Crowd } from "./crowd.ts";

test("a request sees the others of all workers when it is sent, and whether more came", async () => {
  const room = Crowd.room();
  const [one, other] = [new Crowd(room, 0), new Crowd(room, 7)];
  expect([one.enter().others, other.enter().others]).toEqual([0, 1]);
  const quiet = one.during(() => Promise.resolve({ rows: 3 }));
  expect(await quiet).toEqual({ rows: 3, beside: { atStart: 2, moreCame: false } });
  const disturbed = one.during(async () => {
    other.enter();
    other.leave();
    await Promise.resolve();
    return { rows: 3 };
  });
  // It has left again.
  expect(await disturbed).toEqual({ rows: 3, beside: { atStart: 2, moreCame: true } });
  one.leave();
  other.leave();
  expect(one.enter().others).toBe(0);
});

test("what fails leaves as well", async () => {
  const crowd = new Crowd(Crowd.room(), 1);
  await expect(crowd.during(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(crowd.enter().others).toBe(0);
});

test("what a worker had in flight is gone with it, and what the others have is not", () => {
  const room = Crowd.room();
  const [gone, there] = [new Crowd(room, 0), new Crowd(room, 1)];
  gone.enter();
  gone.enter();
  there.enter();
  Crowd.forget(room, 0);
  expect(there.enter().others).toBe(1);
  expect(new Crowd(room, 255).enter().others).toBe(2);
});
