import fc from "fast-check";
import { expect, test } from "vitest";

import { DTYPES, type DType } from "../tensor/index.ts";
import {
  contractDifferences,
  describeSpec,
  type OutputSpec,
  type Signature,
  type TensorSpec,
} from "./signature.ts";

function tensor(name: string, dtype: DType, shape: readonly number[]): TensorSpec {
  return { name, kind: "tensor", dtype, shape };
}

const maps: OutputSpec = { name: "p", kind: "maps", keyDtype: "INT64", valueDtype: "FP32" };
const inputs = (...specs: TensorSpec[]): Signature => ({ inputs: specs, outputs: [] });
const outputs = (...specs: OutputSpec[]): Signature => ({ inputs: [], outputs: specs });

const cases: readonly (readonly [string, Signature, Signature, readonly string[]])[] = [
  [
    "a dtype that changed",
    inputs(tensor("amount", "FP64", [-1])),
    inputs(tensor("amount", "FP32", [-1])),
    ["input amount became FP64 (was FP32)"],
  ],
  [
    "an input that was renamed",
    inputs(tensor("sum", "FP32", [-1])),
    inputs(tensor("amount", "FP32", [-1])),
    ["input amount is gone", "input sum is new"],
  ],
  [
    "another number of features",
    inputs(tensor("x", "FP32", [-1, 5])),
    inputs(tensor("x", "FP32", [-1, 4])),
    ["input x has shape [any, 5] (was [any, 4])"],
  ],
  [
    "a batch axis that became fixed",
    inputs(tensor("x", "FP32", [1, 4])),
    inputs(tensor("x", "FP32", [-1, 4])),
    ["input x has shape [1, 4] (was [any, 4])"],
  ],
  [
    "a fixed axis that became free: it takes all that was promised",
    inputs(tensor("x", "FP32", [-1, -1])),
    inputs(tensor("x", "FP32", [-1, 4])),
    [],
  ],
  [
    "another rank",
    inputs(tensor("x", "FP32", [-1])),
    inputs(tensor("x", "FP32", [-1, 1])),
    ["input x has shape [any] (was [any, 1])"],
  ],
  ["an output that is gone", outputs(), outputs(tensor("y", "FP32", [-1])), ["output y is gone"]],
  [
    "an output of another dtype",
    outputs(tensor("y", "INT64", [-1])),
    outputs(tensor("y", "FP32", [-1])),
    ["output y became INT64 (was FP32)"],
  ],
  [
    "an output of another shape",
    outputs(tensor("y", "FP32", [-1, 3])),
    outputs(tensor("y", "FP32", [-1, 2])),
    ["output y has shape [any, 3] (was [any, 2])"],
  ],
  [
    "an output of another kind",
    outputs(tensor("p", "FP32", [-1])),
    outputs(maps),
    ["output p changed its kind"],
  ],
  [
    "one more output: callers are promised the others",
    outputs(maps, tensor("y", "FP32", [1])),
    outputs(maps),
    [],
  ],
];
for (const [what, version, contract, expected] of cases)
  test(`the contract and ${what}`, () => {
    expect(contractDifferences(version, contract)).toEqual(expected);
  });

const spec = fc
  .tuple(
    fc.constantFrom("a", "b", "c"),
    fc.constantFrom(...DTYPES),
    fc.array(fc.integer({ min: -1, max: 3 }), { maxLength: 3 }),
  )
  .map(([name, dtype, shape]) => tensor(name, dtype, shape));
const specs = fc.uniqueArray(spec, { selector: (each) => each.name, maxLength: 3 });
const signature = fc.record({ inputs: specs, outputs: specs });

function keeps(version: Signature, contract: Signature): boolean {
  return contractDifferences(version, contract).length === 0;
}

test("every version keeps its own promise", () => {
  fc.assert(
    fc.property(signature, (own) => {
      expect(contractDifferences(own, own)).toEqual([]);
    }),
  );
});

test("whoever takes a superset of what was promised to a superset keeps the first promise", () => {
  fc.assert(
    fc.property(specs, specs, specs, (a, b, c) => {
      const [first, second, third] = [inputs(...a), inputs(...b), inputs(...c)];
      const both = keeps(first, second) && keeps(second, third);
      expect(!both || keeps(first, third)).toBe(true);
    }),
  );
});

test("a spec is shown with its name, dtype and shape", () => {
  expect(describeSpec(tensor("amount", "FP32", [-1, 4]))).toBe("amount FP32 [any, 4]");
  expect(describeSpec(maps)).toBe("p sequence of maps (INT64 to FP32)");
});

test("a column that stands where another one was promised is a difference; unnamed ones are not", () => {
  const x = { name: "x", kind: "tensor", dtype: "FP32", shape: [-1, 2] } as const;
  const named = (...columns: readonly string[]): Signature => ({
    inputs: [{ ...x, columns }],
    outputs: [],
  });
  expect(contractDifferences(named("b", "a"), named("a", "b"))).toEqual([
    "input x: column 1 became b (was a)",
  ]);
  expect(contractDifferences(named("a", "b"), named("a", "b"))).toEqual([]);
  expect(contractDifferences({ inputs: [x], outputs: [] }, named("a", "b"))).toEqual([]);
  expect(contractDifferences(named("a", "b"), { inputs: [x], outputs: [] })).toEqual([]);
});

test("an output that gets or loses its name is a difference: MLflow's callers see it", () => {
  const y = { name: "predictions", kind: "tensor", dtype: "INT64", shape: [-1] } as const;
  const named: Signature = { inputs: [], outputs: [y] };
  const nameless: Signature = { inputs: [], outputs: [{ ...y, nameless: true }] };
  expect(contractDifferences(named, nameless)).toEqual([
    "output predictions got a name: MLflow's callers are answered in another form",
  ]);
  expect(contractDifferences(nameless, named)).toEqual([
    "output predictions lost its name: MLflow's callers are answered in another form",
  ]);
  expect(contractDifferences(nameless, nameless)).toEqual([]);
});
