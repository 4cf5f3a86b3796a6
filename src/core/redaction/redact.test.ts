import fc from "fast-check";
import { expect, test } from "vitest";

import {
  allocate,
  DTYPES,
  tensorFromWire,
  type DType,
  type Tensor,
  type WireTensor,
} from "../tensor/index.ts";
import { redactedInputsSchema, redactedTensors, redactedUnread } from "./index.ts";
import { CHARACTERS } from "./redacted.ts";

function tensor(
  name: string,
  dtype: DType,
  data: WireTensor["data"],
  shape: readonly number[] = [data.length],
): Tensor {
  return tensorFromWire({ name, dtype, shape: [...shape], data });
}

test("numbers: what is wrong with them is counted, of the others the power of ten is left", () => {
  const features = tensor("features", "FP32", [345.5, "NaN", -0.02, 0, "Infinity", 7], [1, 6]);
  const age = tensor("age", "INT64", ["42"]);
  expect(redactedTensors([features, age])).toEqual({
    kind: "tensors",
    tensors: [
      {
        name: "features",
        dtype: "FP32",
        shape: [1, 6],
        nan: 1,
        infinite: 1,
        zero: 1,
        negative: 1,
        least: -0.01,
        most: 100,
      },
      { name: "age", dtype: "INT64", shape: [1], least: 10, most: 10 },
    ],
    leftOut: 0,
  });
  expect(redactedTensors([tensor("h", "FP16", [0x3c_00, 0x7e_00])])).toMatchObject({
    tensors: [{ nan: 1, least: 1, most: 1 }],
  });
});

test("texts: how long they are and what they are made of", () => {
  const texts = tensor("name", "BYTES", ["Ana Müller", "", "x\u0000\ud800", "12"]);
  expect(redactedTensors([texts])).toMatchObject({
    tensors: [
      {
        empty: 1,
        shortest: 0,
        longest: 10,
        characters: ["letters", "digits", "spaces", "control", "beyond ASCII", "half characters"],
      },
    ],
  });
});

test("flags are counted, counts have one digit unless all are so", () => {
  const flags = Array.from({ length: 32 }, (_, at) => Number(at < 17));
  expect(redactedTensors([tensor("b", "BOOL", flags)])).toMatchObject({ tensors: [{ yes: 10 }] });
  const none = tensor(
    "x",
    "FP64",
    Array.from({ length: 32 }, () => "NaN"),
  );
  expect(redactedTensors([none])).toEqual({
    kind: "tensors",
    tensors: [{ name: "x", dtype: "FP64", shape: [32], nan: 32 }],
    leftOut: 0,
  });
});

test("of a request that is passed on unread neither path nor header is left", () => {
  const contentType = 'Application/JSON; profile="ana@example.com"';
  expect(redactedUnread({ method: "POST", contentType, bytes: 2_345 })).toEqual({
    kind: "unread",
    method: "POST",
    contentType: "application/json",
    bytes: 2_000,
  });
  expect(
    redactedUnread({ method: "ANA", contentType: "application/vnd.ana", bytes: null }),
  ).toEqual({ kind: "unread", method: "other", contentType: "other", bytes: null });
});

test("what has no room is left out, what looks wrong last", () => {
  const columns = Array.from({ length: 100 }, (_, at) =>
    tensor(`column ${at}`, "FP64", [at === 50 ? "NaN" : at]),
  );
  const redacted = redactedTensors(columns);
  expect(JSON.stringify(redacted).length).toBeLessThanOrEqual(2_048);
  if (redacted.kind !== "tensors") throw new Error("they were read");
  const { tensors, leftOut } = redacted;
  expect(tensors.length + leftOut).toBe(100);
  expect(tensors.length).toBeGreaterThan(20);
  expect(tensors.filter(({ nan }) => nan !== undefined)).toHaveLength(1);
});

test("of very many elements the first are looked at, which takes no time that others would notice", () => {
  const data = new Float32Array(4_000_000).fill(1.5);
  const big = { name: "x", dtype: "FP32", shape: [4_000_000], data } as const;
  expect(redactedTensors([big, big])).toMatchObject({
    tensors: [{ looked: 50_000, least: 1, most: 1 }, { shape: [4_000_000] }],
  });
});

const SENTINEL = "Zoë";
const numbers = fc.oneof(
  fc.double(),
  fc.double({ min: -1e6, max: 1e6 }),
  fc.integer({ min: -100_000, max: 100_000 }),
);

const anyTensor = fc
  .record({ dtype: fc.constantFrom(...DTYPES), length: fc.integer({ min: 0, max: 40 }) })
  .chain(({ dtype, length }) =>
    dtype === "BYTES"
      ? fc
          .array(fc.string({ unit: "binary" }), { minLength: length, maxLength: length })
          .map((texts): Tensor => {
            const data = texts.map((text) => SENTINEL + text);
            return { name: "input", dtype, shape: [length], data };
          })
      : fc.array(numbers, { minLength: length, maxLength: length }).map((values): Tensor => {
          const data = allocate(dtype, length);
          for (const [at, value] of values.entries())
            data[at] =
              data instanceof BigInt64Array || data instanceof BigUint64Array
                ? BigInt(Number.isFinite(value) ? Math.trunc(value) : 0)
                : value;
          return { name: "input", dtype, shape: [length], data };
        }),
  );

/** Every number in a value, with the names it lies under. */
function numbersIn(value: unknown, path = ""): readonly (readonly [string, number])[] {
  if (typeof value === "number") return [[path, value]];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => numbersIn(each, `${path}.${key}`));
}

function textsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(textsIn);
}

const OUR_WORDS = new Set<string>(["tensors", "input", ...CHARACTERS, ...DTYPES]);

test("no text of an input is left, and no number of more than one digit but the lengths of axes", () => {
  fc.assert(
    fc.property(fc.array(anyTensor, { maxLength: 4 }), (inputs) => {
      const redacted = redactedTensors(inputs);
      const written = JSON.stringify(redacted);
      expect(redactedInputsSchema.parse(JSON.parse(written))).toEqual(redacted);
      expect(written.length).toBeLessThanOrEqual(2_048);
      expect(textsIn(redacted).filter((text) => !OUR_WORDS.has(text))).toEqual([]);
      const lengths = new Set(inputs.map(({ data }) => data.length));
      for (const [path, value] of numbersIn(redacted)) {
        const isAll =
          /\.(?:nan|infinite|zero|negative|yes|empty)$/.test(path) && lengths.has(value);
        if (path.includes(".shape.") || isAll) continue;
        expect(Math.abs(value).toExponential(), path).toMatch(/^\de[+-]\d+$/);
      }
    }),
    { numRuns: 300 },
  );
});
