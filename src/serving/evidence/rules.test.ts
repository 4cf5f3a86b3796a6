/**
 * What counts as evidence. Beside each rule stands what a count without it would have been: the
 * first number that comes to mind is the wrong one.
 */
import { describe, expect, test } from "vitest";

import {
  answer,
  CANDIDATE,
  EvidenceStage,
  STABLE,
  WATCH,
} from "../../../test/support/evidence-stage.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { Watch } from "../../link/route/index.ts";
import { UNLOADED } from "../runtime/index.ts";
import type { Death } from "./loss.ts";
import type { Failure } from "./ticket.ts";

const threw = new LastgoodError("runtime.failed", "Gather: index out of bounds");
const broke = new LastgoodError("runtime.failed", "the answer broke off: ECONNRESET", {
  details: { sent: true },
});
const away = new LastgoodError("runtime.unavailable", "cannot be reached: ECONNREFUSED");

/** Failures over requests, as a dashboard that counts completions would show them. */
class Completions {
  requests = 0;
  errors = 0;
  end(isError: boolean): void {
    this.requests += 1;
    this.errors += Number(isError);
  }
  get rate(): number {
    return this.errors / this.requests;
  }
}

/** A process's death as a worker notices it, so long after the first one. */
const death = (process: string, late = 0): Death => ({ process, at: 10_050 + late });

test("fast failures do not outrun slow successes", () => {
  const stage = new EvidenceStage();
  const naive = new Completions();
  const slow = Array.from({ length: 9 }, () => stage.admit());
  for (let error = 0; error < 3; error += 1) {
    stage.admit().failed(threw);
    naive.end(true);
  }
  // By completion the candidate fails every request, and by admission nothing is known yet.
  expect(naive.rate).toBe(1);
  expect(stage.pass(1_500)).toEqual([]);
  for (const ticket of slow) ticket.answered(answer());
  const [record, ...others] = stage.pass(500);
  expect(others).toEqual([]);
  expect(stage.counts(record)).toMatchObject({ requests: 12, errors: 3, late: 0 });
});

test("windows are told in their order: one that is quick to close waits for those before it", () => {
  const stage = new EvidenceStage();
  const slow = stage.admit();
  stage.pass(1_000);
  stage.admit().failed(threw);
  // The second window has closed. Looked at first, it would show the failure alone.
  expect(stage.pass(1_000)).toEqual([]);
  slow.answered(answer());
  expect(stage.pass(0).map((record) => stage.counts(record).errors)).toEqual([0, 1]);
});

test("a request past its deadline is an error once, and never again when it ends after all", () => {
  const stage = new EvidenceStage();
  const naive = new Completions();
  const hanging = [stage.admit(), stage.admit(), stage.admit()];
  stage.admit().answered(answer());
  naive.end(false);
  expect(stage.pass(5_000)).toEqual([]);
  expect(naive.rate).toBe(0);
  const [record] = stage.pass(1);
  expect(stage.counts(record)).toMatchObject({ requests: 4, errors: 3, late: 3 });
  expect(record?.errors).toMatchObject([{ message: "not ended within 5000 ms", count: 3 }]);
  hanging[0]?.answered(answer());
  hanging[1]?.failed(threw);
  hanging[2]?.dropped();
  expect(stage.pass(2_000)).toEqual([]);
  expect(stage.pass(60_000).map((later) => stage.counts(later).requests)).toEqual([0]);
});

test("a request that is ended twice counts once, while its window is still open too", () => {
  const stage = new EvidenceStage();
  const other = stage.admit();
  const ticket = stage.admit();
  ticket.failed(threw);
  ticket.answered(answer());
  ticket.failed(threw);
  expect(stage.pass(1_500)).toEqual([]);
  other.answered(answer());
  expect(stage.counts(stage.pass(0)[0])).toMatchObject({ requests: 2, errors: 1 });
});

