import { expect, test } from "vitest";

import {
  answer,
  CANDIDATE,
  EvidenceStage,
  STABLE,
  WATCH,
} from "../../../test/support/evidence-stage.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import type { Watch } from "../../link/route/index.ts";
import { joinDrafts, type EvidenceDraft } from "./merge.ts";

const KEEPS: Watch = { ...WATCH, errorInputs: "redacted" };
const threw = new LastgoodError("runtime.failed", "Gather: index out of bounds");
const away = new LastgoodError("runtime.unavailable", "cannot be reached: ECONNREFUSED");
const lost = { process: "a", at: 10_050 };

function keeping(watch: Watch = KEEPS, workers = 1): EvidenceStage {
  const stage = new EvidenceStage(workers);
  stage.watch(watch);
  return stage;
}

/** Inputs whose greatest number is of this power of ten. */
function inputs(number: number): readonly Tensor[] {
  return [{ name: "x", dtype: "FP64", shape: [1], data: Float64Array.of(number) }];
}

const failed = (requestId: string | null) => ({ requestId, fallback: "none" }) as const;

/** Of each error: how often, whose id, and the power of ten of the inputs that are kept. */
function told(record: Pick<EvidenceDraft, "errors"> | undefined): readonly unknown[] {
  return (record?.errors ?? []).map(({ message, count, requestId, inputs: kept }) => {
    const most = kept?.kind === "tensors" ? (kept.tensors[0]?.most ?? null) : kept;
    return [message, count, requestId, most];
  });
}

test("where nothing is said nothing is kept", () => {
  const stage = new EvidenceStage();
  stage.admit(CANDIDATE, null, 0, inputs(123)).failed(threw, failed("id-1"));
  expect(told(stage.pass(1_000)[0])).toEqual([[threw.message, 1, "id-1", null]]);
});

test("of each error that the candidate makes, one request's inputs and id, once in a rollout", () => {
  const stage = keeping();
  stage.admit(CANDIDATE, null, 0, inputs(123)).failed(threw, failed("id-1"));
  stage.admit(CANDIDATE, null, 0, inputs(4_567)).failed(threw, failed("id-2"));
  const other = new LastgoodError("runtime.failed", "another one");
  stage.admit(CANDIDATE, null, 0, inputs(89)).failed(other, failed("id-3"));
  stage.admit(CANDIDATE, null, 0, inputs(7)).answered(answer());
  stage.admit(STABLE, null, 0, inputs(12_345)).failed(threw, failed("id-4"));
  expect(told(stage.pass(1_000)[0])).toEqual([
    [threw.message, 2, "id-1", 100],
    ["another one", 1, "id-3", 10],
  ]);
  stage.admit(CANDIDATE, null, 0, inputs(9)).failed(threw, failed("id-5"));
  // A change of the split is the same rollout.
  stage.watch({ ...KEEPS, candidateShare: 0.5 });
  stage.admit(CANDIDATE, null, 0, inputs(9)).failed(threw, failed("id-6"));
  expect(stage.pass(1_000).flatMap(told)).toEqual([
    [threw.message, 1, "id-5", null],
    [threw.message, 1, "id-6", null],
  ]);
  stage.watch({ ...KEEPS, rollout: "r2" });
  stage.admit(CANDIDATE, null, 0, inputs(9)).failed(threw, failed("id-7"));
  expect(told(stage.pass(1_000)[0])).toEqual([[threw.message, 1, "id-7", 1]]);
});

test("one that does not end is kept, and one that took its process with it", () => {
  const stage = keeping();
  stage.admit(CANDIDATE, null, 0, inputs(123));
  const killer = stage.admit(CANDIDATE, null, 0, inputs(4_567));
  const innocent = stage.admit(CANDIDATE, null, 0, inputs(9));
  for (const ticket of [killer, innocent]) ticket.died(lost, "the process died: killed");
  // It was run again, and the version could take it.
  innocent.answered(answer());
  killer.died({ process: "b", at: 10_100 }, "the process died: killed");
  killer.failed(new LastgoodError("runtime.failed", "died twice with this request"), failed("id"));
  expect(told(stage.pass(7_000)[0])).toEqual([
    ["the process died: killed", 1, null, null],
    ["died twice with this request", 1, "id", 1_000],
    ["not ended within 5000 ms", 1, null, 100],
  ]);
});

