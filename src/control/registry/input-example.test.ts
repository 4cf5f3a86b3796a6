import fc from "fast-check";
import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { DTYPES, tensorFromWire } from "../../core/tensor/index.ts";
import { halfToNumber, type Signature, type TensorSpec } from "../../core/version/index.ts";
import { exampleToInputs } from "./input-example.ts";

function input(name: string, dtype: TensorSpec["dtype"], shape: readonly number[]): TensorSpec {
  return { name, kind: "tensor", dtype, shape };
}
const signature = (...inputs: TensorSpec[]): Signature => ({ inputs, outputs: [] });

const IRIS = signature(input("x", "FP32", [-1, 4]));
const MIXED = signature(
  input("amount", "FP64", [-1, 1]),
  input("country", "BYTES", [-1]),
  input("count", "INT64", [-1, 1]),
);
const ROWS = [
  [1, 2, 3, 4],
  [5, 6, 7, 8],
];
const X = { name: "x", dtype: "FP32", shape: [2, 4], data: [1, 2, 3, 4, 5, 6, 7, 8] };

test.each([
  { form: "named inputs", example: { inputs: { x: ROWS } } },
  { form: "a bare list", example: ROWS },
  { form: "bare named inputs", example: { x: ROWS } },
  { form: "inputs without a name", example: { inputs: ROWS } },
  { form: "instances", example: { instances: ROWS } },
  { form: "instances with names", example: { instances: ROWS.map((x) => ({ x })) } },
  {
    form: "an Open Inference Protocol request",
    example: { inputs: [{ name: "x", datatype: "FP32", shape: [2, 4], data: ROWS.flat() }] },
  },
  {
    form: "an Open Inference Protocol request with nested data",
    example: { id: "1", inputs: [{ name: "x", datatype: "FP32", shape: [2, 4], data: ROWS }] },
  },
  {
    form: "a split table",
    example: { dataframe_split: { columns: ["a", "b", "c", "d"], data: ROWS } },
  },
  {
    form: "a split table without columns",
    example: { dataframe_split: { data: ROWS, index: [0, 1] } },
  },
  { form: "a saved split table", example: { columns: ["a", "b", "c", "d"], data: ROWS } },
  {
    form: "records",
    example: { dataframe_records: ROWS.map(([a, b, c, d]) => ({ a, b, c, d })) },
  },
  { form: "bare records", example: ROWS.map(([a, b, c, d]) => ({ a, b, c, d })) },
])("$form: one input", ({ example }) => {
  expect(exampleToInputs(example, IRIS)).toEqual([X]);
});

const MIXED_INPUTS = [
  { name: "amount", dtype: "FP64", shape: [2, 1], data: [1.5, 2] },
  { name: "country", dtype: "BYTES", shape: [2], data: ["at", "de"] },
  { name: "count", dtype: "INT64", shape: [2, 1], data: ["9007199254740993", "-3"] },
];

test.each([
  {
    form: "named inputs",
    example: {
      inputs: { amount: [[1.5], [2]], country: ["at", "de"], count: [["9007199254740993"], [-3]] },
    },
  },
  {
    form: "records",
    example: {
      dataframe_records: [
        { country: "at", amount: 1.5, count: "9007199254740993" },
        { country: "de", amount: 2, count: -3 },
      ],
    },
  },
  {
    form: "a split table, columns in any order",
    example: {
      dataframe_split: {
        columns: ["count", "amount", "country"],
        data: [
          ["9007199254740993", 1.5, "at"],
          [-3, 2, "de"],
        ],
      },
    },
  },
])("$form: several inputs of several types", ({ example }) => {
  expect(exampleToInputs(example, MIXED)).toEqual(MIXED_INPUTS);
});

test("truth values, small integers and missing numbers", () => {
  const flags = signature(
    input("on", "BOOL", [-1]),
    input("n", "UINT8", [-1]),
    input("r", "FP32", []),
  );
  expect(exampleToInputs({ on: [true, 0, 1], n: [0, 255], r: null }, flags)).toMatchObject([
    { data: [1, 0, 1] },
    { data: [0, 255] },
    { shape: [], data: ["NaN"] },
  ]);
});

