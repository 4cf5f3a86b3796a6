import { expect, test } from "vitest";

import { DTYPES, elementCount } from "../../core/tensor/index.ts";
import type { Signature } from "../../core/version/index.ts";
import { generateSamples } from "./generate-samples.ts";

const everyType: Signature = {
  inputs: DTYPES.map((dtype) => ({ name: dtype, kind: "tensor", dtype, shape: [-1, 3] })),
  outputs: [],
};

test("samples fit the signature, with 2 for every open axis", () => {
  const samples = generateSamples(everyType, `sha256:${"a1".repeat(32)}`);
  expect(samples.length).toBeGreaterThan(1);
  for (const inputs of samples) {
    expect(inputs.map((input) => input.dtype)).toEqual([...DTYPES]);
    for (const input of inputs) {
      expect(input.shape).toEqual([2, 3]);
      expect(input.data).toHaveLength(elementCount(input.shape));
    }
  }
});

test("the same digest gives the same samples, another one others", () => {
  const first = generateSamples(everyType, `sha256:${"a1".repeat(32)}`);
  expect(generateSamples(everyType, `sha256:${"a1".repeat(32)}`)).toEqual(first);
  expect(generateSamples(everyType, `sha256:${"b2".repeat(32)}`)).not.toEqual(first);
});

test("inputs too large to be kept are not generated", () => {
  const image = { name: "image", kind: "tensor", dtype: "FP32", shape: [-1, 3, 640, 640] } as const;
  expect(generateSamples({ inputs: [image], outputs: [] }, `sha256:${"a1".repeat(32)}`)).toEqual(
    [],
  );
});
