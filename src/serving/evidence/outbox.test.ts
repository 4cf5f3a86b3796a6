import { expect, test } from "vitest";

import { answer, EvidenceStage, WATCH } from "../../../test/support/evidence-stage.ts";
import type { Evidence } from "../../link/count/index.ts";
import type { EvidenceDraft } from "./merge.ts";
import { EvidenceOutbox } from "./outbox.ts";

/** One record with this many requests. */
function draft(stage: EvidenceStage, count = 1): readonly EvidenceDraft[] {
  for (let request = 0; request < count; request += 1) stage.admit().answered(answer());
  return stage.pass(1_000);
}

/** Sends and acknowledges until nothing is left. */
function drain(outbox: EvidenceOutbox): Evidence[] {
  const all: Evidence[] = [];
  for (let batch = outbox.batch(); batch.length > 0; batch = outbox.batch()) {
    all.push(...batch);
    outbox.acknowledge(batch.at(-1)?.sequence ?? 0);
  }
  return all;
}

function requests(stage: EvidenceStage, records: readonly Evidence[]): number {
  return sum(records.map((record) => stage.counts(record).requests));
}

function sum(counts: readonly number[]): number {
  return counts.reduce((all, count) => all + count, 0);
}

test("what is not acknowledged is sent again as it was, and acknowledged twice is once", () => {
  const stage = new EvidenceStage();
  const outbox = new EvidenceOutbox();
  outbox.add(draft(stage));
  const first = outbox.batch();
  outbox.add(draft(stage));
  expect(outbox.batch()).toEqual(first);
  outbox.acknowledge(0);
  const second = outbox.batch();
  expect(second.map((record) => record.sequence)).toEqual([1]);
  outbox.acknowledge(0);
  expect(outbox.batch()).toEqual(second);
  outbox.acknowledge(1);
  expect(outbox.batch()).toEqual([]);
});

test("while the control plane is away for 2000 intervals neighbours are joined and nothing is lost", () => {
  const stage = new EvidenceStage();
  const outbox = new EvidenceOutbox();
  outbox.add(draft(stage));
  // It may have arrived, so it is joined with nothing.
  const sent = outbox.batch();
  let most = 0;
  const before = [1];
  const after: number[] = [];
  for (let interval = 0; interval < 2_000; interval += 1) {
    if (interval === 701) stage.watch({ ...WATCH });
    const count = 1 + (interval % 3);
    (interval < 701 ? before : after).push(count);
    outbox.add(draft(stage, count));
    most = Math.max(most, outbox.size);
  }
  expect(most).toBeLessThanOrEqual(1_002);
  const all = drain(outbox);
  expect(all[0]).toEqual(sent[0]);
  expect(all.map((record) => record.sequence)).toEqual(all.map((_, index) => index));
  expect(all.length).toBeGreaterThan(500);
  // No record spans the change of the split, and none overlaps another one.
  const change = all.findIndex((record) => record.split === 2);
  expect(requests(stage, all.slice(0, change))).toBe(sum(before));
  expect(requests(stage, all.slice(change))).toBe(sum(after));
  expect(all.slice(1).map(({ from }) => from)).toEqual(all.slice(0, -1).map(({ to }) => to));
});
