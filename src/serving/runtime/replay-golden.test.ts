import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import type { Tensor, WireSample, WireTensor } from "../../core/tensor/index.ts";
import { replayGolden } from "./replay-golden.ts";

function number(name: string, value: number): WireTensor {
  return { name, dtype: "FP32", shape: [1], data: [value] };
}

function sample(x: number, y: number): WireSample {
  return { inputs: [number("x", x)], outputs: [number("y", y)] };
}

function double([input]: readonly Tensor[]): Promise<Tensor[]> {
  const value = Number(input?.data[0]);
  if (value < 0) return Promise.reject(new LastgoodError("runtime.failed", "x is negative"));
  if (value > 100) return Promise.reject(new LastgoodError("runtime.unavailable", "it died"));
  return Promise.resolve([
    { name: "y", dtype: "FP32", shape: [1], data: Float32Array.of(2 * value) },
  ]);
}

test("samples that agree are counted", async () => {
  expect(await replayGolden([sample(1, 2), sample(2, 4.00001)], double)).toBe("2 samples agree");
  expect(await replayGolden([sample(1, 2)], double)).toBe("1 sample agrees");
  expect(await replayGolden([], double)).toBe("no samples");
});

test("the first that differs, or throws, is named", async () => {
  await expect(replayGolden([sample(1, 2), sample(2, 5)], double)).rejects.toMatchObject({
    code: "preflight.rejected",
    message: expect.stringMatching(/sample 2 of 2 .*y\[0\] is 4 \(was 5\)/) as string,
  });
  await expect(replayGolden([sample(-1, 2)], double)).rejects.toMatchObject({
    code: "preflight.rejected",
    message: expect.stringContaining("x is negative") as string,
  });
});

test("what is not the version's answer is passed on as it is", async () => {
  await expect(replayGolden([sample(101, 0)], double)).rejects.toMatchObject({
    code: "runtime.unavailable",
  });
});