test("an answer that comes after the deadline but before its window closes is late as well", () => {
  const stage = new EvidenceStage();
  const early = stage.admit();
  stage.now += 900;
  const later = stage.admit();
  stage.now += 4_500;
  early.answered(answer());
  later.answered(answer());
  expect(stage.counts(stage.pass(0)[0])).toMatchObject({ requests: 2, errors: 1, late: 1 });
});

test("one dead process is one error; those that died with it are in no test", () => {
  const stage = new EvidenceStage();
  const naive = new Completions();
  const inside = Array.from({ length: 8 }, () => stage.admit());
  for (const ticket of inside) ticket.died(death("a"), "the process of iris-prod/2 died: killed");
  // They were run again and answered; what is run again is kept apart.
  for (const ticket of inside) {
    ticket.answered(answer());
    naive.end(true);
  }
  expect(naive.errors).toBe(8);
  const [record] = stage.pass(1_000);
  expect(stage.counts(record)).toMatchObject({ requests: 1, errors: 1, aborted: 7 });
  expect(stage.counts(record).latency).toEqual({});
  expect(record?.errors).toMatchObject([{ count: 1, message: expect.stringContaining("killed") }]);
});

test("a second death is a second incident, and the request that was in both counts once", () => {
  const stage = new EvidenceStage();
  const [innocent, culprit] = [stage.admit(), stage.admit()];
  for (const ticket of [innocent, culprit]) ticket.died(death("a"), "died");
  innocent.answered(answer());
  culprit.died(death("b"), "died again");
  culprit.failed(new LastgoodError("runtime.failed", "died twice with this request in it"));
  expect(stage.counts(stage.pass(1_000)[0])).toMatchObject({ requests: 2, errors: 2, aborted: 0 });
});

test("two processes that die at one time are two errors, whoever sees it", () => {
  const stage = new EvidenceStage(2);
  for (const worker of [0, 1])
    for (const process of ["a", "b"]) {
      const ticket = stage.admit(CANDIDATE, null, worker);
      ticket.died(death(process, worker), "died");
      ticket.answered(answer());
    }
  const [record] = stage.pass(1_000);
  expect(stage.counts(record)).toMatchObject({ requests: 2, errors: 2, aborted: 2 });
});

test("one death that two workers see is one error, also where one of them hears late", () => {
  const stage = new EvidenceStage(2);
  for (const worker of [0, 1]) {
    const inside = [stage.admit(CANDIDATE, null, worker), stage.admit(CANDIDATE, null, worker)];
    for (const ticket of inside) {
      ticket.died(death("a", worker * 2_000), "died");
      ticket.answered(answer());
    }
  }
  // Each worker by itself counts one.
  const [record] = stage.pass(1_000);
  expect(stage.counts(record)).toMatchObject({ requests: 1, errors: 1, aborted: 3 });
});

test("a lost connection is one error for all that were under way, refused ones after it count each", () => {
  const stage = new EvidenceStage();
  const underWay = Array.from({ length: 20 }, () => stage.admit());
  stage.now += 100;
  for (const ticket of underWay) ticket.failed(away);
  for (let later = 0; later < 3; later += 1) {
    stage.now += 10;
    const ticket = stage.admit();
    stage.now += 1;
    ticket.failed(away);
  }
  expect(stage.counts(stage.pass(1_000)[0])).toMatchObject({
    requests: 4,
    errors: 4,
    aborted: 19,
  });
});

test("answers that broke off together are one error, those that broke off by themselves one each", () => {
  const stage = new EvidenceStage();
  const died = Array.from({ length: 20 }, () => stage.admit());
  const alone = Array.from({ length: 3 }, () => stage.admit());
  const fine = stage.admit();
  stage.now += 100;
  for (const ticket of died) {
    ticket.failed(broke);
    stage.now += 1;
  }
  // What breaks its answers off is no death: long ones that overlap hide nothing of one another.
  for (const ticket of alone) {
    stage.now += 400;
    ticket.failed(broke);
  }
  fine.answered(answer());
  expect(stage.counts(stage.pass(1_000)[0])).toMatchObject({
    requests: 5,
    errors: 4,
    aborted: 19,
  });
});

