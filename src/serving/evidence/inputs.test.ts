/** Inputs beside a reference set: which requests are looked at, and as what they count. */
import { expect, test } from "vitest";

import {
  answer,
  CANDIDATE,
  EvidenceStage,
  STABLE,
  WATCH,
} from "../../../test/support/evidence-stage.ts";
import { tensorFromWire } from "../../core/tensor/index.ts";
import type { FeatureBins } from "../../core/version/index.ts";
import { InputBinner, MOST_SAMPLED } from "./inputs.ts";

const BINS: readonly FeatureBins[] = [
  { input: "x", element: 1, bins: { kind: "number", edges: [0, 1, 2] } },
  { input: "country", element: 0, bins: { kind: "category", values: ["DE", "FR"] } },
];
const inputs = (value: number | string, country = "DE") => [
  tensorFromWire({ name: "country", dtype: "BYTES", shape: [1], data: [country] }),
  tensorFromWire({ name: "x", dtype: "FP32", shape: [2, 2], data: [9, value, 9, 9] }),
];

test("the first row of a request falls into one bin of each feature", () => {
  const binner = new InputBinner(BINS);
  const counts = binner.empty();
  binner.add(counts, inputs(0.5));
  binner.add(counts, inputs(7, "US"));
  binner.add(counts, inputs("NaN", "FR"));
  expect(counts).toEqual([
    [0, 1, 0, 1, 1],
    [1, 1, 1, 0],
  ]);
});

function stageOf(): EvidenceStage {
  const stage = new EvidenceStage();
  stage.watch({ ...WATCH, inputs: [...BINS] });
  return stage;
}

/** What was counted of an arm, by feature and bin. */
function told(stage: EvidenceStage): (revision: number) => number[][] {
  const [record] = stage.pass(1_000);
  return (revision) => stage.counts(record, revision).inputs;
}

test("a request counts for its arm however it ends, and a sticky key once", () => {
  const stage = stageOf();
  stage.admit(CANDIDATE, null, 0, inputs(0.5)).dropped();
  for (let times = 0; times < 5; times += 1)
    stage.admit(STABLE, "one caller", 0, inputs(1.5)).answered(answer());
  stage.admit(STABLE, null, 0, inputs(1.5)).answered(answer());
  const counts = told(stage);
  expect(counts(CANDIDATE)[0]).toEqual([0, 1, 0, 0, 0]);
  expect(counts(STABLE)[0]).toEqual([0, 0, 2, 0, 0]);
});

test("so many of an interval are enough, and no more are looked at", () => {
  const stage = stageOf();
  for (let times = 0; times < MOST_SAMPLED + 50; times += 1)
    stage.admit(CANDIDATE, null, 0, inputs(0.5)).answered(answer());
  expect(told(stage)(CANDIDATE)[0]).toEqual([0, MOST_SAMPLED, 0, 0, 0]);
});