test("what the version never got is not kept", () => {
  const stage = keeping();
  stage.admit(CANDIDATE, null, 0, inputs(123)).failed(away, failed("id-1"));
  stage.now += 10;
  stage.admit(CANDIDATE, null, 0, inputs(123)).waits();
  expect(told(stage.pass(7_000)[0])).toEqual([
    [away.message, 1, "id-1", null],
    ["not ended within 5000 ms", 1, null, null],
  ]);
});

test("what is passed on unread is asked about only once it has failed", () => {
  const stage = keeping();
  let looks = 0;
  const given = () => {
    looks += 1;
    return { method: "POST", contentType: "text/csv", bytes: 321 };
  };
  stage.arm().admit(stage.now, null, given).answered(answer());
  expect(looks).toBe(0);
  stage.arm().admit(stage.now, null, given).failed(threw, failed("id-1"));
  stage.arm().admit(stage.now, null, given).failed(threw, failed("id-2"));
  expect(looks).toBe(1);
  expect(told(stage.pass(1_000)[0])).toEqual([
    [
      threw.message,
      2,
      "id-1",
      { kind: "unread", method: "POST", contentType: "text/csv", bytes: 300 },
    ],
  ]);
});

test("several workers keep one, and joined records too", () => {
  const stage = keeping(KEEPS, 2);
  for (const worker of [0, 1])
    stage.admit(CANDIDATE, null, worker, inputs(123)).failed(threw, failed(`id-${worker}`));
  const [first] = stage.pass(1_000);
  expect(told(first)).toEqual([[threw.message, 2, "id-0", 100]]);
  stage.admit(CANDIDATE, null, 0, inputs(9)).failed(threw, failed("id-2"));
  const [second] = stage.pass(1_000);
  if (first === undefined || second === undefined) throw new Error("a record is missing");
  expect(told(joinDrafts(first, second))).toEqual([[threw.message, 3, "id-0", 100]]);
  // The id goes with the inputs.
  expect(told(joinDrafts(second, first))).toEqual([[threw.message, 3, "id-0", 100]]);
});

test("a version whose every error is another one fills no disk", () => {
  const stage = keeping();
  let kept = 0;
  for (let window = 0; window < 20; window += 1) {
    for (let error = 0; error < 20; error += 1) {
      const own = new LastgoodError("runtime.failed", `row ${window}.${error} is odd`);
      stage.admit(CANDIDATE, null, 0, inputs(9)).failed(own);
    }
    for (const { errors } of stage.pass(1_000))
      kept += errors.filter((error) => error.inputs !== null).length;
  }
  expect(kept).toBe(100);
});

test("of mirrored requests those that only the candidate failed", () => {
  const stage = keeping({ ...KEEPS, mirror: { of: STABLE, to: CANDIDATE, percent: 100 } });
  const pair = (number: number, outcome: "good" | "bad" = "good") => {
    const ticket = stage.admit(STABLE, null, 0, inputs(number));
    if (outcome === "good") ticket.answered(answer());
    else ticket.failed(threw);
    const made = ticket.pair(new Set(["label"]));
    if (made === null) throw new Error("there is no pair");
    return made;
  };
  pair(7).answered(answer());
  pair(123).failed(threw);
  pair(89, "bad").failed(threw);
  pair(4_567);
  const killer = pair(12_345);
  killer.died(lost);
  killer.failed(new LastgoodError("runtime.unavailable", "the process died: killed"));
  expect(told(stage.pass(7_000)[0])).toEqual([
    [`mirrored: ${threw.message}`, 1, null, 100],
    ["mirrored: the process died: killed", 1, null, 10_000],
    ["mirrored: not ended within 5000 ms", 1, null, 1_000],
  ]);
});