test("also where two workers see it, and where others waited for their answers", () => {
  const stage = new EvidenceStage(2);
  const underWay = [0, 1].flatMap((worker) =>
    [broke, away, broke].map((error) => ({ error, ticket: stage.admit(CANDIDATE, null, worker) })),
  );
  const later = [0, 1].map((worker) => stage.admit(CANDIDATE, null, worker));
  stage.now += 100;
  for (const { error, ticket } of underWay) ticket.failed(error);
  for (const ticket of later) {
    stage.now += 600;
    ticket.failed(broke);
  }
  expect(stage.counts(stage.pass(1_000)[0])).toMatchObject({
    requests: 3,
    errors: 3,
    aborted: 5,
  });
});

test.each([
  ["break off", broke],
  ["are errors", threw],
])("a sticky key whose answers %s again and again fails once in an interval", (_how, error) => {
  const stage = new EvidenceStage(2);
  for (const worker of [0, 1])
    for (let request = 0; request < 3; request += 1) {
      const ticket = stage.admit(CANDIDATE, "customer", worker);
      const other = stage.admit(CANDIDATE, null, worker);
      stage.now += 150;
      ticket.failed(error);
      other.answered(answer());
    }
  const [record, ...more] = stage.pass(1_000);
  expect(more).toEqual([]);
  expect(stage.counts(record)).toMatchObject({ requests: 7, errors: 1 });
});

test("those that waited past their deadline for a version that is not there are one incident", () => {
  const stage = new EvidenceStage();
  const waiting = Array.from({ length: 10 }, () => stage.admit());
  for (const ticket of waiting) ticket.waits();
  const [record] = stage.pass(6_000);
  expect(stage.counts(record)).toMatchObject({ requests: 1, errors: 1, late: 1, aborted: 9 });
});

test("a request that waited for the version and then failed by itself is an error of its own", () => {
  const stage = new EvidenceStage();
  for (let number = 0; number < 3; number += 1) {
    const ticket = stage.admit();
    ticket.waits();
    ticket.failed(threw);
  }
  expect(stage.counts(stage.pass(1_000)[0])).toMatchObject({ requests: 3, errors: 3, aborted: 0 });
});

test("a sticky key is one unit: it fails once, and its many requests hide nobody's failures", () => {
  const stage = new EvidenceStage();
  const naive = new Completions();
  for (let request = 0; request < 1_000; request += 1) {
    stage.admit(STABLE, "heavy").answered(answer());
    naive.end(false);
  }
  for (let user = 0; user < 10; user += 1) {
    const ticket = stage.admit(STABLE, `user-${user}`);
    if (user === 0) ticket.failed(threw);
    else ticket.answered(answer());
    naive.end(user === 0);
  }
  for (let retry = 0; retry < 5; retry += 1) stage.admit(CANDIDATE, "broken").failed(threw);
  const [record] = stage.pass(1_000);
  expect(stage.counts(record, STABLE)).toMatchObject({ requests: 11, errors: 1 });
  // By requests stable fails one in a thousand, and whoever is compared with it looks ninety times worse.
  expect(naive.rate).toBeLessThan(0.001);
  expect(stage.counts(record)).toMatchObject({ requests: 1, errors: 1 });
  expect(stage.counts(record, STABLE).outputs).toEqual({ "0": 10 });
});

test("a key seen by two workers is one unit, in the next interval another one", () => {
  const stage = new EvidenceStage(2);
  for (const worker of [0, 1]) stage.admit(CANDIDATE, "user", worker).failed(threw);
  expect(stage.counts(stage.pass(1_000)[0])).toMatchObject({ requests: 1, errors: 1 });
  stage.admit(CANDIDATE, "user", 1).failed(threw);
  expect(stage.counts(stage.pass(1_000)[0])).toMatchObject({ requests: 1, errors: 1 });
});

const SPLIT = { ...WATCH, candidateShare: 0.1 };

