import { appendFileSync, mkdirSync, utimesSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { metricOf, NOW, SignalsStage } from "../../../test/support/signals-stage.ts";
import { lossOf, sameClass } from "./loss.ts";

const accuracy = metricOf({ kind: "accuracy", name: "accuracy" });
const meanError = metricOf({ kind: "meanError", name: "meanError", bound: 10 });

let stage: SignalsStage;

beforeEach(async () => {
  stage = new SignalsStage();
  await stage.open();
});
afterEach(() => stage.end());

function segment(startedAt: number, worker = 0): string {
  mkdirSync(stage.predictionsFolder, { recursive: true });
  return join(stage.predictionsFolder, `${startedAt}-${worker}-0a1b2c3d.jsonl`);
}

/** Writes lines as the gateway does, at the stage's time. */
function logged(path: string, text: string): void {
  appendFileSync(path, text);
  utimesSync(path, new Date(stage.now), new Date(stage.now));
}

const line = (id: string, ...values: (string | number)[]): string =>
  `${JSON.stringify([id, values.length, values])}\n`;

test("labels are joined with what was predicted, by class and by distance", async () => {
  const [ids, stable] = [stage.ids(2), stage.ids(1)];
  const [a, b, c, d] = [ids.next(NOW), ids.next(NOW), stable.next(NOW), stable.next(NOW)];
  logged(segment(NOW - 5_000), line(a, 3) + line(b, 3, 5) + line(c, 7));
  logged(segment(NOW - 5_000, 1), line(a, 9));
  await stage.signals.take([
    { requestId: a, label: "3.0" },
    { requestId: b, label: [3, 10] },
    { requestId: c, label: 30 },
    { requestId: d, correct: false },
  ]);
  const seen = await stage.take(stage.watched([accuracy, meanError]));
  expect(seen["accuracy"]).toMatchObject({
    candidate: { observations: 2, bad: 0.5 },
    stable: { observations: 2, bad: 2 },
  });
  expect(seen["meanError"]).toMatchObject({
    candidate: { observations: 2, bad: 0.25 },
    stable: { observations: 1, bad: 1 },
  });
  expect(await stage.take(stage.watched([accuracy, meanError]))).toEqual({});
});

test("labels count under the split of their request, one split at a time", async () => {
  const [ids, stable] = [stage.ids(2), stage.ids(1)];
  const then = NOW - 600_000;
  const early = [ids.next(then), stable.next(then)];
  const more = [ids.next(then), stable.next(then)];
  const late = [ids.next(NOW), stable.next(NOW)];
  const take = (requestIds: readonly string[]) =>
    stage.signals.take(requestIds.map((requestId) => ({ requestId, correct: true })));
  await take([...early, ...late]);
  const watched = stage.watched([accuracy], {
    since: then,
    splits: [
      { split: 3, from: then + 5_000 },
      { split: 4, from: NOW - 120_000 },
    ],
  });
  const one = { observations: 1, bad: 0 };
  const of = (split: number) => ({ accuracy: { candidate: one, stable: one, split } });
  expect(await stage.take(watched)).toMatchObject(of(3));
  // The older split's labels go on coming, and do not keep the other's from being told.
  await take(more);
  expect(await stage.take(watched)).toMatchObject(of(4));
  expect(await stage.take(watched)).toMatchObject(of(3));
  expect(await stage.take(watched)).toEqual({});
});

test("endpoints that are watched side by side each have their labels joined", async () => {
  const [here, there] = [stage.ids(2), stage.ids(2, "assigned", "cart-prod")];
  const [a, b] = [here.next(NOW), there.next(NOW)];
  logged(segment(NOW - 5_000), line(a, 3) + line(b, 3));
  await stage.signals.take([
    { requestId: a, label: 3 },
    { requestId: b, label: 4 },
  ]);
  // Both look in the same tick, as controllers with the same interval do.
  const [mine, other] = await Promise.all([
    stage.collect(stage.watched([accuracy])),
    stage.collect(stage.watched([accuracy], { endpoint: "cart-prod", rollout: "r2" })),
  ]);
  expect(mine.signals["accuracy"]?.candidate).toEqual({ observations: 1, bad: 0 });
  expect(other.signals["accuracy"]?.candidate).toEqual({ observations: 1, bad: 1 });
});

const sentOn = (id: string, to: number, ...values: (string | number)[]): string =>
  `${JSON.stringify([id, values.length, values, to])}\n`;
const copied = (id: string, by: number, ...values: (string | number)[]): string =>
  `${JSON.stringify(values.length === 0 ? [`${id}~${by}`] : [`${id}~${by}`, values.length, values])}\n`;

/** Labels that all say "x", with what was predicted for each. */
async function labelled(ids: readonly string[], lines: readonly string[]): Promise<void> {
  logged(segment(NOW - 5_000), lines.join(""));
  await stage.signals.take(ids.map((requestId) => ({ requestId, label: "x" })));
}

test("a label of a request that both answered is one of a pair, and of nothing else", async () => {
  const [candidate, stable] = [stage.ids(2), stage.ids(1)];
  const [a, b, c, d, e, f] = [
    candidate.next(NOW),
    candidate.next(NOW),
    stable.next(NOW),
    stable.next(NOW),
    stable.next(NOW),
    stable.next(NOW),
  ];
  await labelled(
    [a, b, c, d, e, f],
    [
      sentOn(a, 1, "y"),
      copied(a, 1, "x"),
      // The second line may come first, in a segment that is read first.
      copied(b, 1, "y"),
      sentOn(b, 1, "y"),
      sentOn(c, 2, "y"),
      copied(c, 2, "x"),
      sentOn(d, 2, "x"),
      copied(d, 2, "x"),
      // Not answered, and a revision that is not compared.
      sentOn(e, 2, "x"),
      copied(e, 2),
      sentOn(f, 9, "y"),
      copied(f, 9, "y"),
    ],
  );
  const seen = await stage.take(stage.watched([accuracy]));
  expect(seen["accuracy"]).toEqual({
    candidate: { observations: 0, bad: 0 },
    stable: { observations: 2, bad: 1 },
    paired: { pairs: 4, onlyCandidateBad: 1, onlyStableBad: 1, bothBad: 1, losses: [] },
    broken: null,
  });
  expect(await stage.take(stage.watched([accuracy]))).toEqual({});
});

test("pairs of distances and of several rows keep both losses", async () => {
  const id = stage.ids(1).next(NOW);
  logged(segment(NOW - 5_000), sentOn(id, 2, 10, 20) + copied(id, 2, 12, 40));
  await stage.signals.take([{ requestId: id, label: [11, 20] }]);
  const seen = await stage.take(stage.watched([accuracy, meanError]));
  expect(seen["meanError"]?.paired).toMatchObject({ pairs: 0, losses: [[(0.1 + 1) / 2, 0.05]] });
  expect(seen["accuracy"]?.paired).toMatchObject({ pairs: 0, losses: [[1, 0.5]] });
});

test("what is said of one answer is said of no pair", async () => {
  const id = stage.ids(1).next(NOW);
  logged(segment(NOW - 5_000), sentOn(id, 2, "y") + copied(id, 2, "x"));
  await stage.signals.take([{ requestId: id, correct: false }]);
  const seen = await stage.take(stage.watched([accuracy]));
  expect(seen["accuracy"]).toMatchObject({ stable: { observations: 1, bad: 1 }, paired: null });
});

test("a label waits for the second answer, and not for ever", async () => {
  const ids = stage.ids(1);
  const [early, never] = [ids.next(NOW), ids.next(NOW)];
  await labelled([early, never], [sentOn(early, 2, "x"), sentOn(never, 2, "x")]);
  const watched = stage.watched([accuracy]);
  expect(await stage.take(watched)).toEqual({});
  logged(segment(NOW - 5_000), copied(early, 2, "y"));
  stage.now += 2_000;
  expect((await stage.take(watched))["accuracy"]).toMatchObject({
    stable: { observations: 0 },
    paired: { pairs: 1, onlyCandidateBad: 1 },
  });
  // Its worker has ended, or the line was dropped.
  stage.now += 4 * 60_000;
  expect((await stage.take(watched))["accuracy"]).toMatchObject({
    stable: { observations: 1, bad: 0 },
    paired: null,
  });
  expect(stage.warnings).toEqual([]);
});

test("a torn line, as kill -9 leaves it, is nobody's; what stands before it is read", async () => {
  const ids = stage.ids(2);
  const [a, torn, later] = [ids.next(NOW), ids.next(NOW), ids.next(NOW)];
  const text = line(torn, "x");
  logged(segment(NOW - 5_000), `${line(a, "x")}not ours\n${text.slice(0, -3)}`);
  await stage.signals.take([a, torn, later].map((requestId) => ({ requestId, label: "y" })));
  const watched = stage.watched([accuracy]);
  expect((await stage.take(watched))["accuracy"]?.candidate).toEqual({ observations: 1, bad: 1 });
  // The worker that took its place begins a segment of its own.
  logged(segment(NOW + 1_000), line(later, "y"));
  stage.now += 2_000;
  expect((await stage.take(watched))["accuracy"]?.candidate).toEqual({ observations: 1, bad: 0 });
});

test("a label before its prediction is written waits for it, through a restart", async () => {
  const id = stage.ids(2).next(NOW);
  await stage.signals.take([{ requestId: id, label: "x" }]);
  const watched = stage.watched([accuracy]);
  expect(await stage.take(watched)).toEqual({});
  await stage.restart();
  logged(segment(NOW - 5_000), line(id, "x"));
  expect((await stage.take(watched))["accuracy"]?.candidate).toEqual({ observations: 1, bad: 0 });
});

test("a label whose prediction was not logged is given up, and said to be", async () => {
  const id = stage.ids(2).next(NOW);
  logged(segment(NOW - 5_000), line("other.1.1.0.tag.1", 1));
  stage.now += 20 * 60_000;
  await stage.signals.take([{ requestId: id, label: "x" }]);
  expect(await stage.take(stage.watched([accuracy], { since: NOW - 1 }))).toEqual({});
  expect(stage.warnings).toEqual([
    "labels count for nothing: what was predicted is not in the log (not logged then, or dropped)",
  ]);
  expect(await stage.signals.take([{ requestId: id, label: "x" }])).toMatchObject({
    duplicates: 1,
  });
});

test("without a log labels wait; what does not fit the rows counts for nothing", async () => {
  const ids = stage.ids(2);
  const [a, b] = [ids.next(NOW), ids.next(NOW)];
  await stage.signals.take([
    { requestId: a, label: [1, 2, 3] },
    { requestId: b, label: "many" },
  ]);
  stage.now += 20 * 60_000;
  const watched = stage.watched([meanError], { since: NOW - 1 });
  expect(await stage.take(watched)).toEqual({});
  expect(stage.warnings).toEqual([]);
  logged(segment(NOW - 5_000), line(a, 1) + line(b, 2));
  stage.now += 60_000;
  expect(await stage.take(watched)).toEqual({});
  expect(stage.warnings).toEqual([
    "labels count for nothing: they do not fit the rows that were predicted",
  ]);
});

test.each([
  ["a", "a", true],
  ["a", "A", false],
  ["1.0", 1, true],
  [1, "1", true],
  ["1", "1.0", false],
  [true, 1, true],
  [false, 0, true],
  ["true", "true", true],
  ["", 0, false],
  ["x", 0, false],
])("%j and %j are the same class: %s", (label, predicted, same) => {
  expect(sameClass(label, predicted)).toBe(same);
});

test("only the rows that the log holds are compared, and a list must have one label for each row", () => {
  const about = { requestId: "a", endpoint: "e", revision: 1, minute: 1, at: 1 };
  const prediction = { rows: 3, values: ["x", "y"] };
  const label = (value: unknown) => ({ ...about, kind: "label", value, prediction }) as const;
  const metric = { ...accuracy, kind: "accuracy", tolerance: null, max: null } as const;
  expect(lossOf(metric, label(["x", "x", "x"]))).toBe(0.5);
  expect(lossOf(metric, label(["x", "y"]))).toBeNull();
  expect(lossOf(metric, label("x"))).toBeNull();
});