test.each([
  {
    example: { inputs: { y: ROWS } },
    says: "inputs.y is no input of the model, which takes x FP32 [any, 4]",
  },
  { example: { inputs: {} }, says: "inputs.x is missing" },
  { example: [1, 2, 3, 4], says: "example has shape [4], the model takes x FP32 [any, 4]" },
  { example: [[1, 2, 3]], says: "example has shape [1, 3]" },
  { example: { x: [[1, 2, 3, "4"]] }, says: 'example.x[0][3] is "4", which is no FP32' },
  {
    example: {
      x: [
        [1, 2, 3, 4],
        [1, 2],
      ],
    },
    says: "example.x[1] is [1,2], where a list of 4",
  },
  { example: { x: [[1, 2, 3, [4]]] }, says: "example.x[0][3] is [4], which is no FP32" },
  { example: [], says: "example has shape [0]" },
  { example: { x: [] }, says: "has shape [0]" },
  { example: 7, says: "example is neither a list nor an object" },
  { example: "text", says: "example is neither" },
  { example: { what: 1 }, says: "example has none of the accepted forms" },
  {
    example: { inputs: [{ name: "x", datatype: "FP64", shape: [1, 4], data: [1, 2, 3, 4] }] },
    says: "inputs[0].datatype is FP64",
  },
  {
    example: { inputs: [{ name: "x", datatype: "FP32", shape: [3, 4], data: [1] }] },
    says: "inputs[0].data has 1 elements",
  },
  { example: { inputs: [{ datatype: "FP32" }] }, says: "inputs[0] needs name" },
  {
    example: { dataframe_split: { columns: ["a"], data: [[1], [1, 2]] } },
    says: "dataframe_split.data[1] has not 1 cells",
  },
  { example: { dataframe_split: 3 }, says: 'dataframe_split needs "data"' },
  { example: { dataframe_records: [{ a: 1 }, { b: 1 }] }, says: "dataframe_records[1] has no a" },
])("$says", ({ example, says }) => {
  expect(() => exampleToInputs(example, IRIS)).toThrow(says);
});

test.each([
  { n: [256], says: "n[0] is 256, which is no UINT8" },
  { n: [-1], says: "n[0] is -1" },
  { n: [1.5], says: "n[0] is 1.5" },
  { n: [null], says: "n[0] is null" },
  { n: [1e300], says: "which is no UINT8" },
])("an integer that is none: $says", ({ n, says }) => {
  expect(() => exampleToInputs({ n }, signature(input("n", "UINT8", [-1])))).toThrow(says);
});

test("a model with several inputs needs their names", () => {
  expect(() => exampleToInputs([[1]], MIXED)).toThrow(
    "names no inputs, and the model takes several",
  );
  expect(() =>
    exampleToInputs({ dataframe_split: { columns: ["amount"], data: [[1]] } }, MIXED),
  ).toThrow("dataframe_split has no column country");
});

test("nesting of any depth is refused without harm", () => {
  let deep: unknown = 1;
  for (let depth = 0; depth < 100_000; depth += 1) deep = [deep];
  expect(() => exampleToInputs(deep, IRIS)).toThrow("nested deeper");
  expect(() => exampleToInputs({ inputs: { x: deep } }, IRIS)).toThrow("nested deeper");
});

test("half-precision numbers become the nearest bits", () => {
  const half = signature(input("h", "FP16", [-1]));
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff }), (bits) => {
      const value = halfToNumber(bits);
      fc.pre(Number.isFinite(value) && !Object.is(value, -0));
      expect(exampleToInputs({ h: [value] }, half)).toMatchObject([{ data: [bits] }]);
    }),
    { numRuns: 1_000 },
  );
  const bitsOf = (value: number): unknown => exampleToInputs({ h: [value] }, half)[0]?.data[0];
  for (const [value, bits] of [
    [1.0001, 0x3c00],
    [65_519, 0x7bff],
    [65_520, 0x7c00],
    [-1e30, 0xfc00],
    [1e-9, 0],
    [0, 0],
    [2 ** -24, 1],
    [-1023 * 2 ** -24, 0x83ff],
    [2 ** -14, 0x0400],
  ] as const)
    expect(bitsOf(value), String(value)).toBe(bits);
  expect(exampleToInputs({ h: [null] }, half)[0]?.data[0], "a missing number").toBe(0x7e00);
});

test("whatever is given, the answer is inputs that fit or one refusal", () => {
  const specs = fc.array(
    fc.record({
      name: fc.constantFrom("x", "y", "inputs", "data"),
      dtype: fc.constantFrom(...DTYPES),
      shape: fc.array(fc.constantFrom(-1, 1, 2), { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 2 },
  );
  const keys = fc.constantFrom(
    "x",
    "y",
    "inputs",
    "data",
    "instances",
    "dataframe_split",
    "columns",
  );
  const examples = fc.oneof(fc.jsonValue(), fc.dictionary(keys, fc.jsonValue()));
  fc.assert(
    fc.property(specs, examples, (inputs, example) => {
      const taken = signature(...inputs.map((one) => input(one.name, one.dtype, one.shape)));
      let outcome: unknown;
      try {
        outcome = exampleToInputs(example, taken);
      } catch (error) {
        outcome = error;
      }
      if (outcome instanceof LastgoodError) return outcome.code === "input.invalid";
      for (const wire of outcome as ReturnType<typeof exampleToInputs>) tensorFromWire(wire);
      return Array.isArray(outcome);
    }),
    { numRuns: 500 },
  );
});
