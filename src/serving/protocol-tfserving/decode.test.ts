import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import type { DType } from "../../core/tensor/index.ts";
import type { Signature } from "../../core/version/index.ts";
import type { Call } from "../protocol/index.ts";
import { decode } from "./decode.ts";

function single(dtype: DType, shape: readonly number[] = [-1]): Signature {
  return { inputs: [{ name: "x", kind: "tensor", dtype, shape }], outputs: [] };
}
const several: Signature = {
  inputs: [
    { name: "age", kind: "tensor", dtype: "INT64", shape: [-1] },
    { name: "photo_bytes", kind: "tensor", dtype: "BYTES", shape: [-1] },
  ],
  outputs: [],
};

function read(body: unknown, contract = single("FP32"), contentType: string | null = null): Call {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return decode({ contentType, inferenceHeaderLength: null, body: Buffer.from(text) }, contract);
}

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof LastgoodError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "accepted";
}

const x = { name: "x", dtype: "FP32", shape: [3], data: Float32Array.of(1, 2, 5) };

test.each([
  ["rows", '{"instances": [1.0, 2.0, 5.0]}'],
  ["rows", { signature_name: "serving_default", instances: [{ x: 1 }, { x: 2 }, { x: 5 }] }],
  ["columns", { inputs: [1, 2, 5], signature_name: "" }],
  ["columns", { inputs: { x: [1, 2, 5] }, whatever: 1 }],
])("%s: %j", (kind, body) => {
  expect(read(body)).toEqual({ inputs: [x], id: null, requestedOutputs: null, form: { kind } });
});

test("the content type is not looked at: curl calls JSON a form", () => {
  expect(
    read({ instances: [1, 2, 5] }, single("FP32"), "application/x-www-form-urlencoded").inputs,
  ).toEqual([x]);
});

test("a row of a matrix is a list, and a plain list of numbers fills one column", () => {
  const wide = single("FP32", [-1, 2]);
  expect(
    read(
      {
        instances: [
          [1, 2],
          [3, 4],
        ],
      },
      wide,
    ).inputs[0],
  ).toMatchObject({ shape: [2, 2] });
  const narrow = single("FP32", [-1, 1]);
  expect(read({ instances: [1, 2] }, narrow).inputs[0]).toMatchObject({ shape: [2, 1] });
});

test("several inputs: an object for each row, or a column for each; base64 is text", () => {
  const b64 = Buffer.from("grün").toString("base64");
  const expected = [
    { name: "age", dtype: "INT64", shape: [2], data: BigInt64Array.of(2n ** 62n + 1n, 2n) },
    { name: "photo_bytes", dtype: "BYTES", shape: [2], data: ["grün", "a"] },
  ];
  const rows = `{"instances":[{"age":4611686018427387905,"photo_bytes":{"b64":"${b64}"}},{"age":2,"photo_bytes":"a"}]}`;
  expect(read(rows, several).inputs).toEqual(expected);
  const columns = `{"inputs":{"age":[4611686018427387905,2],"photo_bytes":[{"b64":"${b64}"},"a"]}}`;
  expect(read(columns, several).inputs).toEqual(expected);
});

test("one input of bytes: base64 objects are the values, not rows of named inputs", () => {
  const given = { instances: [{ b64: "YWJj" }, { b64: "" }] };
  expect(read(given, single("BYTES")).inputs[0]?.data).toEqual(["abc", ""]);
  expect(read({ instances: [{ x: { b64: "YWJj" } }] }, single("BYTES")).inputs[0]?.data).toEqual([
    "abc",
  ]);
});

test("NaN and infinities are taken", () => {
  const { inputs } = read('{"instances":[NaN, Infinity, -Infinity]}');
  expect(inputs[0]?.data).toEqual(Float32Array.of(NaN, Infinity, -Infinity));
});

test.each<[string, unknown]>([
  ["neither instances nor inputs", {}],
  ["both instances and inputs", { instances: [1], inputs: [1] }],
  ["an array", []],
  ["not JSON", "{"],
  ["instances is the number 1", { instances: 1 }],
  ["instances is an object", { instances: { x: [1] } }],
  ["instances is an empty array", { instances: [] }],
  ['signature_name is the string "other"', { instances: [1], signature_name: "other" }],
  ['there is no input "y"', { inputs: { y: [1] } }],
  ['instances[1] has no "x"', { instances: [{ x: 1 }, {}] }],
  ['there is no input "y"', { instances: [{ x: 1, y: 2 }] }],
  ['{"b64"} holds the string "a"', { instances: [{ b64: "a" }] }],
  ['{"b64"} holds the number 1', { instances: [{ b64: 1 }] }],
  ["not UTF-8", { instances: [{ b64: "/w==" }] }],
  ["has shape [2, 1]", { instances: [[1], [2]] }],
  ["which FP32 cannot hold", { instances: ["a"] }],
])("%s: refused", (why, body) => {
  const message = refusal(() => read(body));
  expect(message).toMatch(/^request\.invalid: /);
  expect(message).toContain(why);
});

test("what has no rows is not answered in rows", () => {
  const whole: Signature = {
    ...single("FP32"),
    outputs: [{ name: "sum", kind: "tensor", dtype: "FP32", shape: [] }],
  };
  expect(refusal(() => read({ instances: [1] }, whole))).toContain("sum has no rows");
  expect(read({ inputs: [1] }, whole).form).toEqual({ kind: "columns" });
});

test("very deep nesting is refused, with and without base64", () => {
  const deep = `${"[".repeat(5_000)}{"b64":"YQ=="}${"]".repeat(5_000)}`;
  expect(refusal(() => read(`{"inputs":${deep}}`, single("BYTES")))).toContain("request.invalid");
});
