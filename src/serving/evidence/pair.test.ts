import { expect, test } from "vitest";

import {
  answer,
  CANDIDATE,
  EvidenceStage,
  STABLE,
  WATCH,
} from "../../../test/support/evidence-stage.ts";
import { latencyBucket } from "../../core/analysis/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { UNLOADED, type InferResult } from "../runtime/index.ts";
import type { PairTicket } from "./pair.ts";

const threw = new LastgoodError("runtime.failed", "it threw");
const away = new LastgoodError("runtime.unavailable", "cannot be reached");
const COMPARED = new Set(["label"]);

/** A stage whose requests to one revision are mirrored to the other. */
function mirroring(of = STABLE, workers = 1): EvidenceStage {
  const stage = new EvidenceStage(workers);
  const to = of === STABLE ? CANDIDATE : STABLE;
  stage.watch({ ...WATCH, mirror: { of, to, percent: 100 } });
  return stage;
}

interface Original {
  readonly outcome: InferResult | LastgoodError;
  readonly of?: number;
  readonly key?: string;
  readonly worker?: number;
}

function tryPair(stage: EvidenceStage, original: Original): PairTicket | null {
  const { outcome, of = STABLE, key = null, worker = 0 } = original;
  const ticket = stage.admit(of, key, worker);
  if (outcome instanceof LastgoodError) ticket.failed(outcome);
  else ticket.answered(outcome);
  return ticket.pair(COMPARED);
}

/** The pair of a request that has ended so. */
function pairOf(stage: EvidenceStage, original: Original): PairTicket {
  const pair = tryPair(stage, original);
  if (pair === null) throw new Error("there is no pair");
  return pair;
}

test("pairs are told apart by who failed and whether the answers agree", () => {
  const stage = mirroring();
  pairOf(stage, { outcome: answer(1, 3) }).answered(answer(9, 3));
  pairOf(stage, { outcome: answer(1, 3) }).answered(answer(1, 4));
  pairOf(stage, { outcome: answer() }).failed(threw);
  pairOf(stage, { outcome: threw }).answered(answer());
  pairOf(stage, { outcome: threw }).failed(threw);
  const [record] = stage.pass(1_000);
  expect(record?.pairs).toMatchObject({
    skipped: 0,
    pairs: 5,
    onlyCandidateBad: 1,
    bothBad: 1,
    onlyStableBad: 1,
    disagreed: 1,
  });
  // What was mirrored counts for neither arm.
  expect(stage.counts(record)).toMatchObject({ requests: 0, errors: 0 });
  expect(stage.counts(record)?.outputs).toEqual({});
  expect(stage.counts(record, STABLE)).toMatchObject({ requests: 5, errors: 2 });
});

test("it is the same from the candidate to the old revision", () => {
  const stage = mirroring(CANDIDATE);
  pairOf(stage, { outcome: threw, of: CANDIDATE }).answered(answer());
  pairOf(stage, { outcome: answer(), of: CANDIDATE }).failed(threw);
  expect(stage.pass(1_000)[0]?.pairs).toMatchObject({ onlyCandidateBad: 1, onlyStableBad: 1 });
});

/** A score, and another output with it. */
function result(score: number, extra: string): InferResult {
  const data = Float32Array.of(score);
  return {
    ...answer(),
    outputs: ["label", extra].map((name) => ({ name, dtype: "FP32", shape: [1], data })),
  };
}

test("numbers agree within the tolerance of the watch; what nobody promised is not compared", () => {
  const stage = mirroring();
  const ask = (): void => {
    pairOf(stage, { outcome: result(1, "x") }).answered(result(1.000_05, "y"));
    pairOf(stage, { outcome: result(1, "x") }).answered(result(1.001, "x"));
    pairOf(stage, { outcome: result(1, "x") }).answered(result(1.1, "x"));
  };
  ask();
  expect(stage.pass(1_000)[0]?.pairs).toMatchObject({ pairs: 3, disagreed: 1 });
  const mirror = { of: STABLE, to: CANDIDATE, percent: 100 };
  stage.watch({
    ...WATCH,
    mirror,
    disagreement: { by: "class", relative: 0.000_1, absolute: 0 },
  });
  ask();
  expect(stage.pass(1_000)[0]?.pairs).toMatchObject({ pairs: 3, disagreed: 2 });
});