function failing(watch: Watch, fallback: Failure["fallback"], revision = CANDIDATE) {
  const stage = new EvidenceStage(2);
  stage.watch(watch);
  return Array.from({ length: 4 }, (_, at) => {
    const failure: Failure = { requestId: null, fallback };
    stage.admit(revision, "broken", at % 2).failed(threw, failure);
    stage.admit(revision, "other").answered(answer());
    // The split may change meanwhile: raising a weight leaves the key where it is.
    if (at === 2) stage.watch({ ...watch });
    const counts = stage.pass(1_000).map((record) => stage.counts(record, revision));
    return counts.find(({ requests }) => requests > 0);
  });
}

describe("a sticky key stays with its arm, and so does what is wrong with it", () => {
  test("failures that stable does not answer either are one event for the whole rollout", () => {
    for (const fallback of ["none", "failed"] as const)
      expect(failing(SPLIT, fallback)).toMatchObject([
        { requests: 2, errors: 1, aborted: 0 },
        { requests: 1, errors: 0, aborted: 1, fallbackFailed: 0 },
        { requests: 1, errors: 0, aborted: 1 },
        { requests: 1, errors: 0, aborted: 1 },
      ]);
  });

  test("those that stable answers are the candidate's own, each time", () => {
    for (const counts of failing(SPLIT, "answered"))
      expect(counts).toMatchObject({ requests: 2, errors: 1, aborted: 0, fallback: 1 });
  });

  test("stable's count each time: what it fails is held against the candidate less, never more", () => {
    for (const counts of failing(SPLIT, "none", STABLE))
      expect(counts).toMatchObject({ requests: 2, errors: 1, aborted: 0 });
  });

  test("so do the candidate's where nothing is split", () => {
    for (const counts of failing({ ...WATCH, candidateShare: 1 }, "none"))
      expect(counts).toMatchObject({ requests: 2, errors: 1, aborted: 0 });
  });

  test("another kind of failure is another event", () => {
    const stage = new EvidenceStage();
    stage.watch(SPLIT);
    const rejected = new LastgoodError("runtime.failed", "422", { details: { rejected: true } });
    stage.admit(CANDIDATE, "user").failed(threw);
    stage.pass(1_000);
    stage.admit(CANDIDATE, "user").failed(rejected);
    stage.admit(CANDIDATE, "user").failed(threw);
    const counts = stage.counts(stage.pass(1_000)[0]);
    expect(counts).toMatchObject({ requests: 1, errors: 0, rejected: 1, aborted: 0 });
  });
});

test("keys beyond those that are told apart are left out: by requests they would be other units", () => {
  const stage = new EvidenceStage();
  for (let user = 0; user < 10_050; user += 1)
    stage.admit(STABLE, `user-${user}`).answered(answer());
  expect(stage.counts(stage.pass(1_000)[0], STABLE)).toMatchObject({
    requests: 10_000,
    aborted: 50,
  });
});

test("a request admitted before the weight changed counts in the old split", () => {
  const stage = new EvidenceStage();
  const old = stage.admit();
  stage.now += 300;
  stage.watch({ ...WATCH });
  stage.admit().answered(answer());
  stage.admit(STABLE).answered(answer());
  old.failed(threw);
  const records = stage.pass(1_000);
  expect(records.map((record) => record.split)).toEqual([1, 2]);
  expect(records.map((record) => stage.counts(record))).toMatchObject([
    { requests: 1, errors: 1 },
    { requests: 1, errors: 0 },
  ]);
  // One count over both splits would compare arms that had other shares.
  const [first, second] = records;
  expect(first?.to).toBe(second?.from);
});

test("shedding, letting go of a version and callers' mistakes are no evidence", () => {
  const stage = new EvidenceStage();
  stage.admit().dropped();
  stage.admit().failed(new LastgoodError("overloaded", "more than 8 are waiting"));
  stage
    .admit()
    .failed(new LastgoodError("runtime.unavailable", "is not loaded any more", UNLOADED));
  stage.arm().violated(stage.now);
  stage.admit().answered(answer());
  stage.arm().shed(stage.now);
  const [record] = stage.pass(1_000);
  expect(stage.counts(record)).toMatchObject({ requests: 1, errors: 0, violations: 1 });
  // The split assigned them all the same.
  expect(stage.counts(record).shed).toBe(4);
  expect(record?.errors).toEqual([]);
});

