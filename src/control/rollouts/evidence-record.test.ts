/** What the stored records of a watch are read as. */
import { expect, test } from "vitest";

import { analysisOf } from "../../../test/support/watch.ts";
import { noPairCounts, planAnalysis, type Interval } from "../../core/analysis/index.ts";
import type { Evidence } from "../../link/count/index.ts";
import type { StoredEvidence } from "../../storage/store/index.ts";
import {
  evidenceIn,
  gatewayRecord,
  IntervalReader,
  planRecord,
  readerStateSchema,
  signalsRecord,
} from "./evidence-record.ts";

const WATCH = { id: "r1", endpoint: "fraud-prod" };
const COMPARED = { candidate: 2, stable: 1 };

/** Of the second that begins then; its source is a gateway's incarnation, such as `host/a`. */
function record(from: number, source: string, over: Partial<Evidence> = {}): StoredEvidence {
  const [gateway = "", incarnation = ""] = source.split("/");
  const evidence: Evidence = {
    gateway,
    incarnation,
    endpoint: WATCH.endpoint,
    rollout: WATCH.id,
    sequence: 0,
    split: 1,
    candidateShare: 0.1,
    from: from * 1_000,
    to: (from + 1) * 1_000,
    arms: [],
    pairs: noPairCounts(),
    errors: [],
    lost: 0,
    ...over,
  };
  return { ...gatewayRecord(evidence), position: 1 };
}

test("inputs are stored where they may be kept, whatever a gateway sends", () => {
  const inputs = { kind: "unread", method: "POST", contentType: null, bytes: 100 } as const;
  const error = { revision: 2, message: "threw", count: 1, requestId: "id", inputs };
  const evidence = evidenceIn(record(1, "g/i", { errors: [error] }));
  if (evidence === null) throw new Error("a gateway's record");
  expect(evidence.errors, "by default").toEqual([{ ...error, inputs: null }]);
  const sent = { ...evidence, errors: [error] };
  expect(gatewayRecord(sent, "none").body).toEqual(evidence);
  expect(gatewayRecord(sent, "redacted").body).toEqual(sent);
});

const plan: StoredEvidence = {
  ...planRecord(
    WATCH,
    planAnalysis({
      analysis: analysisOf([]),
      horizonIntervals: 100,
      baseline: [],
      comparison: "live",
    }),
    0,
  ),
  position: 1,
};

/** As they are read in one go, and in pages of one record. */
function read(records: readonly StoredEvidence[]): readonly Interval[] {
  const reader = new IntervalReader(COMPARED);
  const whole = records.flatMap((each) => reader.next(each) ?? []);
  let state: unknown;
  const paged = records.flatMap((each) => {
    const page = new IntervalReader(
      COMPARED,
      state === undefined ? undefined : readerStateSchema.parse(state),
    );
    const interval = page.next(each);
    state = JSON.parse(JSON.stringify(page.state));
    return interval ?? [];
  });
  expect(paged).toEqual(whole);
  return whole;
}

const gapsOf = (records: readonly StoredEvidence[]): readonly number[] =>
  read(records).map(({ gaps }) => gaps);

test("a hole in the numbers of an incarnation is a gap", () => {
  expect(gapsOf([plan, record(0, "host/a"), record(3, "host/a", { sequence: 3 })])).toEqual([0, 2]);
});

test("of a gateway that died all is missing until its next incarnation begins, once", () => {
  const records = [
    plan,
    record(0, "host/a"),
    record(1_800, "host/b"),
    record(1_801, "host/b", { sequence: 1 }),
    record(1_802.5, "host/c", { lost: 2 }),
    record(1_803, "other/a"),
  ];
  expect(gapsOf(records)).toEqual([0, 1_799, 0, 3, 0]);
  expect(gapsOf(records.slice(1)), "however long an interval is, something is").toEqual([
    0, 1, 0, 3, 0,
  ]);
});

test("one that ended in order rested until the next", () => {
  const last = record(1, "host/a", { sequence: 1, ends: true });
  expect(gapsOf([plan, record(0, "host/a"), last, record(900, "host/b")])).toEqual([0, 0, 0]);
});

test("one that told of another watch meanwhile did not die in this one", () => {
  expect(gapsOf([plan, record(0, "host/a"), record(60, "host/b", { sequence: 7 })])).toEqual([
    0, 0,
  ]);
});

test("incarnations that overlap leave nothing between them", () => {
  const records = [
    plan,
    record(0, "host/a", { to: 9_000 }),
    record(8, "host/b"),
    record(20, "host/c"),
  ];
  expect(gapsOf(records)).toEqual([0, 0, 11]);
});

test("the splits of a gateway's next incarnation are other ones, and later", () => {
  const reader = new IntervalReader(COMPARED);
  const records = [
    record(1, "host/a", { split: 1 }),
    record(2, "host/a", { sequence: 1, split: 2 }),
    record(600, "host/a", { sequence: 2, split: 5 }),
    record(1_200, "host/b", { split: 1 }),
    record(1_201, "host/b", { sequence: 1, split: 1 }),
    record(1_800, "host/b", { sequence: 2, split: 2 }),
  ];
  expect(read(records).map(({ split }) => split)).toEqual([1, 2, 5, 6, 6, 7]);
  for (const each of records) reader.next(each);
  expect(reader.splits).toEqual([
    { split: 1, from: 1_000 },
    { split: 2, from: 2_000 },
    { split: 5, from: 600_000 },
    { split: 6, from: 1_200_000 },
    { split: 7, from: 1_800_000 },
  ]);
});

const signals = (at: number): StoredEvidence => ({
  ...signalsRecord(WATCH, { sequence: at, from: 0, to: at, signals: {} }),
  position: 1,
});

test("gateways that tell at once have splits of their own; signals are of the one that began last", () => {
  const records = [
    signals(0),
    record(0, "one/a", { split: 7 }),
    record(0.5, "two/a", { split: 3 }),
    signals(1),
    record(1, "one/a", { sequence: 1, split: 7 }),
    signals(2),
    record(9, "one/a", { sequence: 2, split: 8 }),
    record(1.5, "two/a", { sequence: 1, split: 3 }),
    // This one's link was away: its split began before.
    record(8.5, "two/a", { sequence: 2, split: 4 }),
    signals(3),
  ];
  expect(read(records).map(({ split }) => split)).toEqual([0, 7, 8, 8, 7, 8, 9, 8, 10, 9]);
  const reader = new IntervalReader(COMPARED);
  for (const each of records) reader.next(each);
  expect(reader.splits.map(({ split }) => split)).toEqual([7, 8, 10, 9]);
});

test("where a reader of an earlier release stopped, another goes on", () => {
  const state = readerStateSchema.parse({ split: 4, expected: [["gateway host a", 3]] });
  const reader = new IntervalReader(COMPARED, state);
  const interval = reader.next(record(9, "host/a", { sequence: 4, split: 4 }));
  expect(interval).toMatchObject({ gaps: 1, split: 4 });
});