test("a pair counts in the window of the original's admission, which waits for it", () => {
  const stage = mirroring();
  const slow = stage.admit(STABLE);
  stage.now += 900;
  slow.answered(answer());
  const pair = slow.pair(COMPARED);
  pairOf(stage, { outcome: answer() }).answered(answer());
  expect(stage.pass(1_000)).toEqual([]);
  pair?.failed(threw);
  pair?.answered(answer());
  expect(stage.pass(0)).toMatchObject([{ pairs: { pairs: 2, onlyCandidateBad: 1 } }]);
});

test("a mirrored request has its whole deadline, and is bad past it", () => {
  const stage = mirroring();
  const slow = stage.admit(STABLE);
  stage.now += 4_000;
  slow.answered(answer());
  const pair = slow.pair(COMPARED);
  stage.pass(4_000);
  expect(stage.records).toEqual([]);
  stage.pass(1_001);
  expect(stage.records).toMatchObject([{ pairs: { pairs: 1, onlyCandidateBad: 1 } }]);
  pair?.answered(answer());
  expect(stage.pass(1_000)).toEqual([]);
});

test("one that is skipped, shed or let go of is no pair", () => {
  const stage = mirroring();
  const refusals = [
    new LastgoodError("overloaded", "busy"),
    new LastgoodError("runtime.unavailable", "not loaded any more", UNLOADED),
    LastgoodError.from(new Error("died before its turn")),
  ];
  for (const refusal of refusals) pairOf(stage, { outcome: answer() }).failed(refusal);
  pairOf(stage, { outcome: answer() }).skipped();
  expect(stage.pass(1_000)[0]?.pairs).toMatchObject({ pairs: 0, skipped: 4 });
});

test("what says nothing of the original, or may have killed it, is not sent on", () => {
  const stage = mirroring();
  expect(tryPair(stage, { outcome: new LastgoodError("overloaded", "busy") })).toBeNull();
  expect(tryPair(stage, { outcome: answer(), of: CANDIDATE })).toBeNull();
  const killer = stage.admit(STABLE);
  killer.died({ process: "a", at: stage.now }, "died");
  killer.answered(answer());
  expect(killer.pair(COMPARED)).toBeNull();
  const late = stage.admit(STABLE);
  stage.pass(5_001);
  late.answered(answer());
  expect(late.pair(COMPARED)).toBeNull();
});

test.each([STABLE, CANDIDATE])(
  "an outage in which neither can be reached shows as pairs that both fail, one for each incident",
  (of) => {
    const stage = mirroring(of);
    for (let incident = 0; incident < 3; incident += 1) {
      const tickets = [stage.admit(of), stage.admit(of), stage.admit(of)];
      stage.now += 10;
      for (const ticket of tickets) ticket.failed(away);
      const pairs = tickets.flatMap((ticket) => ticket.pair(COMPARED) ?? []);
      expect(pairs, "those that another one stands for are not sent on").toHaveLength(1);
      stage.now += 10;
      for (const pair of pairs) pair.failed(away);
    }
    expect(stage.pass(1_000)[0]?.pairs).toMatchObject({ pairs: 3, bothBad: 3 });
  },
);

test("a mirror target that dies is one bad pair, however many were in it and in how many workers", () => {
  const stage = mirroring(STABLE, 2);
  const naive = { bad: 0 };
  for (const worker of [0, 1])
    for (let request = 0; request < 4; request += 1) {
      const pair = pairOf(stage, { outcome: answer(), worker });
      pair.died({ process: "a", at: 10_050 + worker });
      pair.failed(LastgoodError.from(new Error("died")));
      naive.bad += 1;
    }
  const [record] = stage.pass(1_000);
  expect(naive.bad).toBe(8);
  expect(record?.pairs).toMatchObject({ pairs: 1, onlyCandidateBad: 1 });
});

test("a death that took mirrored and assigned requests is an event in each test", () => {
  const stage = mirroring();
  const pair = pairOf(stage, { outcome: answer() });
  const assigned = stage.admit(CANDIDATE);
  pair.died({ process: "a", at: 10_050 });
  assigned.died({ process: "a", at: 10_050 }, "died");
  pair.failed(LastgoodError.from(new Error("died")));
  assigned.answered(answer());
  const [record] = stage.pass(1_000);
  expect(record?.pairs).toMatchObject({ pairs: 1, onlyCandidateBad: 1 });
  expect(stage.counts(record)).toMatchObject({ requests: 1, errors: 1 });
});

