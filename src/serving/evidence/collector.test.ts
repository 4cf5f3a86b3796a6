import { expect, test } from "vitest";

import {
  answer,
  CANDIDATE,
  EvidenceStage,
  STABLE,
  WATCH,
} from "../../../test/support/evidence-stage.ts";
import { evidenceSchema } from "../../link/count/index.ts";

test("a record waits for every worker and has what all of them saw", () => {
  const stage = new EvidenceStage(2);
  stage.admit(CANDIDATE, null, 0).answered(answer());
  const slow = stage.admit(CANDIDATE, null, 1);
  expect(stage.pass(1_000)).toEqual([]);
  slow.answered(answer(1, 7));
  const [record] = stage.pass(100);
  expect(stage.counts(record)).toMatchObject({ requests: 2, outputs: { "0": 1, "7": 1 } });
  expect(stage.counts(record, STABLE).requests).toBe(0);
});

test("a record has the form of the link, and its times follow each other", () => {
  const stage = new EvidenceStage(2);
  for (let second = 0; second < 5; second += 1) {
    stage.now += 500;
    stage.admit().answered(answer());
    stage.admit(STABLE, "key", 1).answered(answer());
    stage.pass(500);
  }
  expect(stage.records).toHaveLength(5);
  for (const [index, record] of stage.records.entries()) {
    expect(evidenceSchema.parse({ ...record, sequence: index })).toEqual({
      ...record,
      sequence: index,
    });
    expect(record.from).toBe(1_010_000 + index * 1_000);
    expect(record.to).toBe(record.from + 1_000);
  }
});

test("empty intervals are not told one by one, but silence is told every 10 s", () => {
  const stage = new EvidenceStage(2);
  for (let second = 0; second < 25; second += 1) stage.pass(1_000);
  expect(stage.records.map(({ from, to }) => [from, to])).toEqual([
    [1_010_000, 1_020_000],
    [1_020_000, 1_030_000],
  ]);
  expect(stage.counts(stage.records[0]).requests).toBe(0);
  stage.admit().answered(answer());
  // What comes after silence covers it.
  expect(stage.pass(1_000)).toMatchObject([{ from: 1_030_000, to: 1_036_000 }]);
});

test("what a worker had not told when it died is lost, and said to be", () => {
  const stage = new EvidenceStage(2);
  stage.pass(1_000);
  stage.admit(CANDIDATE, null, 0).answered(answer());
  stage.admit(CANDIDATE, null, 1);
  stage.pass(1_000);
  stage.admit(CANDIDATE, null, 0).answered(answer());
  expect(stage.records).toEqual([]);
  stage.kill(1);
  stage.pass(1_000);
  expect(stage.records.map((record) => [stage.counts(record).requests, record.lost])).toEqual([
    [1, 1],
    [1, 1],
  ]);
  stage.admit(CANDIDATE, null, 0).answered(answer());
  expect(stage.pass(1_000)).toMatchObject([{ lost: 0 }]);
});

test("what a dead worker still says is not counted", () => {
  const stage = new EvidenceStage(2);
  const dead = stage.workers.get(1);
  stage.admit(CANDIDATE, null, 1).answered(answer());
  stage.now += 1_000;
  const reports = dead === undefined ? [] : [dead.flush()];
  stage.kill(1);
  expect(reports.map(({ windows }) => windows.length)).toEqual([1]);
  expect(reports.flatMap((report) => stage.collector.take(1, report))).toEqual([]);
  const [record] = stage.pass(0);
  expect(stage.counts(record).requests).toBe(0);
  expect(record?.lost).toBe(1);
});

test("a worker that begins is waited for from then on, and not for what was before it", () => {
  const stage = new EvidenceStage(1);
  const open = stage.admit();
  stage.pass(1_000);
  stage.join(1);
  stage.now += 1_000;
  open.answered(answer());
  const first = stage.workers.get(0)?.flush();
  if (first !== undefined) stage.records.push(...stage.collector.take(0, first));
  expect(stage.records.map((record) => stage.counts(record).requests)).toEqual([1]);
  stage.admit(CANDIDATE, null, 1).answered(answer());
  stage.admit(CANDIDATE, null, 0).answered(answer());
  expect(stage.pass(1_000).map((record) => stage.counts(record).requests)).toEqual([2]);
});

