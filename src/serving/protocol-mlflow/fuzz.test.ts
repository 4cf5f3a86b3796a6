import fc from "fast-check";
import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { DTYPES, type DType } from "../../core/tensor/index.ts";
import type { Signature } from "../../core/version/index.ts";
import { decode } from "./decode.ts";
import { encode } from "./encode.ts";

function single(dtype: DType): Signature {
  return { inputs: [{ name: "x", kind: "tensor", dtype, shape: [-1, 2] }], outputs: [] };
}
const several: Signature = {
  inputs: [
    { name: "a", kind: "tensor", dtype: "INT64", shape: [-1, 1] },
    { name: "b", kind: "tensor", dtype: "BYTES", shape: [-1] },
  ],
  outputs: [],
};
const contracts = [...DTYPES.map(single), several];

/** `read` or `refused` with a 4xx; anything else is a failure. */
function outcome(body: Buffer, contentType: string, contract: Signature): string {
  try {
    const call = decode({ contentType, inferenceHeaderLength: null, body }, contract);
    const whole = call.inputs.every(({ shape, data }) => {
      const count = shape.reduce((product, axis) => product * axis, 1);
      return count > 0 && data.length === count;
    });
    return whole && call.inputs.length === contract.inputs.length ? "read" : "malformed";
  } catch (error) {
    if (!(error instanceof LastgoodError)) throw error;
    const { http } = error.traits;
    return http >= 400 && http < 500 ? "refused" : `status ${http}`;
  }
}

function json(body: unknown): [string, string] {
  return ["application/json", JSON.stringify(body)];
}

const anyContract = fc.constantFrom(...contracts);
const anyType = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("application/json", "text/csv") },
  { weight: 1, arbitrary: fc.string() },
);

test("arbitrary bytes are read or refused", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      anyType,
      anyContract,
      (bytes, type, contract) => {
        expect(["read", "refused"]).toContain(outcome(Buffer.from(bytes), type, contract));
      },
    ),
  );
});

test("arbitrary JSON under every format is read or refused", () => {
  const cell = fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.constantFrom(1, null, "a", true));
  const value = fc.oneof(
    fc.jsonValue(),
    fc.array(fc.array(cell, { maxLength: 3 }), { maxLength: 3 }),
    fc.array(fc.dictionary(fc.constantFrom("a", "b", "x", "0", "__proto__"), cell)),
    fc.record(
      { columns: fc.array(cell), data: fc.array(fc.array(cell)) },
      { requiredKeys: ["data"] },
    ),
  );
  const format = fc.constantFrom("dataframe_split", "dataframe_records", "instances", "inputs");
  fc.assert(
    fc.property(format, value, anyContract, (name, given, contract) => {
      expect(["read", "refused"]).toContain(
        outcome(Buffer.from(JSON.stringify({ [name]: given })), "application/json", contract),
      );
    }),
    { numRuns: 1000 },
  );
});

test.each([
  ["application/json", '{"dataframe_split":{"columns":["a","b"],"data":[[1,2],[3,4]]}}'],
  [
    "application/json",
    '{"dataframe_records":[{"a":1,"b":"x"},{"a":12345678901234567,"b":"\\u00fc"}]}',
  ],
  ["application/json", '{"inputs":{"a":[1,2],"b":["x","y"]},"params":{}}'],
  ["application/json", '{"instances":[[NaN,2],[3,-Infinity]]}'],
  ["text/csv", 'a,b\r\n1,"x ""y"""\r\n-2.5e3,NaN\r\n'],
])("valid %s %s with bytes changed, cut out or put in is read or refused", (type, text) => {
  const valid = Buffer.from(text);
  const outcomes = contracts.map((contract) => outcome(valid, type, contract));
  expect(outcomes).toContain("read");
  fc.assert(
    fc.property(
      fc.nat(valid.length),
      fc.nat(3),
      fc.uint8Array({ maxLength: 3 }),
      anyContract,
      (from, cut, put, contract) => {
        const parts = [valid.subarray(0, from), put, valid.subarray(from + cut)];
        expect(["read", "refused"]).toContain(outcome(Buffer.concat(parts), type, contract));
      },
    ),
    { numRuns: 400 },
  );
});

test("JSON nested ten thousand deep is refused in every place", () => {
  const deep = "[".repeat(10_000) + "]".repeat(10_000);
  const places = [
    deep,
    `{"instances":${deep}}`,
    `{"inputs":{"x":${deep}}}`,
    `{"dataframe_split":{"data":[[${deep},1]]}}`,
    `{"dataframe_records":[{"10":1,"2":${deep}}]}`,
  ];
  for (const place of places) {
    const request = {
      contentType: "application/json",
      inferenceHeaderLength: null,
      body: Buffer.from(place),
    };
    expect(() => decode(request, single("FP32"))).toThrow(LastgoodError);
    expect(() => decode(request, single("INT64"))).toThrow(LastgoodError);
  }
});

test("the same rows in every form give the same inputs, and their answer holds the same numbers", () => {
  const number = fc.double({ noDefaultInfinity: true, noNaN: true });
  const table = fc.array(fc.tuple(number, number), { minLength: 1, maxLength: 5 });
  const contract = single("FP64");
  fc.assert(
    fc.property(table, (rows) => {
      // JSON.stringify and String drop the sign of -0.
      const plain = rows.map(([a, b]) => [a + 0, b + 0]);
      const csv = ["a,b", ...plain.map((row) => row.join(","))].join("\r\n");
      const forms: [string, string][] = [
        json({ dataframe_split: { columns: ["a", "b"], data: plain } }),
        json({ dataframe_records: plain.map(([a, b]) => ({ a, b })) }),
        json({ instances: plain }),
        json({ inputs: { x: plain } }),
        ["text/csv", csv],
      ];
      for (const [contentType, text] of forms) {
        const body = Buffer.from(text);
        const call = decode({ contentType, inferenceHeaderLength: null, body }, contract);
        const tensor = call.inputs[0];
        expect(tensor?.shape).toEqual([plain.length, 2]);
        expect(tensor?.data).toEqual(Float64Array.from(plain.flat()));
        const answer = encode(call.inputs, {
          endpoint: "e",
          signature: { inputs: [], outputs: [] },
          version: "v",
          call: { ...call, form: { kind: "tensors" } },
        });
        expect(JSON.parse(String(answer.body))).toEqual({ predictions: { x: plain } });
      }
    }),
  );
});
