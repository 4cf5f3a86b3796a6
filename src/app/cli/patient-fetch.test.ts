import { expect, test } from "vitest";

import type { FetchAnswer } from "../../client/index.ts";
import { patientFetch } from "./patient-fetch.ts";

const answer: FetchAnswer = { ok: true, status: 200, body: null, text: () => Promise.resolve("") };

test("a question without an answer is told of once, and its answer is taken all the same", async () => {
  const pending = Promise.withResolvers<FetchAnswer>();
  let told = 0;
  const silence = Promise.withResolvers<void>();
  const onSilence = (): void => {
    told += 1;
    silence.resolve();
  };
  const asked = patientFetch(() => pending.promise, onSilence, 1)("http://127.0.0.1:1/api");
  await silence.promise;
  pending.resolve(answer);
  expect(await asked).toBe(answer);
  expect(told).toBe(1);
});

test("nothing is told of an answer in time, of an error, or of a change that takes its time", async () => {
  let told = 0;
  const onSilence = (): void => {
    told += 1;
  };
  const soon = patientFetch(() => Promise.resolve(answer), onSilence, 20);
  expect(await soon("http://127.0.0.1:1/api")).toBe(answer);
  const broken = patientFetch(() => Promise.reject(new Error("dropped")), onSilence, 20);
  await expect(broken("http://127.0.0.1:1/api")).rejects.toThrow("dropped");
  const later = new Promise<FetchAnswer>((resolve) => {
    setTimeout(() => resolve(answer), 60);
  });
  const change = patientFetch(() => later, onSilence, 20);
  expect(await change("http://127.0.0.1:1/api", { method: "POST" })).toBe(answer);
  expect(told).toBe(0);
});