test("a worker that swaps later than the others keeps its requests of the old split", () => {
  const stage = new EvidenceStage(2);
  const late = stage.workers.get(1);
  stage.workers.delete(1);
  stage.watch({ ...WATCH });
  stage.admit().answered(answer());
  // The new split is not told of while a worker still has the old one.
  if (late !== undefined) stage.workers.set(1, late);
  expect(stage.pass(1_000)).toEqual([]);
  stage.workers.delete(1);
  // The interval is over before this worker hears of the change.
  late?.arm(CANDIDATE)?.admit(stage.now, null, []).answered(answer());
  late?.route(2, { ...WATCH });
  if (late !== undefined) stage.workers.set(1, late);
  stage.pass(1_000);
  expect(stage.records.map((record) => [record.split, stage.counts(record).requests])).toEqual([
    [1, 1],
    [2, 1],
  ]);
});

test("a watch that ends is told to its end, and the next one begins anew", () => {
  const stage = new EvidenceStage();
  const open = stage.admit();
  stage.watch(null);
  expect(stage.pass(3_000)).toEqual([]);
  expect(stage.workers.get(0)?.nextFlushMs).toBeGreaterThan(0);
  open.answered(answer());
  expect(stage.pass(250)).toMatchObject([{ rollout: "r1", split: 1 }]);
  expect(stage.workers.get(0)?.nextFlushMs).toBeNull();
  expect(stage.pass(60_000)).toEqual([]);
  stage.watch({ ...WATCH, rollout: "r2", candidate: 3, stable: null });
  stage.admit(3).answered(answer());
  const [record] = stage.pass(1_000);
  expect(record).toMatchObject({ rollout: "r2", split: 3 });
  expect(record?.arms.map((arm) => arm.revision)).toEqual([3]);
});

test("a gateway that ends in order says so in its last record, to which nothing is missing", () => {
  const stage = new EvidenceStage(2);
  stage.pass(1_000);
  stage.admit(CANDIDATE, null, 0).answered(answer());
  stage.admit(CANDIDATE, null, 1).answered(answer());
  stage.now += 300;
  expect(stage.end()).toMatchObject([
    { from: 1_010_000, to: 1_011_300 },
    { from: 1_011_300, to: 1_011_300, ends: true, lost: 0 },
  ]);
  expect(stage.counts(stage.records[0]).requests).toBe(2);
  for (const worker of [0, 1]) stage.kill(worker);
  expect(stage.records).toHaveLength(2);
});

test("one whose worker died before is told of as ended once the others have", () => {
  const stage = new EvidenceStage(2);
  stage.pass(1_000);
  stage.admit(CANDIDATE, null, 1).answered(answer());
  stage.kill(1);
  stage.now += 300;
  expect(stage.end().map(({ lost, ends = false }) => [lost, ends])).toEqual([
    [1, false],
    [0, true],
  ]);
});

test("which labels are told apart stays as it is when the weight changes", () => {
  const stage = new EvidenceStage(2);
  const each = (from: number, worker: number): void => {
    for (let label = from; label < from + 64; label += 1)
      stage.admit(CANDIDATE, null, worker).answered(answer(1, label));
  };
  each(0, 0);
  each(64, 1);
  expect(stage.counts(stage.pass(1_000)[0]).outputs).toMatchObject({ "0": 1, other: 64 });
  stage.watch({ ...WATCH });
  each(64, 1);
  expect(stage.counts(stage.pass(1_000)[0]).outputs).toEqual({ other: 64 });
});

test("labels beyond the first are one for both arms and all workers", () => {
  const stage = new EvidenceStage(2);
  for (let label = 0; label < 200; label += 1) {
    stage.admit(STABLE, null, label % 2).answered(answer(1, label));
    stage.admit(CANDIDATE, null, label % 2).answered(answer(1, label));
  }
  const [record] = stage.pass(1_000);
  const [candidate, stable] = [stage.counts(record), stage.counts(record, STABLE)];
  expect(candidate.outputs).toEqual(stable.outputs);
  expect(Object.keys(candidate.outputs).length).toBeLessThanOrEqual(65);
  expect(candidate.outputs["other"]).toBe(136);
});
