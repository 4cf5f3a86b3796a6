import { expect, test } from "vitest";

import { Crowd } from "./crowd.ts";

const NOBODY = { atStart: 0, moreCame: false, elsewhere: 0, alone: true };

/** Two revisions of one endpoint. */
function rooms() {
  const endpoint = Crowd.room();
  return {
    endpoint,
    one: { revision: Crowd.room(), endpoint },
    other: { revision: Crowd.room(), endpoint },
  };
}

test("a request sees the others of all workers when it is sent, and whether more came", async () => {
  const room = rooms().one;
  const [one, other] = [new Crowd(room, 0), new Crowd(room, 7)];
  expect([one.enter()(), other.enter()()]).toMatchObject([{ atStart: 0 }, { atStart: 1 }]);
  const answered = one.during(async () => {
    other.enter();
    await Promise.resolve();
    return { rows: 3 };
  });
  expect(await answered).toEqual({
    rows: 3,
    beside: { atStart: 2, moreCame: true, elsewhere: 0, alone: false },
  });
  one.leave();
  other.leave();
  other.leave();
  expect(one.enter()()).toEqual(NOBODY);
});

test("it sees those at the endpoint's other revisions as well", () => {
  const { one, other } = rooms();
  const [stable, candidate] = [new Crowd(one, 0), new Crowd(other, 1)];
  stable.enter();
  stable.enter();
  expect(candidate.enter()()).toMatchObject({ atStart: 0, elsewhere: 2, alone: false });
  stable.leave();
  expect(candidate.enter()()).toMatchObject({ atStart: 1, elsewhere: 1 });
});

test("one is alone where nobody was there and nobody came, at either revision, even for a moment", () => {
  const { one, other } = rooms();
  const [stable, candidate] = [new Crowd(one, 0), new Crowd(other, 1)];
  const first = stable.enter();
  expect(first().alone).toBe(true);
  candidate.enter();
  candidate.leave();
  expect(first()).toEqual({ ...NOBODY, alone: false });
  stable.leave();
  expect(candidate.enter()().alone).toBe(true);
});

test("what fails leaves as well", async () => {
  const crowd = new Crowd(rooms().one, 1);
  await expect(crowd.during(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(crowd.enter()()).toEqual(NOBODY);
});

test("what a worker had in flight is gone with it, and what the others have is not", () => {
  const { one, other, endpoint } = rooms();
  const [gone, elsewhere, there] = [new Crowd(one, 0), new Crowd(other, 0), new Crowd(one, 1)];
  gone.enter();
  elsewhere.enter();
  gone.enter();
  there.enter();
  for (const room of [one.revision, other.revision, endpoint]) Crowd.forget(room, 0);
  expect(new Crowd(one, 255).enter()()).toMatchObject({ atStart: 1, elsewhere: 0 });
  expect(new Crowd(other, 2).enter()()).toMatchObject({ atStart: 0, elsewhere: 2 });
});
