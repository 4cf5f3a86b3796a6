import fc from "fast-check";
import { expect, test } from "vitest";

import {
  allocate,
  DTYPES,
  ELEMENT_BYTES,
  elementCount,
  type DType,
  type MapSequence,
  type Tensor,
} from "./tensor.ts";
import {
  outputFromWire,
  outputToWire,
  tensorFromWire,
  tensorToWire,
  wireOutputSchema,
  wireTensorSchema,
} from "./wire.ts";

/** Every value of the dtype, the odd ones often. */
function element(dtype: Exclude<DType, "BYTES">): fc.Arbitrary<number | bigint> {
  switch (dtype) {
    case "BOOL":
      return fc.constantFrom(0, 1);
    case "INT64":
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case "UINT64":
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    case "FP32":
      return fc.float();
    case "FP64":
      return fc.double();
    case "INT8":
    case "INT16":
    case "INT32": {
      const half = 2 ** (ELEMENT_BYTES[dtype] * 8 - 1);
      return fc.integer({ min: -half, max: half - 1 });
    }
    case "UINT8":
    case "UINT16":
    case "UINT32":
    case "FP16":
      return fc.integer({ min: 0, max: 2 ** (ELEMENT_BYTES[dtype] * 8) - 1 });
  }
}

function tensorOf(dtype: DType): fc.Arbitrary<Tensor> {
  return fc.array(fc.nat({ max: 4 }), { maxLength: 3 }).chain((shape) => {
    const length = elementCount(shape);
    const named = (data: Tensor["data"]): Tensor => ({ name: "x", dtype, shape, data });
    const exactly = { minLength: length, maxLength: length };
    if (dtype === "BYTES")
      return fc
        .array(fc.oneof(fc.string(), fc.constantFrom("é", "🚀", "\u0000", "-0")), exactly)
        .map(named);
    return fc.array(element(dtype), exactly).map((elements) => {
      const data = allocate(dtype, length);
      elements.forEach((value, index) => {
        data[index] = value;
      });
      return named(data);
    });
  });
}

for (const dtype of DTYPES)
  test(`${dtype} comes through JSON exactly`, () => {
    fc.assert(
      fc.property(tensorOf(dtype), (tensor) => {
        const wire = wireTensorSchema.parse(JSON.parse(JSON.stringify(tensorToWire(tensor))));
        // toEqual tells -0 from 0, and NaN equals NaN.
        expect(tensorFromWire(wire)).toEqual(tensor);
      }),
    );
  });

test("what JSON cannot say is text", () => {
  const values = [Number.NaN, Infinity, -Infinity, -0, 0, 0.1];
  const tensor: Tensor = { name: "x", dtype: "FP64", shape: [6], data: Float64Array.from(values) };
  expect(tensorToWire(tensor).data).toEqual(["NaN", "Infinity", "-Infinity", "-0", 0, 0.1]);
  const big: Tensor = { name: "x", dtype: "INT64", shape: [1], data: BigInt64Array.of(-5n) };
  expect(tensorToWire(big).data).toEqual(["-5"]);
});

test("a sequence of maps comes through JSON, its scores as numbers", () => {
  const maps: MapSequence = {
    name: "probabilities",
    kind: "maps",
    keys: ["no", "yes"],
    values: Float64Array.of(0.25, Number.NaN, -0, 1),
    rows: 2,
  };
  const wire = wireOutputSchema.parse(JSON.parse(JSON.stringify(outputToWire(maps))));
  expect(outputFromWire(wire)).toEqual(maps);
});

const wrong: readonly (readonly [string, unknown])[] = [
  ["fewer elements than its shape", { name: "x", dtype: "FP32", shape: [3], data: [1, 2] }],
  ["more elements than its shape", { name: "x", dtype: "FP32", shape: [], data: [1, 2] }],
  ["a negative axis", { name: "x", dtype: "FP32", shape: [-1], data: [] }],
  ["a broken axis", { name: "x", dtype: "FP32", shape: [1.5], data: [1] }],
  ["an unknown dtype", { name: "x", dtype: "FLOAT", shape: [1], data: [1] }],
  ["text for a number", { name: "x", dtype: "FP32", shape: [1], data: ["abc"] }],
  ["nothing for a number", { name: "x", dtype: "FP32", shape: [1], data: [""] }],
  ["a fraction for a 64-bit integer", { name: "x", dtype: "INT64", shape: [1], data: [1.5] }],
  ["text for a 64-bit integer", { name: "x", dtype: "INT64", shape: [1], data: ["0x10"] }],
  ["objects for elements", { name: "x", dtype: "FP32", shape: [1], data: [{}] }],
  ["no name", { dtype: "FP32", shape: [1], data: [1] }],
  ["missing scores", { name: "x", kind: "maps", keys: ["a", "b"], values: [1], rows: 1 }],
];
for (const [what, value] of wrong)
  test(`a tensor with ${what} is refused`, () => {
    expect(wireOutputSchema.safeParse(value).success).toBe(false);
  });

test("garbage is refused or read, never thrown on", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const parsed = wireOutputSchema.safeParse(value);
      const name = parsed.success ? outputFromWire(parsed.data).name : "refused";
      expect(name).toBeTypeOf("string");
    }),
  );
});

test("what the schema accepts can always be read", () => {
  const data = fc.array(
    fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string()),
    {
      maxLength: 2,
    },
  );
  fc.assert(
    fc.property(fc.constantFrom(...DTYPES), data, (dtype, elements) => {
      const wire = { name: "x", dtype, shape: [elements.length], data: elements };
      const parsed = wireTensorSchema.safeParse(wire);
      const read = parsed.success ? tensorFromWire(parsed.data).data : elements;
      expect(read).toHaveLength(elements.length);
    }),
    { numRuns: 500 },
  );
});
