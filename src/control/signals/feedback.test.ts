import { afterEach, beforeEach, expect, test } from "vitest";

import { metricOf, NOW, SignalsStage } from "../../../test/support/signals-stage.ts";

const DAY_MS = 86_400_000;
const accuracy = metricOf({ kind: "accuracy", name: "accuracy" });
const score = metricOf({ kind: "score", name: "usefulness" });

let stage: SignalsStage;

beforeEach(async () => {
  stage = new SignalsStage();
  await stage.open();
});
afterEach(() => stage.end());

const correct = (requestId: string, value: boolean) => ({ requestId, correct: value });

test("what callers know counts for the revision in the id, once it is confirmed never again", async () => {
  const [candidate, stable] = [stage.ids(2), stage.ids(1)];
  const told = [
    correct(candidate.next(NOW), false),
    correct(candidate.next(NOW), true),
    correct(stable.next(NOW), true),
    { requestId: stable.next(NOW), score: 0.75 },
    correct(stage.ids(7).next(NOW), false),
    correct(stage.ids(2, "assigned", "other").next(NOW), false),
  ];
  expect(await stage.signals.take(told)).toEqual({
    accepted: 6,
    duplicates: 0,
    late: 0,
    refused: 0,
    unknown: [],
  });
  const watched = stage.watched([accuracy, score]);
  const first = await stage.collect(watched);
  expect(first.signals).toEqual({
    accuracy: {
      candidate: { observations: 2, bad: 1 },
      stable: { observations: 1, bad: 0 },
      paired: null,
      broken: null,
    },
    usefulness: {
      candidate: { observations: 0, bad: 0 },
      stable: { observations: 1, bad: 0.25 },
      paired: null,
      broken: null,
    },
  });
  const again = await stage.collect(watched);
  expect(again.signals, "not confirmed: it is given again").toEqual(first.signals);
  await stage.confirm(again);
  expect((await stage.collect(watched)).signals).toEqual({});
});

test("a restart between collecting and confirming counts once, and so does one after it", async () => {
  await stage.signals.take([correct(stage.ids(2).next(NOW), false)]);
  const watched = stage.watched([accuracy]);
  const lost = await stage.collect(watched);
  await stage.restart();
  const given = await stage.collect(watched);
  expect(given.signals).toEqual(lost.signals);
  await stage.confirm(given);
  await expect(stage.confirm(given), "twice").rejects.toMatchObject({ code: "internal" });
  await stage.restart();
  expect((await stage.collect(watched)).signals).toEqual({});
});

test("a confirmation that was rolled back never was", async () => {
  await stage.signals.take([correct(stage.ids(2).next(NOW), false)]);
  const watched = stage.watched([accuracy]);
  const first = await stage.collect(watched);
  const rolledBack = stage.store.transaction(async (nouns) => {
    await first.confirm(nouns);
    throw new Error("the disk is full");
  });
  await expect(rolledBack).rejects.toThrow("the disk is full");
  expect((await stage.collect(watched)).signals).toEqual(first.signals);
});

test("of several labels of one request the last counts, and none after it was counted", async () => {
  const id = stage.ids(2).next(NOW);
  const told = await stage.signals.take([correct(id, true), correct(id, false)]);
  expect(told).toMatchObject({ accepted: 2, duplicates: 0 });
  const watched = stage.watched([accuracy]);
  expect((await stage.take(watched))["accuracy"]?.candidate).toEqual({ observations: 1, bad: 1 });
  expect(await stage.signals.take([correct(id, true)])).toMatchObject({
    accepted: 0,
    duplicates: 1,
  });
  expect((await stage.collect(watched)).signals).toEqual({});
});

test("ids that are not ours, or of requests that the split did not assign, are refused by name", async () => {
  const id = stage.ids(2).next(NOW);
  const forged = id.replace("fraud-prod.2", "fraud-prod.1");
  const items = [
    correct(forged, false),
    correct("no id", false),
    correct(stage.ids(2, "targeted").next(NOW), false),
    correct(stage.ids(1, "fallback").next(NOW), false),
    correct(stage.ids(2, "probe").next(NOW), false),
  ];
  const taken = await stage.signals.take(items);
  expect(taken).toMatchObject({ accepted: 0, duplicates: 0, late: 0, refused: 5 });
  expect(taken.unknown.map(({ why }) => why)).toEqual([
    "was not made by this server: its tag does not fit (altered, or of another data folder)",
    "is not a request id: every answer has one in its x-lastgood-request-id header",
    "its caller chose the version, so it is compared with nothing",
    "it was answered by stable for the candidate, so it is compared with nothing",
    "it was a probe of the server's own",
  ]);
  expect(taken.unknown[0]?.requestId).toBe(forged);
});

test("what is older than feedback is kept is late; what is from before the watch is not compared", async () => {
  const old = correct(stage.ids(2).next(NOW - 8 * DAY_MS), false);
  const before = correct(stage.ids(1).next(NOW - DAY_MS), false);
  const kept = correct(stage.ids(1).next(NOW - 6 * DAY_MS), false);
  expect(await stage.signals.take([old, before, kept])).toMatchObject({ accepted: 2, late: 1 });
  expect(await stage.take(stage.watched([accuracy]))).toEqual({});
  const longer = stage.watched([accuracy], { rollout: "r2", since: NOW - 2 * DAY_MS });
  expect((await stage.take(longer))["accuracy"]?.stable).toEqual({ observations: 1, bad: 1 });
});

test("feedback that no metric asks for does not keep the rest waiting", async () => {
  const ids = stage.ids(2);
  await stage.signals.take([{ requestId: ids.next(NOW), score: 1 }]);
  expect(await stage.take(stage.watched([accuracy]))).toEqual({});
  const waiting = await stage.store.feedback.waiting({
    endpoint: "fraud-prod",
    revisions: [2],
    sinceMinute: 0,
    joined: true,
    limit: 10,
  });
  expect(waiting).toEqual([]);
  expect(await stage.take(stage.watched([metricOf({ kind: "errorRate", name: "e" })]))).toEqual({});
});

test("of a metric that was broken, it is told once that its source is read again", async () => {
  const usual = stage.watched([accuracy, score]);
  expect(await stage.take(usual)).toEqual({});
  const nothing = { observations: 0, bad: 0 };
  const read = { candidate: nothing, stable: nothing, paired: null, broken: null };
  expect(await stage.take({ ...usual, broken: ["accuracy"] })).toEqual({ accuracy: read });
});

test("more than is counted at a time is counted the next time", async () => {
  const ids = stage.ids(2);
  const many = Array.from({ length: 5_200 }, () => correct(ids.next(NOW), true));
  expect(await stage.signals.take(many)).toMatchObject({ accepted: 5_200 });
  const watched = stage.watched([accuracy]);
  expect((await stage.take(watched))["accuracy"]?.candidate.observations).toBe(5_000);
  expect((await stage.take(watched))["accuracy"]?.candidate.observations).toBe(200);
  expect(await stage.take(watched)).toEqual({});
});
