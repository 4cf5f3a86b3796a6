import { expect, test } from "vitest";

import type { OperationStore } from "../../storage/store/index.ts";
import { KeptAnswers, operationOf, parseIdempotencyKey } from "./kept-answers.ts";
import type { Answer } from "./problem.ts";

const request = { key: "k1", method: "POST", path: "/api/v1/rollback", text: "{}" };

function memory(): OperationStore & {
  readonly rows: Map<string, { answer: unknown; at: number }>;
} {
  const rows = new Map<string, { answer: unknown; at: number }>();
  return {
    rows,
    get: (key) => Promise.resolve(rows.get(key) ?? null),
    put: ({ key, answer, at }) => {
      if (rows.has(key)) return Promise.resolve(false);
      rows.set(key, { answer, at });
      return Promise.resolve(true);
    },
  };
}

function answers(store: OperationStore, unkept: unknown[] = []): KeptAnswers {
  return new KeptAnswers(
    store,
    () => 1,
    (error) => void unkept.push(error),
  );
}

function counting(status = 200): { run: () => Promise<Answer>; times: () => number } {
  let times = 0;
  return {
    run: () => {
      times++;
      return Promise.resolve({ status, text: JSON.stringify({ times }) });
    },
    times: () => times,
  };
}

test("a repeat gets the first answer to the byte, also from another process", async () => {
  const store = memory();
  const work = counting();
  const first = await answers(store).once(request, work.run);
  const again = await answers(store).once(request, work.run);
  expect(again).toMatchObject(first);
  expect(work.times()).toBe(1);
});

test("a repeat while the first runs attaches to it", async () => {
  const kept = answers(memory());
  const work = counting();
  const both = await Promise.all([kept.once(request, work.run), kept.once(request, work.run)]);
  expect(both[0]).toEqual(both[1]);
  expect(work.times()).toBe(1);
});

test("a key of another request is refused, running or done", async () => {
  const kept = answers(memory());
  const work = counting();
  const other = { ...request, text: '{"again":true}' };
  const first = kept.once(request, work.run);
  await expect(kept.once(other, work.run)).rejects.toMatchObject({ code: "input.invalid" });
  await first;
  await expect(kept.once(other, work.run)).rejects.toMatchObject({ code: "input.invalid" });
  expect(work.times()).toBe(1);
});

test("refusals are kept, failures of the server are tried again", async () => {
  const kept = answers(memory());
  const refusal = counting(409);
  await kept.once(request, refusal.run);
  await kept.once(request, refusal.run);
  expect(refusal.times()).toBe(1);
  const failure = counting(503);
  await kept.once({ ...request, key: "k2" }, failure.run);
  await kept.once({ ...request, key: "k2" }, failure.run);
  expect(failure.times()).toBe(2);
});

test("a request names the same operation in every process, another under its key another one", () => {
  expect(operationOf({ ...request })).toBe(operationOf(request));
  for (const other of [{ key: "k2" }, { path: "/api/v1/deploy" }, { text: '{"again":true}' }])
    expect(operationOf({ ...request, ...other })).not.toBe(operationOf(request));
});

test("a store that is down, hangs or holds something else does not stand in the way", async () => {
  const never = new Promise<never>(() => undefined);
  const stores: OperationStore[] = [
    { get: () => Promise.reject(new Error("down")), put: () => Promise.reject(new Error("down")) },
    { get: () => never, put: () => never },
    { ...memory(), get: () => Promise.resolve({ answer: { odd: true }, at: 1 }) },
  ];
  for (const store of stores) {
    const unkept: unknown[] = [];
    const answer = await answers(store, unkept).once(request, counting().run);
    expect(answer.status).toBe(200);
    expect(unkept.length).toBeGreaterThan(0);
  }
});

test("a command that threw is not remembered as running", async () => {
  const kept = answers(memory());
  await expect(kept.once(request, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect((await kept.once(request, counting().run)).status).toBe(200);
});

test("keys are printable ASCII up to 200 characters", () => {
  expect(parseIdempotencyKey("7f0e-1")).toBe("7f0e-1");
  for (const key of ["", " ", "a b", "é", "x".repeat(201)])
    expect(() => parseIdempotencyKey(key)).toThrow("Idempotency-Key");
});