test("each kind of failure is told apart", () => {
  const stage = new EvidenceStage();
  const failed = (
    details: Readonly<Record<string, unknown>>,
    fallback: Failure["fallback"] = "none",
  ): void =>
    stage.admit().failed(new LastgoodError("runtime.failed", "why", { details }), {
      requestId: "id",
      fallback,
    });
  failed({});
  failed({ invalid: true });
  failed({}, "answered");
  failed({ rejected: true, status: 422 });
  stage.admit().failed(new LastgoodError("runtime.timeout", "no answer within 30000 ms"));
  const [record] = stage.pass(1_000);
  expect(stage.counts(record)).toMatchObject({
    requests: 5,
    errors: 4,
    invalid: 1,
    rejected: 1,
    late: 0,
    fallback: 1,
  });
  expect(record?.errors).toEqual([
    { revision: CANDIDATE, message: "why", count: 3, requestId: "id", inputs: null },
    {
      revision: CANDIDATE,
      message: "no answer within 30000 ms",
      count: 1,
      requestId: null,
      inputs: null,
    },
  ]);
});

test("the time that another revision takes to answer instead is not held against the one that failed", () => {
  const stage = new EvidenceStage();
  const failAndAsk = (error: LastgoodError): (() => void) => {
    const ticket = stage.admit();
    ticket.fails(error);
    return () => ticket.failed(error, { requestId: null, fallback: "answered" });
  };
  const rejected = new LastgoodError("runtime.failed", "422", { details: { rejected: true } });
  const ends = [failAndAsk(threw), failAndAsk(rejected), failAndAsk(away)];
  stage.now += 10;
  const ofLater = failAndAsk(away);
  stage.now += 4_985;
  // The fifth is never heard of again: it counts as what it failed of, not as late.
  failAndAsk(threw);
  stage.now += 10;
  for (const end of [...ends, ofLater]) end();
  const [first] = stage.pass(0);
  const [second] = stage.pass(5_000);
  // Two that were refused one after the other are two, however long stable took for them.
  expect(stage.counts(first)).toMatchObject({
    requests: 4,
    errors: 3,
    rejected: 1,
    late: 0,
    fallback: 3,
    aborted: 0,
  });
  expect(stage.counts(second)).toMatchObject({ requests: 1, errors: 1, late: 0 });
});

test("errors of stable are counted and not listed, of the candidate's the first twenty", () => {
  const stage = new EvidenceStage();
  stage.admit(STABLE).failed(threw);
  for (let number = 0; number < 30; number += 1)
    stage.admit().failed(new LastgoodError("runtime.failed", `${number} ${"x".repeat(600)}`));
  const [record] = stage.pass(1_000);
  expect(stage.counts(record, STABLE).errors).toBe(1);
  expect(stage.counts(record).errors).toBe(30);
  expect(record?.errors).toHaveLength(20);
  expect(record?.errors[0]?.message).toHaveLength(500);
});

test("requests that shared a run share one observation of its time", () => {
  const stage = new EvidenceStage();
  for (const rows of [8, 8, 3]) {
    const frame = { rows };
    for (let request = 0; request < rows; request += 1)
      stage.admit().answered({ ...answer(4), batch: rows, frame });
  }
  stage.admit().answered(answer(4));
  const [record] = stage.pass(1_000);
  const { latency, outputs } = stage.counts(record);
  // By requests one slow run of eight would be eight slow answers.
  expect(Object.entries(latency).map(([rows, times]) => [rows, times[0]?.[1]])).toEqual([
    ["1", 1],
    ["3", 1],
    ["8", 2],
  ]);
  expect(outputs).toEqual({ "0": 20 });
});