test("a sticky key is one pair in an interval", () => {
  const stage = mirroring();
  pairOf(stage, { outcome: answer(), key: "user" }).failed(threw);
  expect(tryPair(stage, { outcome: answer(), key: "user" })).toBeNull();
  pairOf(stage, { outcome: answer(), key: "other" }).answered(answer());
  expect(stage.pass(1_000)[0]?.pairs).toMatchObject({ pairs: 2, onlyCandidateBad: 1 });
  expect(tryPair(stage, { outcome: answer(), key: "user" })).not.toBeNull();
});

test("times of both are kept side by side where both had as much to do, and so are predictions", () => {
  const bucket = latencyBucket(3);
  for (const revision of [STABLE, CANDIDATE]) {
    const stage = mirroring(revision);
    pairOf(stage, { outcome: answer(3, 1), of: revision }).answered(answer(90, 2));
    pairOf(stage, { outcome: answer(3, 1), of: revision }).answered(answer(90, 2));
    const many = { ...answer(3, 1), frame: { rows: 8 } };
    pairOf(stage, { outcome: many, of: revision }).answered(answer(90, 1));
    pairOf(stage, { outcome: answer(3, 1), of: revision }).failed(threw);
    pairOf(stage, { outcome: threw, of: revision }).answered(answer(90, 1));
    const [slow, fast] = [latencyBucket(90), bucket];
    const [ours, theirs] = revision === STABLE ? [slow, fast] : [fast, slow];
    const [first, second] = revision === STABLE ? ["2", "1"] : ["1", "2"];
    expect(stage.pass(1_000)[0]?.pairs).toMatchObject({
      pairs: 5,
      latency: { "1": [[ours, theirs, 2]] },
      outputs: [
        [first, second, 2],
        ["1", "1", 1],
      ],
    });
  }
});

/** An answer of a server that takes several requests at a time. */
function amid(alone: boolean): InferResult {
  return { ...answer(3), beside: { atStart: 0, atEnd: 0, elsewhere: 0, alone } };
}

test("times are those of runs that had no company; all predictions count", () => {
  const stage = mirroring(CANDIDATE);
  pairOf(stage, { outcome: amid(false), of: CANDIDATE }).answered(amid(true));
  pairOf(stage, { outcome: amid(true), of: CANDIDATE }).answered(amid(false));
  pairOf(stage, { outcome: amid(true), of: CANDIDATE }).answered(amid(true));
  const bucket = latencyBucket(3);
  expect(stage.pass(1_000)[0]?.pairs).toMatchObject({
    latency: { "1": [[bucket, bucket, 1]] },
    outputs: [["0", "0", 3]],
  });
});

test("of very many pairs chance chooses those whose answers are looked at", () => {
  const stage = mirroring();
  const seen = (): number => {
    for (let pair = 0; pair < 2_000; pair += 1)
      pairOf(stage, { outcome: answer(3) }).answered(answer(3));
    const [record] = stage.pass(1_000);
    expect(record?.pairs.pairs).toBe(2_000);
    return (record?.pairs.latency["1"] ?? []).reduce((sum, [, , times]) => sum + times, 0);
  };
  // How many come is not known in the first interval.
  expect(seen()).toBe(2_000);
  const second = seen();
  expect(second).toBeGreaterThan(40);
  expect(second).toBeLessThan(180);
});

test("however many workers there are, and however long answers take, not many more are looked at", () => {
  const stage = mirroring(STABLE, 4);
  const seen: number[] = [];
  const open: PairTicket[][] = [];
  for (let second = 0; second < 8; second += 1) {
    open.push(
      Array.from({ length: 2_000 }, (_, pair) =>
        pairOf(stage, { outcome: answer(3), worker: pair % 4 }),
      ),
    );
    // They end in the interval after the next.
    const ending = open.length > 2 ? (open.shift() ?? []) : [];
    for (const pair of ending) pair.answered(answer(3));
    for (const { pairs } of stage.pass(1_000))
      seen.push((pairs.latency["1"] ?? []).reduce((sum, [, , times]) => sum + times, 0));
  }
  expect(seen[0]).toBe(2_000);
  expect(seen.length).toBeGreaterThan(4);
  expect(Math.max(...seen.slice(1))).toBeLessThan(180);
});
