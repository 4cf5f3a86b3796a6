/** When two answers to one input are different answers. */
import { describe, expect, test } from "vitest";

import type { OutputValue } from "../../core/tensor/index.ts";
import { disagree, USUAL_TERMS } from "./disagreement.ts";

const byValue = { ...USUAL_TERMS, by: "value" } as const;

const floats = (name: string, width: number, ...data: number[]): OutputValue => ({
  name,
  dtype: "FP32",
  shape: width === 1 ? [data.length] : [data.length / width, width],
  data: Float32Array.from(data),
});
const labels = (...data: string[]): OutputValue => ({
  name: "label",
  dtype: "BYTES",
  shape: [data.length],
  data,
});
const maps = (...values: number[]): OutputValue => ({
  name: "probabilities",
  kind: "maps",
  keys: ["a", "b"],
  values: Float32Array.from(values),
  rows: values.length / 2,
});

const probabilities = (...data: number[]) => floats("probabilities", 3, ...data);
const differs = (a: number, b: number, relative = 0.05): boolean =>
  disagree([floats("y", 1, a)], [floats("y", 1, b)], { ...USUAL_TERMS, relative });

describe("a classifier trained anew", () => {
  test("agrees where the class is the same, whatever its probabilities", () => {
    const [one, other] = [probabilities(0.7, 0.2, 0.1), probabilities(0.5, 0.3, 0.2)];
    expect(disagree([one], [other], USUAL_TERMS)).toBe(false);
    expect(disagree([one], [other], byValue)).toBe(true);
    expect(disagree([labels("a"), one], [labels("a"), other], USUAL_TERMS)).toBe(false);
    expect(disagree([maps(0.9, 0.1)], [maps(0.6, 0.4)], USUAL_TERMS)).toBe(false);
  });

  test("disagrees where the class of any row is another", () => {
    const one = probabilities(0.7, 0.2, 0.1, 0.1, 0.2, 0.7);
    const other = probabilities(0.7, 0.2, 0.1, 0.1, 0.6, 0.3);
    expect(disagree([one], [other], USUAL_TERMS)).toBe(true);
    expect(disagree([labels("a", "b")], [labels("a", "c")], USUAL_TERMS)).toBe(true);
    expect(disagree([labels("a", "b")], [labels("a")], USUAL_TERMS)).toBe(true);
    expect(disagree([maps(0.9, 0.1, 0.9, 0.1)], [maps(0.9, 0.1, 0.1, 0.9)], USUAL_TERMS)).toBe(
      true,
    );
  });

  test("disagrees where it gives no class at all, and is not asked for what it alone gives", () => {
    expect(disagree([labels("a")], [], USUAL_TERMS)).toBe(true);
    const extra = { ...labels("z"), name: "reason" };
    expect(disagree([labels("a")], [extra, labels("a")], USUAL_TERMS)).toBe(false);
  });
});

test("numbers are the same within the tolerance, and not beyond it", () => {
  expect(differs(100, 104)).toBe(false);
  expect(differs(100, 106)).toBe(true);
  expect(differs(100, 106, 0.1)).toBe(false);
  expect(differs(0, 1e-7)).toBe(false);
  expect(differs(1, Number.NaN)).toBe(true);
});
