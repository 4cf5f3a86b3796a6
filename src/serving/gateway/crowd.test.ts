import { expect, test } from "vitest";

import { seededRandom } from "../../../test/support/seeded-random.ts";
import { Crowd } from "./crowd.ts";

test("a request sees the others of all workers: when it is sent, and the most until it is answered", async () => {
  const room = Crowd.room();
  const [one, other] = [new Crowd(room, 0), new Crowd(room, 7)];
  expect([one.enter().others, other.enter().others]).toEqual([0, 1]);
  const answered = one.during(async () => {
    for (let come = 0; come < 3; come += 1) other.enter();
    for (let gone = 0; gone < 4; gone += 1) other.leave();
    await Promise.resolve();
    return { rows: 3 };
  });
  // All but the first have left again.
  expect(await answered).toEqual({ rows: 3, beside: { atStart: 2, most: 5 } });
  one.leave();
  expect(one.enter().others).toBe(0);
});

test("the most is that of a request's own time, among many that come and go", () => {
  const random = seededRandom(7);
  const room = Crowd.room();
  const crowds = [new Crowd(room, 0), new Crowd(room, 1)];
  const flying: { worker: number; came: ReturnType<Crowd["enter"]>; most: number }[] = [];
  for (let step = 0; step < 20_000; step += 1) {
    const worker = random() < 0.8 ? 0 : 1;
    const crowd = crowds[worker];
    if (random() < 0.5) {
      for (const one of flying) one.most = Math.max(one.most, flying.length);
      const came = crowd?.enter();
      if (came !== undefined) flying.push({ worker, came, most: flying.length });
      continue;
    }
    const [one] = flying.splice(Math.floor(random() * flying.length), 1);
    if (one === undefined) continue;
    expect(crowds[one.worker]?.beside(one.came).most).toBe(one.most);
    crowds[one.worker]?.leave();
  }
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
